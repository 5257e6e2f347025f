"""Durable jobs: stores that keep them, queues that get them run; adapters to the ports of `composition`."""
