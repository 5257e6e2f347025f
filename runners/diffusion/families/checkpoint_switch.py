"""Several checkpoints of one family behind the engine's one: which of them a request names decides which runs.

Requests of different checkpoints never share a forward: a bucket has its checkpoint's name. The base model stays in
memory; of the others the least recently used one makes room, between two forwards.
"""

from __future__ import annotations

import gc
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from composition.diffusion import DiffusionRequest
from composition.errors import InvalidInput
from composition.images import Image
from runners.diffusion.engine.family import Family
from runners.diffusion.engine.state import Bucket, RequestState

logger = logging.getLogger(__name__)


class CheckpointSwitch:
    """`engine.family.Family` over a base model and those that `load` gives by name.

    `release_device` gives back what dropped weights held. Of the names at most `max_loaded` are in memory.
    """

    def __init__(
        self,
        base: Family[Any],
        names: Collection[str],
        load: Callable[[str], Family[Any]],
        *,
        max_loaded: int,
        release_device: Callable[[], None] = lambda: None,
    ) -> None:
        self._base, self._names, self._load = base, frozenset(names), load
        self._max_loaded, self._release_device = max_loaded, release_device
        self._loaded: OrderedDict[str, Family[Any]] = OrderedDict()
        self._active = ""
        self._loads = 0
        # Taken in this order. While one is loaded, steps of the others go on; one is dropped only between two steps, as
        # what computes keeps its memory.
        self._loading, self._computing, self._listing = threading.Lock(), threading.Lock(), threading.Lock()

    @property
    def models_loaded(self) -> Sequence[str]:
        with self._listing:
            return (*self._base.models_loaded, *self._loaded)

    def check(self, request: DiffusionRequest) -> None:
        """All checkpoints take what the base model takes. Raises: InvalidInput."""
        if request.model is not None and request.model not in self._names:
            raise InvalidInput(
                f"model {request.model} is not available", details={"model": request.model, "available": self.names}
            )
        self._base.check(request)

    def encode(self, request: DiffusionRequest) -> RequestState:
        name = request.model or ""
        state: RequestState = self._get(name).encode(request)
        state.bucket = replace(state.bucket, checkpoint=name)
        return state

    def ready(self, bucket: Bucket) -> bool:
        with self._listing:
            family = self._loaded.get(bucket.checkpoint) if bucket.checkpoint else self._base
        return family is not None and family.ready(bucket)

    def activate(self, bucket: Bucket) -> None:
        self._active = bucket.checkpoint
        self._get(bucket.checkpoint).activate(bucket)

    def predict(self, states: Sequence[RequestState]) -> Sequence[Any]:
        family = self._get(states[0].bucket.checkpoint)
        with self._computing:
            return family.predict(states)

    def advance(self, states: Sequence[RequestState], predictions: Sequence[Any]) -> None:
        self._get(states[0].bucket.checkpoint).advance(states, predictions)

    def preview(self, state: RequestState) -> Image | None:
        return self._base.preview(state)

    def decode(self, state: RequestState) -> Image:
        return self._get(state.bucket.checkpoint).decode(state)

    def release_memory(self) -> None:
        """Every checkpoint but the base model and the one that is at work goes."""
        with self._listing:
            idle = [name for name in self._loaded if name != self._active]
        self._drop(idle)
        with self._listing:
            held = (self._base, *self._loaded.values())
        for family in held:
            family.release_memory()

    def stop(self) -> None:
        with self._listing:
            held = (self._base, *self._loaded.values())
        for family in held:
            family.stop()

    def stats(self) -> Mapping[str, object]:
        with self._listing:
            loaded = list(self._loaded)
        return {**self._base.stats(), "checkpoints": {"loaded": loaded, "loads": self._loads}}

    @property
    def names(self) -> list[str]:
        """Those that a request may name."""
        return sorted(self._names)

    def _get(self, name: str) -> Family[Any]:
        family = self._base if not name else self._find(name)
        return family if family is not None else self._load_now(name)

    def _find(self, name: str) -> Family[Any] | None:
        """The one that is in memory, now the most recently used."""
        with self._listing:
            family = self._loaded.get(name)
            if family is not None:
                self._loaded.move_to_end(name)
            return family

    def _load_now(self, name: str) -> Family[Any]:
        with self._loading:
            family = self._find(name)  # another thread may have loaded it meanwhile
            if family is not None:
                return family
            with self._listing:
                oldest_first = list(self._loaded)
            self._drop(oldest_first[: max(0, len(oldest_first) - self._max_loaded + 1)])
            logger.info("loading checkpoint %s", name)
            family = self._load(name)
            with self._listing:
                self._loaded[name] = family
                self._loads += 1
            return family

    def _drop(self, names: Sequence[str]) -> None:
        if not names:
            return
        with self._computing:
            with self._listing:
                for name in names:
                    self._loaded.pop(name, None)
            gc.collect()
            self._release_device()
