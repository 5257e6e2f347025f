"""Job images as files: a local folder, or any fsspec URL (s3://bucket/prefix) that several machines share.

A local file is whole and on the disk before its key is given out. It is written under its final name: nobody can know
that name earlier, and what a crash leaves half-written is an orphan like any other. Without a rename the file's and the
folder's fsync need no order, so they run side by side and share one flush of the disk. Object stores give the same by
themselves.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import fsspec

from composition.errors import CompositionError, NotFound, NotReady

logger = logging.getLogger(__name__)

THREADS = 4

_KEY = re.compile(r"[0-9a-f]{32}")
_T = TypeVar("_T")


class FolderBlobStore:
    """Blobs in a local folder, spread over 256 sub-folders."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="blobs")
        self._folder_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="blob-folders")

    async def put(self, data: bytes) -> str:
        """Store durably and give the key. Raises: NotReady (disk full, folder gone)."""
        key = uuid.uuid4().hex
        await self._run(self._write, key, data)
        return key

    async def get(self, key: str) -> bytes:
        """Raises: NotFound, NotReady."""
        return await self._run(lambda: self._path(key).read_bytes())

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete those that exist. Raises: NotReady."""
        await self._run(self._unlink, keys)

    async def older_than(self, age_s: float) -> tuple[str, ...]:
        """Keys of blobs put at least `age_s` ago, half-written ones among them."""
        return await self._run(self._older_than, self._clock() - age_s)

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise NotFound("there is no such blob")
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

    def _unlink(self, keys: Sequence[str]) -> None:
        for key in keys:
            with suppress(NotFound):
                self._path(key).unlink(missing_ok=True)

    def _older_than(self, moment: float) -> tuple[str, ...]:
        found = []
        for path in self._folder.glob("??/*"):
            with suppress(FileNotFoundError):
                if _KEY.fullmatch(path.name) and path.stat().st_mtime <= moment:
                    found.append(path.name)
        return tuple(found)

    async def _run(self, work: Callable[..., _T], *args: Any) -> _T:
        def run() -> _T:
            with _translated():
                return work(*args)

        return await asyncio.get_running_loop().run_in_executor(self._threads, run)


class FsspecBlobStore:
    """Blobs behind an fsspec URL; `options` are the file system's own (endpoint_url, key, secret ...)."""

    def __init__(
        self, url: str, *, options: dict[str, Any] | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._files, self._root = fsspec.core.url_to_fs(url, **(options or {}))
        self._clock = clock
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="blobs")

    async def put(self, data: bytes) -> str:
        """Store and give the key. Raises: NotReady."""
        key = uuid.uuid4().hex
        await self._run(self._files.pipe_file, self._path(key), data)
        return key

    async def get(self, key: str) -> bytes:
        """Raises: NotFound, NotReady."""
        return bytes(await self._run(self._files.cat_file, self._path(key)))

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete those that exist. Raises: NotReady."""
        await self._run(self._remove, keys)

    async def older_than(self, age_s: float) -> tuple[str, ...]:
        """Keys of blobs put at least `age_s` ago."""
        return await self._run(self._older_than, self._clock() - age_s)

    def _path(self, key: str) -> str:
        if not _KEY.fullmatch(key):
            raise NotFound("there is no such blob")
        return f"{self._root}/{key}"

    def _remove(self, keys: Sequence[str]) -> None:
        for key in keys:
            with suppress(FileNotFoundError, NotFound):
                self._files.rm_file(self._path(key))

    def _older_than(self, moment: float) -> tuple[str, ...]:
        try:
            entries = self._files.ls(self._root, detail=True, refresh=True)
        except FileNotFoundError:
            return ()
        return tuple(
            name
            for entry in entries
            if _KEY.fullmatch(name := str(entry["name"]).rpartition("/")[2]) and _modified(entry) <= moment
        )

    async def _run(self, work: Callable[..., _T], *args: Any) -> _T:
        def run() -> _T:
            with _translated():
                return work(*args)

        return await asyncio.get_running_loop().run_in_executor(self._threads, run)


def _modified(entry: dict[str, Any]) -> float:
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


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except CompositionError:
        raise
    except FileNotFoundError:
        raise NotFound("there is no such blob") from None
    except Exception as error:  # every fsspec file system has its own errors
        logger.warning("image storage: %r", error)
        raise NotReady("the image storage cannot be used", details={"reason": type(error).__name__}) from error
