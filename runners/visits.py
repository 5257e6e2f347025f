"""Models that wait in the computer's memory and visit the device while they work.

Their weights do not change there, so nothing is copied back: the copy that they came from is kept, pinned where the
device is a GPU, and taken up again. On a small card the visitors of all processes take turns, by a lock on a file:
the memory planner counts on at most one of them being there.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

VISITS_LOCK = "visits.lock"


class ModelVisits:
    """With offloading off, everything lives on the device and this does nothing.

    Args:
        device: where the modules work.
        offload: whether they visit it only.
        turn: the file whose lock a visitor holds; None for the only process that has any.
    """

    def __init__(self, device: torch.device, *, offload: bool, turn: Path | None = None) -> None:
        self._device, self._offload, self._turn = device, offload, turn
        self._homes: dict[int, _Home] = {}
        self.visits = 0

    @contextmanager
    def on_device(self, *modules: nn.Module) -> Iterator[None]:
        """The modules are on the device inside of the block."""
        if not self._offload:
            yield
            return
        with _held(self._turn):
            homes = [self._home_of(module) for module in modules]
            try:
                for home in homes:
                    home.leave_for(self._device)
                    self.visits += 1
                yield
            finally:
                for home in homes:
                    home.come_back()
                if self._turn is not None and self._device.type == "cuda":
                    torch.cuda.empty_cache()  # what one process keeps unused the next visitor cannot have

    def _home_of(self, module: nn.Module) -> _Home:
        if id(module) not in self._homes:
            self._homes[id(module)] = _Home(module, pin=self._device.type == "cuda")
        return self._homes[id(module)]


class _Home:
    """A module's parameters and buffers as they are in the computer's memory, each with where it belongs."""

    def __init__(self, module: nn.Module, *, pin: bool) -> None:
        self._module = module  # kept alive: its id names it
        places: list[dict[str, Any]] = [
            place for part in module.modules() for place in (part._parameters, part._buffers)
        ]
        self._kept = [
            (place, name, _in_memory(tensor, pin=pin))
            for place in places
            for name, tensor in place.items()
            if tensor is not None
        ]

    def leave_for(self, device: torch.device) -> None:
        # What is made in inference mode could not be a weight outside of it.
        with torch.inference_mode(mode=False), torch.no_grad():
            for place, name, kept in self._kept:
                there = kept.to(device, non_blocking=True)
                place[name] = nn.Parameter(there, requires_grad=False) if isinstance(kept, nn.Parameter) else there

    def come_back(self) -> None:
        for place, name, kept in self._kept:
            place[name] = kept


def _in_memory(tensor: torch.Tensor, *, pin: bool) -> torch.Tensor:
    """The same object, its content in memory that the GPU can copy from by itself."""
    with torch.inference_mode(mode=False), torch.no_grad():
        data = tensor.data.cpu()
        tensor.data = data.pin_memory() if pin else data
    return tensor


@contextmanager
def _held(turn: Path | None) -> Iterator[None]:
    if turn is None:
        yield
        return
    turn.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(turn, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)  # and with it the lock
