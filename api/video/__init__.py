"""Clips as files: containers read before a frame is decoded, frames decoded and encoded one at a time."""
