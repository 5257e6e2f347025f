from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Sink(Protocol):
    """Where a file goes that is not to be in memory."""

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes; they are in memory until `drain`."""
        ...

    async def drain(self, *, finish: bool = False) -> None:
        """Called after every piece, and with `finish` at the end: time for what is slow."""
        ...


class Fetcher(Protocol):
    """The only way out to the network: guarded against private addresses, limited in size and time."""

    async def fetch(self, url: str) -> bytes:
        """Raises: UnprocessableUrl, PayloadTooLarge."""
        ...

    async def fetch_into(self, url: str, sink: Sink, *, max_bytes: int, timeout_s: float) -> None:
        """A file with limits of its own, given on as it comes. Raises: as `fetch`, and what the sink raises."""
        ...

    async def check(self, url: str) -> None:
        """Refuse a URL that could never be reached. Raises: UnprocessableUrl."""
        ...

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Send a webhook; the HTTP status. Raises: UnprocessableUrl."""
        ...
