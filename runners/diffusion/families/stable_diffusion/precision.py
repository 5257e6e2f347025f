"""A forward in float32 on a model that is held in half precision, for a request whose numbers did not stay finite there.

float16 ends at 65504. The weights are widened for one forward and narrowed again, which is exact both ways, so others'
next step has the very weights that it had before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

FLOAT32 = "float32"
"""`Bucket.precision` of such a request."""


@contextmanager
def widened(module: nn.Module, dtype: torch.dtype) -> Iterator[None]:
    """While it lasts, the module computes in `dtype`; nothing is done where it does anyway."""
    held = next(module.parameters()).dtype
    if held == dtype:
        yield
        return
    module.to(dtype)
    try:
        yield
    finally:
        module.to(held)
