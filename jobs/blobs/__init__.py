"""Where jobs' images are kept."""
