"""The demo model set: a small procedural world and the recipes that train on it."""
