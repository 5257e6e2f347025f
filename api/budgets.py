"""How much memory the bodies of all requests, or all downloads, may take together."""

from __future__ import annotations


class ByteBudget:
    """Bytes that everybody who takes from it may have at one time."""

    def __init__(self, max_bytes: int) -> None:
        self._left_bytes = max_bytes

    def take(self, size_bytes: int) -> bool:
        """False when there is not so much left; nothing is taken then."""
        if size_bytes > self._left_bytes:
            return False
        self._left_bytes -= size_bytes
        return True

    def give_back(self, size_bytes: int) -> None:
        """What was taken before."""
        self._left_bytes += size_bytes
