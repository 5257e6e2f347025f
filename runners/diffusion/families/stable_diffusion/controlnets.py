"""ControlNets on demand: loaded at first use, the least recently used one dropped when there are too many."""

from __future__ import annotations

import gc
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn

from composition.controls import CONTROLS
from composition.errors import InvalidInput
from composition.request import ControlType
from runners.diffusion.families.stable_diffusion.components import ordinary_tensors, weights_variant
from runners.int8 import quantise


class ControlNetPool:
    """At most `max_loaded` ControlNets in memory, and more only while one batch needs more at the same time.

    Those that the last batch used are not dropped before the next one begins: the thread that encodes would otherwise
    take away what a forward computes with, which frees nothing and is loaded again at the next step.

    `loading` is held while one is loaded; `adopt` is shown each one that was.
    """

    def __init__(
        self,
        paths: Mapping[ControlType, Path],
        *,
        max_loaded: int,
        device: torch.device,
        dtype: torch.dtype,
        int8: bool = False,
        adopt: Callable[[nn.Module], None] = lambda _: None,
        loading: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._paths, self._max_loaded = dict(paths), max_loaded
        self._device, self._dtype, self._int8 = device, dtype, int8
        self._adopt, self._loading = adopt, loading
        self._loaded: OrderedDict[ControlType, Any] = OrderedDict()
        self._in_use: frozenset[ControlType] = frozenset()
        self._lock = threading.Lock()
        self.loads = 0

    def check(self, kinds: Collection[ControlType]) -> None:
        """Raises: InvalidInput: this profile has no such ControlNet."""
        for kind in kinds:
            if kind not in self._paths:
                raise InvalidInput(f"control type {kind} is not available with this model profile")

    def use(self, kinds: Collection[ControlType]) -> None:
        """A forward with just these begins: they stay until the next one does. What is too many by now is dropped."""
        with self._lock:
            self._in_use = frozenset(kinds)
            self._trim(max(self._max_loaded, len(self._in_use)))

    def get(self, kind: ControlType, *, needed: int = 1) -> Any:
        """The ControlNet, loaded when it was not.

        The caller is going to use `needed` different ones in turn; as many stay, whatever the limit.
        """
        with self._lock:
            if kind not in self._loaded:
                self._trim(max(self._max_loaded, needed) - 1)
                self._loaded[kind] = self._load(kind)
                self.loads += 1
            self._loaded.move_to_end(kind)
            return self._loaded[kind]

    def preload(self) -> None:
        """Load as many as may stay."""
        for kind in list(self._paths)[: self._max_loaded]:
            self.get(kind)

    def drop_all(self) -> None:
        """Free the memory of every one that is not in use; they are loaded again when needed."""
        with self._lock:
            self._trim(0)

    @property
    def available(self) -> frozenset[ControlType]:
        """Every kind that this profile has, loaded or not."""
        return frozenset(self._paths)

    @property
    def loaded(self) -> Mapping[ControlType, Any]:
        with self._lock:
            return dict(self._loaded)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(CONTROLS[kind].role for kind in self.loaded)

    def _trim(self, keep: int) -> None:
        surplus = max(0, len(self._loaded) - keep)
        dropped = [kind for kind in self._loaded if kind not in self._in_use][:surplus]
        for kind in dropped:
            del self._loaded[kind]
        if dropped:
            gc.collect()
            if self._device.type == "cuda":
                torch.cuda.empty_cache()

    def _load(self, kind: ControlType) -> Any:
        from diffusers import ControlNetModel

        folder = self._paths[kind]
        with self._loading(), ordinary_tensors():
            network = ControlNetModel.from_pretrained(
                folder, dtype=self._dtype, variant=weights_variant(folder, self._dtype), local_files_only=True
            )
            if self._int8:
                quantise(network)
            network = network.to(self._device).eval()
            self._adopt(network)
            return network
