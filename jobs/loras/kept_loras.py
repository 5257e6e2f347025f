"""Keeps users' LoRAs: upload -> incoming -> **file, then record** -> the file on the machine that uses it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from composition.config import ConfigError
from composition.errors import NotFound, NotReady, StorageAway
from composition.lora import KeyLayout, Lora, LoraFacts, LoraKind
from composition.loras.library import name_taken
from jobs.loras.incoming import IncomingFile, incoming_in, remove_rests, told_as_storage
from jobs.loras.lora_files import LoraFiles

logger = logging.getLogger(__name__)

BLOCK_BYTES: Final = 4 << 20


class KeptLoras:
    """`composition.ports.lora_store.LoraStore` over `LoraFiles`.

    Args:
        files: what keeps them.
        folder: of this machine, for uploads and, where files have to be fetched, for at most `max_cached_bytes` of them.
        orphan_age_s: how old a file without a record is when it is taken for a crash's rest; another node's upload may
            be between the two.
        clock: UTC seconds.
    """  # noqa: E501

    def __init__(
        self,
        files: LoraFiles,
        folder: Path,
        *,
        max_cached_bytes: int,
        orphan_age_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._files, self._clock = files, clock
        self._incoming, self._cache = folder / "incoming", folder / "cache"
        self._max_cached_bytes, self._orphan_age_s = max_cached_bytes, orphan_age_s
        self._fetching: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def open(self) -> None:
        await self._files.open()
        try:
            await asyncio.to_thread(self._incoming.mkdir, 0o700, True, True)
        except OSError as error:
            raise ConfigError(f"storage.folder: {self._incoming} cannot be made: {error}") from error
        if rests := await asyncio.to_thread(remove_rests, self._incoming):
            logger.info("%d broken-off uploads of LoRAs are removed", rests)
        try:
            await self._remove_orphans()
        except NotReady as error:
            logger.warning("the storage of LoRAs is not tidied: %s", error)

    @asynccontextmanager
    async def receive(self) -> AsyncIterator[IncomingFile]:
        async with incoming_in(self._incoming) as incoming:
            yield incoming

    async def add(self, lora: Lora, file: Path) -> Lora:
        kept = replace(lora, key=uuid.uuid4().hex)
        await self._files.put(kept.key, file)
        added = False
        try:
            added = await self._files.add_record(_key_of(kept), kept.name, _dump(kept))
        finally:
            if not added:
                with suppress(NotReady):
                    await asyncio.shield(self._files.delete(kept.key))
        if not added:
            raise name_taken(kept.name)
        return kept

    async def of(self, owner: str) -> tuple[Lora, ...]:
        loras = [_load(text) for text in await self._files.records(owner_key(owner))]
        return tuple(sorted((lora for lora in loras if lora.owner == owner), key=lambda lora: lora.name))

    async def remove(self, lora: Lora) -> bool:
        removed = await self._files.remove_record(_key_of(lora), lora.name)
        if removed:
            await self._files.delete(lora.key)
        return removed

    async def local_file(self, lora: Lora) -> Path:
        path = self._files.path_of(lora.key)
        if path is not None:
            if not path.is_file():
                raise NotFound(f"the file of LoRA {lora.name} is not in the storage any more")
            return path
        async with self._fetching.setdefault(lora.sha256, asyncio.Lock()):
            cached = self._cache / f"{lora.sha256}.safetensors"
            if not cached.is_file():
                await self._fetch(lora, cached)
            with told_as_storage():
                cached.touch()
            await asyncio.to_thread(self._bound_cache, cached)
            return cached

    async def _fetch(self, lora: Lora, cached: Path) -> None:
        async with incoming_in(self._incoming) as incoming:
            await self._files.fetch(lora.key, incoming.path)
            if await asyncio.to_thread(_digest, incoming.path) != lora.sha256:
                raise StorageAway(f"the file of LoRA {lora.name} is damaged in the storage")
            with told_as_storage():
                cached.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                incoming.path.replace(cached)

    def _bound_cache(self, latest: Path) -> None:
        """Forget the files that were not used for longest, but never the one that is just wanted."""
        with told_as_storage():
            files = sorted(self._cache.glob("*.safetensors"), key=lambda path: path.stat().st_mtime)
            total = sum(path.stat().st_size for path in files)
            for path in files:
                if total <= self._max_cached_bytes or path == latest:
                    return
                total -= path.stat().st_size
                path.unlink(missing_ok=True)

    async def _remove_orphans(self) -> None:
        keys = await self._files.keys()
        recorded = {_load(text).key for text in await self._files.records()}
        for key, at in keys.items():
            if key not in recorded and at <= self._clock() - self._orphan_age_s:
                logger.info("LoRA file %s has no record: removed", key)
                await self._files.delete(key)


def owner_key(owner: str) -> str:
    """An owner's name as a folder: any text, in characters that every file system knows."""
    return hashlib.sha256(owner.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _key_of(lora: Lora) -> str:
    assert lora.owner is not None
    return owner_key(lora.owner)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _dump(lora: Lora) -> str:
    return json.dumps(asdict(lora))


def _load(text: str) -> Lora:
    document = json.loads(text)
    facts = document["facts"]
    lists = {name: tuple(facts[name]) for name in ("ranks", "parts", "trigger_words")}
    kinds = {"kind": LoraKind(facts["kind"]), "layout": KeyLayout(facts["layout"])}
    return Lora(**{**document, "facts": LoraFacts(**{**facts, **lists, **kinds})})
