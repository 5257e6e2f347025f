"""LoRAs in an object store that speaks S3, beside the images that several machines share."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

import obstore
from obstore.exceptions import AlreadyExistsError

from composition.errors import NotFound
from jobs.s3_access import open_s3, told_of_s3

ANSWER_TIMEOUT_S = 600.0
"""For a file of hundreds of megabytes over a slow network."""

_told = partial(told_of_s3, "storage of LoRAs", "LoRA")
_FILES, _RECORDS = "loras/files/", "loras/records/"


class S3LoraFiles:
    """`LoraFiles` below a URL. Of two nodes that add one name of one owner in the same moment, one is told no."""

    def __init__(self, url: str) -> None:
        """`url` is s3://bucket or s3://bucket/prefix. Raises: ValueError when it, or a variable, cannot be used."""
        self._store = open_s3(url, answer_timeout_s=ANSWER_TIMEOUT_S)

    async def open(self) -> None:
        """Nothing to do: what is far away may also come later."""

    async def put(self, key: str, path: Path) -> None:
        with _told():
            await obstore.put_async(self._store, f"{_FILES}{key}", path)

    async def fetch(self, key: str, path: Path) -> None:
        with _told():
            answer = await obstore.get_async(self._store, f"{_FILES}{key}")
            with path.open("wb") as file:
                async for block in answer.stream():
                    file.write(block)

    def path_of(self, key: str) -> Path | None:
        return None

    async def delete(self, key: str) -> None:
        with _told():
            await obstore.delete_async(self._store, f"{_FILES}{key}")

    async def keys(self) -> Mapping[str, float]:
        return {path.removeprefix(_FILES): at for path, at in (await self._list(_FILES)).items()}

    async def add_record(self, owner: str, name: str, record: str) -> bool:
        with _told():
            try:
                await obstore.put_async(self._store, _record(owner, name), record.encode(), mode="create")
            except AlreadyExistsError:
                return False
        return True

    async def remove_record(self, owner: str, name: str) -> bool:
        try:
            await self._read(_record(owner, name))
        except NotFound:
            return False
        with _told():
            await obstore.delete_async(self._store, _record(owner, name))
        return True

    async def records(self, owner: str | None = None) -> tuple[str, ...]:
        texts = []
        for path in await self._list(_RECORDS if owner is None else f"{_RECORDS}{owner}/"):
            with suppress(NotFound):
                texts.append(await self._read(path))
        return tuple(texts)

    async def _read(self, path: str) -> str:
        with _told():
            return bytes(await (await obstore.get_async(self._store, path)).bytes_async()).decode()

    async def _list(self, prefix: str) -> dict[str, float]:
        """Paths below a prefix, and the UTC seconds at which each was written."""
        found: dict[str, float] = {}
        with _told():
            async for objects in obstore.list(self._store, prefix):
                found |= {one["path"]: one["last_modified"].timestamp() for one in objects}
        return found


def _record(owner: str, name: str) -> str:
    return f"{_RECORDS}{owner}/{name}.json"
