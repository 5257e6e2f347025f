"""Exact pixel work between the photograph and the models: geometry, masks, skeletons, detail and blending."""
