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
        self._lock = threading.RLock()
        """Held while one is loaded and while one computes a step: nothing is dropped in the middle of it."""

    @property
    def models_loaded(self) -> Sequence[str]:
        with self._lock:
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
        with self._lock:
            loaded = not bucket.checkpoint or bucket.checkpoint in self._loaded
        return loaded and self._base.ready(bucket)

    def activate(self, bucket: Bucket) -> None:
        with self._lock:
            self._active = bucket.checkpoint
            self._get(bucket.checkpoint).activate(bucket)

    def predict(self, states: Sequence[RequestState]) -> Sequence[Any]:
        with self._lock:
            return self._get(states[0].bucket.checkpoint).predict(states)

    def preview(self, state: RequestState) -> Image | None:
        return self._base.preview(state)

    def decode(self, state: RequestState) -> Image:
        return self._get(state.bucket.checkpoint).decode(state)

    def release_memory(self) -> None:
        """Every checkpoint but the base model and the one that is at work goes."""
        with self._lock:
            self._drop([name for name in self._loaded if name != self._active])
            for family in (self._base, *self._loaded.values()):
                family.release_memory()

    def stats(self) -> Mapping[str, object]:
        with self._lock:
            loaded = list(self._loaded)
        return {**self._base.stats(), "checkpoints": {"loaded": loaded, "loads": self._loads}}

    @property
    def names(self) -> list[str]:
        """Those that a request may name."""
        return sorted(self._names)

    def _get(self, name: str) -> Family[Any]:
        if not name:
            return self._base
        with self._lock:
            if name not in self._loaded:
                oldest_first = list(self._loaded)
                self._drop(oldest_first[: max(0, len(oldest_first) - self._max_loaded + 1)])
                logger.info("loading checkpoint %s", name)
                self._loaded[name] = self._load(name)
                self._loads += 1
            self._loaded.move_to_end(name)
            return self._loaded[name]

    def _drop(self, names: Sequence[str]) -> None:
        for name in names:
            del self._loaded[name]
        if names:
            gc.collect()
            self._release_device()
