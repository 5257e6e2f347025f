"""In which precision a part computes, for as long as it is used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def full_precision(module: nn.Module) -> Iterator[None]:
    """The module in float32; afterwards as it was, to the bit where it comes from half precision."""
    dtype = next(module.parameters()).dtype
    module.to(torch.float32)
    try:
        yield
    finally:
        module.to(dtype)
