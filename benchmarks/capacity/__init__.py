"""How many workers a stream of requests needs: the engine's own scheduling, driven by a clock that costs nothing."""
