from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from composition.lora import Lora
from composition.ports.network import Sink


class Incoming(Sink, Protocol):
    """A file on its way in. It is gone when its context ends, and with its process, however that ends."""

    @property
    def path(self) -> Path: ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def sha256(self) -> str:
        """Of what was written so far, in hexadecimal."""
        ...

    async def drain(self, *, finish: bool = False) -> None:
        """Bring to the disk what has gathered, when it is enough to be worth it or nothing more comes.

        Raises: StorageAway.
        """
        ...


class LoraStore(Protocol):
    """Keeps users' LoRAs. Every method raises StorageAway while the storage cannot be used."""

    async def open(self) -> None:
        """Before the first use: what broken-off uploads left is removed. Raises: ConfigError."""
        ...

    def receive(self) -> AbstractAsyncContextManager[Incoming]:
        """A place for an upload, on this machine."""
        ...

    async def add(self, lora: Lora, file: Path) -> Lora:
        """Keep a file, durably, and give its record with its key. Raises: UnusableLora: the owner has the name."""
        ...

    async def of(self, owner: str) -> tuple[Lora, ...]:
        """An owner's, by name."""
        ...

    async def remove(self, lora: Lora) -> bool:
        """Forget the record, then the file; False when it was gone."""
        ...

    async def local_file(self, lora: Lora) -> Path:
        """The file, on this machine. Raises: NotFound when it is gone."""
        ...
