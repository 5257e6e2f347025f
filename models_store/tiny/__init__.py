"""The tiny profile: every model of the service with small random weights, built on the spot in seconds.

Layout, class names, weight names and file formats are those of the real repositories, so that loading and running
them exercises the production code. Detectors are constructed rather than merely random: what they find depends on the
image, and a plain image has nothing in it.
"""
