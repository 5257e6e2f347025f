"""LoRAs in a local folder: files/KEY.safetensors, records/OWNER/NAME.json, incoming/ for uploads.

A record appears whole and at once: it is written beside its place and linked there, which fails where one is.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from composition.config import ConfigError
from composition.errors import NotFound
from jobs.loras.incoming import told_as_storage

_SUFFIX = ".safetensors"


class FolderLoraFiles:
    """`LoraFiles` below a folder, for its owner's eyes only."""

    def __init__(self, folder: Path) -> None:
        self._files, self._records = folder / "files", folder / "records"

    async def open(self) -> None:
        try:
            await asyncio.to_thread(self._make)
        except OSError as error:
            raise ConfigError(f"storage.folder: nothing can be kept in {self._files.parent}: {error}") from error

    async def put(self, key: str, path: Path) -> None:
        await asyncio.to_thread(self._put, key, path)

    async def fetch(self, key: str, path: Path) -> None:
        await asyncio.to_thread(self._fetch, key, path)

    def path_of(self, key: str) -> Path | None:
        return self._files / f"{key}{_SUFFIX}"

    async def delete(self, key: str) -> None:
        with told_as_storage():
            self._path(key).unlink(missing_ok=True)

    async def keys(self) -> Mapping[str, float]:
        return await asyncio.to_thread(self._keys)

    async def add_record(self, owner: str, name: str, record: str) -> bool:
        return await asyncio.to_thread(self._add_record, owner, name, record)

    async def remove_record(self, owner: str, name: str) -> bool:
        with told_as_storage():
            try:
                (self._records / owner / f"{name}.json").unlink()
            except FileNotFoundError:
                return False
            return True

    async def records(self, owner: str | None = None) -> tuple[str, ...]:
        return await asyncio.to_thread(self._read_records, owner or "*")

    def _path(self, key: str) -> Path:
        return self._files / f"{key}{_SUFFIX}"

    def _make(self) -> None:
        for folder in (self._files, self._records):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for rest in self._records.glob("*/.*"):
            rest.unlink(missing_ok=True)

    def _put(self, key: str, path: Path) -> None:
        with told_as_storage():
            self._files.mkdir(mode=0o700, parents=True, exist_ok=True)
            target = self._path(key)
            try:
                os.link(path, target)
            except OSError:  # another file system, or one without links
                shutil.copyfile(path, target)
                _sync(target)
            _sync(self._files)

    def _fetch(self, key: str, path: Path) -> None:
        with told_as_storage():
            try:
                shutil.copyfile(self._path(key), path)
            except FileNotFoundError:
                raise NotFound("there is no such LoRA") from None

    def _keys(self) -> dict[str, float]:
        found = {}
        for path in self._files.glob(f"*{_SUFFIX}"):
            with suppress(FileNotFoundError):
                found[path.stem] = path.stat().st_mtime
        return found

    def _add_record(self, owner: str, name: str, record: str) -> bool:
        with told_as_storage():
            folder = self._records / owner
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            written = folder / f".{uuid.uuid4().hex}"
            try:
                written.write_text(record, encoding="utf-8")
                _sync(written)
                os.link(written, folder / f"{name}.json")
            except FileExistsError:
                return False
            finally:
                written.unlink(missing_ok=True)
            _sync(folder)
            return True

    def _read_records(self, owner: str) -> tuple[str, ...]:
        texts = []
        with told_as_storage():
            for path in self._records.glob(f"{owner}/*.json"):
                if not path.name.startswith("."):
                    with suppress(FileNotFoundError):
                        texts.append(path.read_text(encoding="utf-8"))
        return tuple(texts)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
