"""Where users' LoRAs are kept."""
