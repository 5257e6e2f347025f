"""The operator's own LoRAs: every .safetensors file of a folder, offered to all callers by its file's name."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from pathlib import Path
from typing import Final, TypeAlias

from composition.config.loading import ConfigError
from composition.errors import UnusableLora
from composition.lora import Lora
from composition.loras.description import describe
from composition.loras.header import read_header
from composition.loras.names import check_name
from composition.loras.numbers import check_numbers

logger = logging.getLogger(__name__)

SUFFIX: Final = ".safetensors"
BLOCK_BYTES: Final = 4 << 20

_Version: TypeAlias = tuple[Path, int, int]
"""A file, when it was changed, and how large it is."""


class OperatorsFolder:
    """Looks anew at every question, and reads only what has changed. A file that cannot be used is logged once."""

    def __init__(self, folder: str | None) -> None:
        self._folder = None if folder is None else Path(folder).expanduser().absolute()
        self._known: dict[_Version, Lora | None] = {}
        self._looking = asyncio.Lock()

    def check(self) -> None:
        """Raises: ConfigError: there is no such folder."""
        if self._folder is not None and not self._folder.is_dir():
            raise ConfigError(f"loras.folder: {self._folder} is not a folder")

    async def open(self) -> None:
        """Read all of it, and say what there is. Raises: as `check`."""
        self.check()
        loras = await self.loras()
        if self._folder is not None:
            logger.info("%d LoRAs in %s: %s", len(loras), self._folder, ", ".join(lora.name for lora in loras))

    async def loras(self) -> tuple[Lora, ...]:
        """By name."""
        if self._folder is None:
            return ()
        async with self._looking:
            return await asyncio.to_thread(self._look, self._folder)

    def _look(self, folder: Path) -> tuple[Lora, ...]:
        try:
            found = {_version(path) for path in folder.iterdir() if path.suffix == SUFFIX and path.is_file()}
        except OSError as error:
            logger.warning("loras.folder %s cannot be read: %s", folder, error.strerror)
            found = set()
        self._known = {version: self._known[version] for version in found & self._known.keys()}
        for version in sorted(found - self._known.keys()):
            self._known[version] = _read(version)
        loras = [lora for lora in self._known.values() if lora is not None]
        return tuple(sorted(loras, key=lambda lora: lora.name))


def _version(path: Path) -> _Version:
    stat = path.stat()
    return path, stat.st_mtime_ns, stat.st_size


def _read(version: _Version) -> Lora | None:
    path, changed_ns, size_bytes = version
    digest = hashlib.sha256()
    try:
        check_name(path.stem)
        with path.open("rb") as file:
            header = read_header(file, size_bytes)
            facts = describe(header)
            check_numbers(file, header)
            file.seek(0)
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
    except (OSError, UnusableLora) as error:
        logger.warning("%s is not offered: %s", path, error)
        return None
    return Lora(
        name=path.stem,
        owner=None,
        key=str(path),
        sha256=digest.hexdigest(),
        size_bytes=size_bytes,
        created_at=changed_ns / 1e9,
        facts=facts,
    )
