"""Job images as files: a local folder, or any fsspec URL (gs://bucket/prefix) that several machines share.

A local file is whole and on the disk before its key is given out. It is written under its final name: nobody can know
that name earlier, and what a crash leaves half-written is an orphan like any other. Without a rename the file's and the
folder's fsync need no order, so they run side by side and share one flush of the disk. Object stores give the same by
themselves.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import fsspec

from composition.config import ConfigError
from composition.errors import NotFound, StorageAway
from jobs.storage_faults import told_of

THREADS = 4

_KEY = re.compile(r"[0-9a-f]{32}")
_T = TypeVar("_T")


class _FileBlobStore(ABC):
    """Blobs behind a file system that blocks; threads call it."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="blobs")

    @abstractmethod
    def _write(self, key: str, data: bytes) -> None: ...

    @abstractmethod
    def _read(self, key: str) -> bytes: ...

    @abstractmethod
    def _remove(self, key: str) -> None: ...

    @abstractmethod
    def _dated(self) -> Iterator[tuple[str, float]]:
        """Every file's name, and when it was put, in UTC seconds."""

    async def put(self, data: bytes) -> str:
        key = uuid.uuid4().hex
        await self._run(self._write, key, data)
        return key

    async def get(self, key: str) -> bytes:
        if not _KEY.fullmatch(key):
            raise NotFound("there is no such blob")
        return await self._run(self._read, key)

    async def delete(self, keys: Sequence[str]) -> None:
        await self._run(self._remove_all, keys)

    async def older_than(self, age_s: float) -> tuple[str, ...]:
        return await self._run(self._older_than, time.time() - age_s)

    def _remove_all(self, keys: Sequence[str]) -> None:
        for key in keys:
            if _KEY.fullmatch(key):
                self._remove(key)

    def _older_than(self, moment: float) -> tuple[str, ...]:
        return tuple(name for name, at in self._dated() if _KEY.fullmatch(name) and at <= moment)

    async def _run(self, work: Callable[..., _T], *args: Any) -> _T:
        def run() -> _T:
            with told_of("image storage", "blob"):
                return work(*args)

        return await asyncio.get_running_loop().run_in_executor(self._threads, run)


class FolderBlobStore(_FileBlobStore):
    """Blobs in a local folder, spread over 256 sub-folders."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._folder_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="blob-folders")

    async def open(self) -> None:
        """Write an image and delete it: a folder that is full or read-only is told before a job needs it.

        Raises:
            ConfigError: with the reason.
        """
        key = uuid.uuid4().hex
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._threads, self._write, key, b"?")
            await loop.run_in_executor(self._threads, self._remove, key)
        except OSError as error:
            raise ConfigError(f"storage.blobs: nothing can be written in {self._folder}: {error.strerror}") from error

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / key

    def _write(self, key: str, data: bytes) -> None:
        path = self._path(key)
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            _sync_folder(self._folder)
        try:
            with path.open("xb") as file:
                file.write(data)
                file.flush()
                entry = self._folder_threads.submit(_sync_folder, path.parent)
                os.fsync(file.fileno())
                entry.result()
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _read(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            if self._folder.is_dir():
                raise
            raise StorageAway("the image storage cannot be used: its folder is not there") from None

    def _remove(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def _dated(self) -> Iterator[tuple[str, float]]:
        for path in self._folder.glob("??/*"):
            with suppress(FileNotFoundError):
                yield path.name, path.stat().st_mtime


class FsspecBlobStore(_FileBlobStore):
    """Blobs behind an fsspec URL."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._files, self._root = fsspec.core.url_to_fs(url)

    async def open(self) -> None:
        """Nothing to do: what is far away may also come later."""

    def _write(self, key: str, data: bytes) -> None:
        self._files.pipe_file(f"{self._root}/{key}", data)

    def _read(self, key: str) -> bytes:
        return bytes(self._files.cat_file(f"{self._root}/{key}"))

    def _remove(self, key: str) -> None:
        with suppress(FileNotFoundError):
            self._files.rm_file(f"{self._root}/{key}")

    def _dated(self) -> Iterator[tuple[str, float]]:
        with suppress(FileNotFoundError):
            for entry in self._files.ls(self._root, detail=True, refresh=True):
                yield str(entry["name"]).rpartition("/")[2], modified_at(entry)


def modified_at(entry: dict[str, Any]) -> float:
    """UTC seconds; file systems differ in how they say it. Unknown: infinitely new, never collected."""
    value = entry.get("LastModified") or entry.get("mtime") or entry.get("created")
    if isinstance(value, datetime):
        return value.timestamp()
    return float(value) if isinstance(value, int | float) else float("inf")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
