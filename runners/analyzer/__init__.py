"""Signals for the router: YOLOX (what is in the image) and CLIP (what a reference shows, what a prompt is about)."""
