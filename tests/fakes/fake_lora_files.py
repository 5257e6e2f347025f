"""LoRAs that are kept in memory, as a storage elsewhere keeps them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from composition.errors import NotFound


class FakeLoraFiles:
    """`jobs.loras.lora_files.LoraFiles`; `files` has key -> bytes, `owned` owner -> name -> record."""

    def __init__(self, *, clock: Callable[[], float] = lambda: 0.0) -> None:
        self._clock = clock
        self.files: dict[str, bytes] = {}
        self.ages: dict[str, float] = {}
        self.owned: dict[str, dict[str, str]] = {}
        self.fetches: list[str] = []

    async def open(self) -> None: ...

    async def put(self, key: str, path: Path) -> None:
        self.files[key], self.ages[key] = _read(path), self._clock()

    async def fetch(self, key: str, path: Path) -> None:
        if key not in self.files:
            raise NotFound("there is no such LoRA")
        self.fetches.append(key)
        _write(path, self.files[key])

    def path_of(self, key: str) -> Path | None:
        return None

    async def delete(self, key: str) -> None:
        self.files.pop(key, None)
        self.ages.pop(key, None)

    async def keys(self) -> Mapping[str, float]:
        return dict(self.ages)

    async def add_record(self, owner: str, name: str, record: str) -> bool:
        return self.owned.setdefault(owner, {}).setdefault(name, record) is record

    async def remove_record(self, owner: str, name: str) -> bool:
        return self.owned.get(owner, {}).pop(name, None) is not None

    async def records(self, owner: str | None = None) -> tuple[str, ...]:
        owners = list(self.owned) if owner is None else [owner]
        return tuple(record for one in owners for record in self.owned.get(one, {}).values())


def _read(path: Path) -> bytes:
    return path.read_bytes()


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
