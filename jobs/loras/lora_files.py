"""What keeps the files of LoRAs and their records, whatever it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class LoraFiles(Protocol):
    """Files by a key of 32 hexadecimal digits, and records (JSON texts) by an owner's key and a name.

    A file is there before its record, and goes after it: what has no record is a rest. Faults are StorageAway.
    """

    async def open(self) -> None:
        """Raises: ConfigError: nothing can be kept here."""
        ...

    async def put(self, key: str, path: Path) -> None:
        """Keep a copy of a file, durably."""
        ...

    async def fetch(self, key: str, path: Path) -> None:
        """Copy a file to a path of this machine. Raises: NotFound."""
        ...

    def path_of(self, key: str) -> Path | None:
        """Where on this machine a file is; None where it has to be fetched."""
        ...

    async def delete(self, key: str) -> None: ...

    async def keys(self) -> Mapping[str, float]:
        """Every file that there is or is on its way, with the UTC seconds at which it came."""
        ...

    async def add_record(self, owner: str, name: str, record: str) -> bool:
        """Keep a record, durably; False when the owner has one of the name."""
        ...

    async def remove_record(self, owner: str, name: str) -> bool:
        """False when there was none."""
        ...

    async def records(self, owner: str | None = None) -> tuple[str, ...]:
        """An owner's records, or everybody's."""
        ...
