"""LoRAs and embeddings of users: file -> **header -> description -> library** -> request."""
