"""Job images in an object store that speaks S3."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial

import obstore

from composition.errors import NotFound
from jobs.s3_access import open_s3, told_of_s3

ANSWER_TIMEOUT_S = 30.0
"""For an image of many megabytes over a slow network."""

_KEY = re.compile(r"[0-9a-f]{32}")
_told = partial(told_of_s3, "image storage", "blob")


class S3BlobStore:
    """Blobs as objects below a prefix; an object appears whole or not at all."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.time) -> None:
        """`url` is s3://bucket or s3://bucket/prefix. Raises: ValueError when it, or a variable, cannot be used."""
        self._store = open_s3(url, answer_timeout_s=ANSWER_TIMEOUT_S)
        self._clock = clock

    async def open(self) -> None:
        """Nothing to do: what is far away may also come later."""

    async def put(self, data: bytes) -> str:
        key = uuid.uuid4().hex
        with _told():
            await obstore.put_async(self._store, key, data, use_multipart=False)
        return key

    async def get(self, key: str) -> bytes:
        if not _KEY.fullmatch(key):
            raise NotFound("there is no such blob")
        with _told():
            return bytes(await (await obstore.get_async(self._store, key)).bytes_async())

    async def delete(self, keys: Sequence[str]) -> None:
        ours = [key for key in dict.fromkeys(keys) if _KEY.fullmatch(key)]
        if ours:
            with _told():
                await obstore.delete_async(self._store, ours)

    async def older_than(self, age_s: float) -> tuple[str, ...]:
        oldest = self._clock() - age_s
        found: list[str] = []
        with _told():
            async for objects in obstore.list(self._store):
                found += [o["path"] for o in objects if o["last_modified"].timestamp() <= oldest]
        return tuple(name for name in found if _KEY.fullmatch(name))
