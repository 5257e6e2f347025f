"""A `BlobStore` in a dictionary, with predictable keys."""

from __future__ import annotations

from collections.abc import Sequence

from composition.errors import NotFound


class FakeBlobStore:
    """Attributes: `blobs` by key; `failure`, raised by `put` when set."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.failure: Exception | None = None
        self._count = 0

    async def open(self) -> None:
        pass

    async def put(self, data: bytes) -> str:
        if self.failure is not None:
            raise self.failure
        self._count += 1
        key = f"blob-{self._count}"
        self.blobs[key] = data
        return key

    async def get(self, key: str) -> bytes:
        try:
            return self.blobs[key]
        except KeyError:
            raise NotFound("there is no such blob") from None

    async def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.blobs.pop(key, None)
