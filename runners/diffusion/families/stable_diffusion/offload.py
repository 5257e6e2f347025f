"""Model offloading: parts that a denoising step does not need wait on the CPU and visit the device while used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class ModelOffload:
    """With offloading off, everything lives on the device and this does nothing."""

    def __init__(self, device: torch.device, *, offload: bool) -> None:
        self._device, self._offload = device, offload
        self.visits = 0

    @contextmanager
    def on_device(self, *modules: nn.Module) -> Iterator[None]:
        if not self._offload:
            yield
            return
        try:
            for module in modules:
                module.to(self._device)
                self.visits += 1
            yield
        finally:
            for module in modules:
                module.to("cpu")
