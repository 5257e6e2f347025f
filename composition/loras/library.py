"""Whose LoRAs there are: upload -> check -> **library** -> the files that a request uses.

The operator's own, from a folder, are everybody's; what a caller uploads is the caller's alone, and does not exist for
others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from composition.config.tree import LorasConfig
from composition.errors import InvalidInput, NotFound, PayloadTooLarge, UnusableLora
from composition.lora import FAMILY_NAMES, Lora, LoraFacts, LoraKind, LoraUse
from composition.loras.description import describe, tidy_words
from composition.loras.header import read_header
from composition.loras.names import check_name
from composition.loras.numbers import check_numbers
from composition.loras.operators_folder import OperatorsFolder
from composition.ports.lora_store import Incoming, LoraStore

MEGABYTE: Final = 1 << 20
MAX_NAMED: Final = 50
"""Of the LoRAs that an error lists."""


class LoraLibrary:
    """Safe to use from many tasks of one event loop at once.

    `family` is the family of models that is served, as far as this process knows; `clock` gives UTC seconds.
    """

    def __init__(
        self,
        config: LorasConfig,
        store: LoraStore,
        *,
        family: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config, self._store, self._clock = config, store, clock
        self.family = family
        self._folder = OperatorsFolder(config.folder)
        self._adding: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def open(self) -> None:
        """Raises: ConfigError: the operator's folder or the storage cannot be used."""
        await self._folder.open()
        await self._store.open()

    async def available(self, owner: str) -> tuple[Lora, ...]:
        """What an owner's requests may name, by name: the operator's, and the owner's own, which go before."""
        by_name = {lora.name: lora for lora in await self._folder.loras()}
        by_name |= {lora.name: lora for lora in await self._store.of(owner)}
        return tuple(by_name[name] for name in sorted(by_name))

    async def check_room(self, owner: str) -> None:
        """Whether an upload could be kept, to refuse it before it is read. Raises: UnusableLora, PayloadTooLarge."""
        self._check_quota(await self._store.of(owner), 0)

    def receive(self) -> AbstractAsyncContextManager[Incoming]:
        """A place for an upload; what is not added by the end of its context leaves nothing."""
        return self._store.receive()

    async def add(self, owner: str, name: str, incoming: Incoming, *, trigger_words: Iterable[str] = ()) -> Lora:
        """Check a file completely and keep it.

        Raises:
            UnusableLora: it is none, the name is taken or none, or the owner has as many as are kept.
            PayloadTooLarge: the owner's have as many bytes as are kept.
        """
        check_name(name)
        facts = await asyncio.to_thread(_checked, incoming.path, incoming.size_bytes)
        if words := tidy_words(trigger_words):
            facts = replace(facts, trigger_words=words)
        elif facts.kind is LoraKind.EMBEDDING:
            facts = replace(facts, trigger_words=(facts.token or name,))
        lora = Lora(
            name=name,
            owner=owner,
            key="",
            sha256=incoming.sha256,
            size_bytes=incoming.size_bytes,
            created_at=self._clock(),
            facts=facts,
        )
        async with self._adding.setdefault(owner, asyncio.Lock()):
            own = await self._store.of(owner)
            taken = {other.name.casefold(): other.name for other in (*await self._folder.loras(), *own)}
            if name.casefold() in taken:
                raise name_taken(taken[name.casefold()])
            self._check_quota(own, incoming.size_bytes)
            return await self._store.add(lora, incoming.path)

    async def remove(self, owner: str, name: str) -> Lora:
        """Forget one of the owner's own.

        Raises:
            NotFound: there is none, also for another owner's.
            InvalidInput: it is the operator's.
        """
        own = {lora.name: lora for lora in await self._store.of(owner)}
        if name in own and await self._store.remove(own[name]):
            return own[name]
        if any(lora.name == name for lora in await self._folder.loras()):
            raise InvalidInput(f"LoRA {name} is the operator's: it cannot be deleted here")
        raise NotFound("there is no such LoRA")

    async def check(self, owner: str, wanted: Mapping[str, float]) -> dict[str, str]:
        """Which files the names of a request mean now: SHA-256 by name.

        Raises: InvalidInput: there is none of a name, with those that there are; or it is for another family.
        """
        return {name: lora.sha256 for name, lora in (await self._chosen(owner, wanted)).items()}

    async def resolve(self, owner: str, wanted: Mapping[str, float], digests: Mapping[str, str]) -> tuple[LoraUse, ...]:
        """The files of a request that was accepted with `digests`, on this machine, by name.

        Raises:
            NotFound: one was deleted since, or another file has its name.
            InvalidInput: one is for another family of models.
        """
        if not wanted:
            return ()
        loras = {lora.name: lora for lora in await self.available(owner)}
        uses = []
        for name in sorted(wanted):
            lora = loras.get(name)
            if lora is None or digests.get(name, lora.sha256) != lora.sha256:
                raise NotFound(f"LoRA {name} was deleted or replaced after the edit was accepted: submit it again")
            self._check_family(lora)
            path = Path(lora.key) if lora.owner is None else await self._store.local_file(lora)
            uses.append(_use(lora, wanted[name], path))
        return tuple(uses)

    def fits(self, lora: Lora) -> bool | None:
        """Whether the served models can use it; None where the file's widths or this process say nothing."""
        if lora.facts.family is None or self.family is None:
            return None
        return lora.facts.family == self.family

    async def _chosen(self, owner: str, wanted: Mapping[str, float]) -> dict[str, Lora]:
        if not wanted:
            return {}
        loras = {lora.name: lora for lora in await self.available(owner)}
        for name in wanted:
            if name not in loras:
                names = list(loras)[:MAX_NAMED]
                raise InvalidInput(
                    f"config.loras: there is no LoRA {name[:100]!r}; "
                    + (
                        f"there are: {', '.join(names)}" if names else "there is none yet: POST /api/v1/loras takes one"
                    ),
                    details={"field": "config.loras", "available": names},
                )
            self._check_family(loras[name])
        return {name: loras[name] for name in wanted}

    def _check_family(self, lora: Lora) -> None:
        if self.fits(lora) is False:
            made, served = (FAMILY_NAMES.get(f or "", f) for f in (lora.facts.family, self.family))
            raise InvalidInput(
                f"config.loras: {lora.name} is for {made}, and {served} is served", details={"field": "config.loras"}
            )

    def _check_quota(self, own: tuple[Lora, ...], size_bytes: int) -> None:
        config = self._config
        if len(own) >= config.max_per_owner:
            raise UnusableLora(
                f"you have {len(own)} LoRAs, and {config.max_per_owner} are kept: delete one",
                details={"max_per_owner": config.max_per_owner},
            )
        if sum(lora.size_bytes for lora in own) + size_bytes > config.max_mb_per_owner * MEGABYTE:
            raise PayloadTooLarge(
                f"your LoRAs would have more than the {config.max_mb_per_owner} MB that are kept: delete one",
                details={"max_bytes": config.max_mb_per_owner * MEGABYTE},
            )


def name_taken(name: str) -> UnusableLora:
    return UnusableLora(f"name: there is a LoRA {name} already; delete it first", details={"field": "name"})


def _checked(path: Path, size_bytes: int) -> LoraFacts:
    with path.open("rb") as file:
        header = read_header(file, size_bytes)
        facts = describe(header)
        check_numbers(file, header)
    return facts


def _use(lora: Lora, weight: float, path: Path) -> LoraUse:
    facts = lora.facts
    return LoraUse(
        name=lora.name,
        weight=weight,
        path=str(path),
        sha256=lora.sha256,
        kind=facts.kind,
        token=(facts.token or lora.name) if facts.kind is LoraKind.EMBEDDING else None,
        trigger_words=facts.trigger_words,
        modules=facts.modules,
    )
