"""The REST routes, one module per noun; each is a thin translation between HTTP and `submission` or the queue."""
