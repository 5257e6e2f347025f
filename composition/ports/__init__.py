"""What the domain needs from the outside world. Adapters live in `api/`, `jobs/` and `runners/`; wiring in service.py.

Every port is asynchronous: one event loop per process serves them all, and adapters move blocking work to threads.
Ports raise only `composition.errors`.
"""
