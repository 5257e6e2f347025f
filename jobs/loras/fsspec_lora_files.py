"""LoRAs behind an fsspec URL (gs://bucket/prefix), beside the images that several machines share.

An object store has no way to say "only if there is none" that all of them know: of two nodes that add one name of one
owner in the same moment, the later wins, and the other's file is a rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

import fsspec

from composition.errors import NotFound
from jobs.blobs.file_blobs import modified_at
from jobs.storage_faults import told_of

P = ParamSpec("P")
T = TypeVar("T")


class FsspecLoraFiles:
    """`LoraFiles` below a URL."""

    def __init__(self, url: str) -> None:
        self._fs, root = fsspec.core.url_to_fs(url)
        self._files, self._records = f"{root}/loras/files", f"{root}/loras/records"

    async def open(self) -> None:
        """Nothing to do: what is far away may also come later."""

    async def put(self, key: str, path: Path) -> None:
        await _in_thread(self._fs.put_file, str(path), f"{self._files}/{key}")

    async def fetch(self, key: str, path: Path) -> None:
        await _in_thread(self._fs.get_file, f"{self._files}/{key}", str(path))

    def path_of(self, key: str) -> Path | None:
        return None

    async def delete(self, key: str) -> None:
        with suppress(NotFound):
            await _in_thread(self._fs.rm_file, f"{self._files}/{key}")

    async def keys(self) -> Mapping[str, float]:
        return dict(await _in_thread(self._list, self._files))

    async def add_record(self, owner: str, name: str, record: str) -> bool:
        path = f"{self._records}/{owner}/{name}.json"
        if await _in_thread(self._fs.exists, path):
            return False
        await _in_thread(self._fs.pipe_file, path, record.encode())
        return True

    async def remove_record(self, owner: str, name: str) -> bool:
        try:
            await _in_thread(self._fs.rm_file, f"{self._records}/{owner}/{name}.json")
        except NotFound:
            return False
        return True

    async def records(self, owner: str | None = None) -> tuple[str, ...]:
        return await _in_thread(self._read_records, owner)

    def _read_records(self, owner: str | None) -> tuple[str, ...]:
        owners = [owner] if owner is not None else [name for name, _ in self._list(self._records)]
        texts = []
        for one in owners:
            for name, _ in self._list(f"{self._records}/{one}"):
                with suppress(FileNotFoundError):
                    texts.append(bytes(self._fs.cat_file(f"{self._records}/{one}/{name}")).decode())
        return tuple(texts)

    def _list(self, folder: str) -> list[tuple[str, float]]:
        """Names in a folder, and when each was changed; unknown: now and for ever new."""
        try:
            entries = self._fs.ls(folder, detail=True, refresh=True)
        except FileNotFoundError:
            return []
        return [(str(entry["name"]).rstrip("/").rpartition("/")[2], modified_at(entry)) for entry in entries]


async def _in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    with told_of("storage of LoRAs", "LoRA"):
        return await asyncio.to_thread(function, *args, **kwargs)
