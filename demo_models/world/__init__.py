"""The procedural world: cars on streets, furniture in rooms, people in garments, each scene with its ground truth."""
