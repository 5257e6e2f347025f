"""A `Fetcher` that knows a few URLs."""

from __future__ import annotations

from collections.abc import Mapping

from composition.errors import PayloadTooLarge, UnprocessableUrl
from composition.ports.network import Sink


class FakeFetcher:
    """Attributes: `files` by URL; `posted` as (url, body, headers); `forbidden` URLs; `post_status`."""

    def __init__(self, files: Mapping[str, bytes] | None = None, *, post_status: int = 200) -> None:
        self.files = dict(files or {})
        self.posted: list[tuple[str, bytes, dict[str, str]]] = []
        self.forbidden: set[str] = set()
        self.post_status = post_status

    async def fetch(self, url: str) -> bytes:
        if url not in self.files:
            raise UnprocessableUrl("the URL could not be reached")
        return self.files[url]

    async def fetch_into(self, url: str, sink: Sink, *, max_bytes: int, timeout_s: float) -> None:
        data = await self.fetch(url)
        if len(data) > max_bytes:
            raise PayloadTooLarge("the URL's file is larger", details={"max_bytes": max_bytes})
        sink.write(data)
        await sink.drain(finish=True)

    async def check(self, url: str) -> None:
        if url in self.forbidden:
            raise UnprocessableUrl("the URL points to an address that is not public")

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        await self.check(url)
        self.posted.append((url, body, dict(headers)))
        return self.post_status
