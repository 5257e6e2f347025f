"""Exact pixel work between the photograph and the models: geometry, masks, body regions and blending."""
