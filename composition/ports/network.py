from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Fetcher(Protocol):
    """The only way out to the network: guarded against private addresses, limited in size and time."""

    async def fetch(self, url: str) -> bytes:
        """Raises: UnprocessableUrl, PayloadTooLarge."""
        ...

    async def check(self, url: str) -> None:
        """Refuse a URL that could never be reached. Raises: UnprocessableUrl."""
        ...

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Send a webhook; the HTTP status. Raises: UnprocessableUrl."""
        ...
