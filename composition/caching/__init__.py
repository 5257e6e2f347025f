"""The same content again costs no computation: one cache for the front service and the runners.

content -> **key** -> value, for a fixed time and up to a number of bytes. The front's ports are wrapped in it, so that
the same photograph again costs no model call; the runners keep embeddings and latents in it.
"""
