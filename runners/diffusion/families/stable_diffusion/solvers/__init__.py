"""Schedulers' arithmetic for requests at different steps in one update; bit for bit that of diffusers on a CPU."""
