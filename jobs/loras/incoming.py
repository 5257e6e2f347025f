"""Uploads on their way in: files of a folder that are gone with their process.

Each is locked for as long as somebody writes it, and the lock goes with the process, however it ends: a file that can
be locked is a rest, and whoever comes next removes it.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from composition.errors import StorageAway

SUFFIX: Final = ".part"
BUFFER_BYTES: Final = 1 << 20


class IncomingFile:
    """`composition.ports.lora_store.Incoming` over a locked file."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file = path, file
        self._buffer = bytearray()
        self._digest = hashlib.sha256()
        self._written_bytes = 0

    @property
    def path(self) -> Path:
        return self._path

    @property
    def size_bytes(self) -> int:
        return self._written_bytes + len(self._buffer)

    @property
    def sha256(self) -> str:
        assert not self._buffer, "everything is drained before anybody asks"
        return self._digest.hexdigest()

    def write(self, data: bytes | memoryview) -> None:
        self._buffer += data

    async def drain(self, *, finish: bool = False) -> None:
        if len(self._buffer) >= BUFFER_BYTES or finish:
            block, self._buffer = bytes(self._buffer), bytearray()
            await asyncio.to_thread(self._bring, block, finish)

    def _bring(self, block: bytes, finish: bool) -> None:
        with told_as_storage():
            self._file.write(block)
            if finish:
                self._file.flush()
                os.fsync(self._file.fileno())
        self._digest.update(block)
        self._written_bytes += len(block)


@asynccontextmanager
async def incoming_in(folder: Path) -> AsyncIterator[IncomingFile]:
    """A new file in a folder, which is made where there is none. Raises: StorageAway."""
    path, file = await asyncio.to_thread(_create, folder)
    try:
        yield IncomingFile(path, file)
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        file.close()


def remove_rests(folder: Path) -> int:
    """Delete what uploads left whose process is gone; how many there were."""
    removed = 0
    for path in folder.glob(f"*{SUFFIX}"):
        with suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
            removed += 1
    return removed


def _create(folder: Path) -> tuple[Path, BinaryIO]:
    with told_as_storage():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_rests(folder)
        while True:
            path = folder / f"{uuid.uuid4().hex}{SUFFIX}"
            file = path.open("xb")
            fcntl.flock(file, fcntl.LOCK_EX)
            if path.exists():  # else somebody took it for a rest before it was locked
                return path, file
            file.close()


@contextmanager
def told_as_storage() -> Iterator[None]:
    """Faults of a disk as the caller is told of them."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StorageAway(f"the storage of LoRAs cannot be used: {reason}", details={"reason": reason}) from error
