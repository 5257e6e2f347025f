"""Where a part is and in which precision, for as long as it is used.

Model offloading: parts that a denoising step does not need wait on the CPU and visit the device.
"""

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


@contextmanager
def full_precision(module: nn.Module) -> Iterator[None]:
    """The module in float32; afterwards as it was, to the bit where it comes from half precision."""
    dtype = next(module.parameters()).dtype
    module.to(torch.float32)
    try:
        yield
    finally:
        module.to(dtype)
