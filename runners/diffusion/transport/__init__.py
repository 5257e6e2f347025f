"""How a request reaches the engine and its events come back."""
