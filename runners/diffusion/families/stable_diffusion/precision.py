"""In which precision a part computes, for as long as it is used.

float16 ends at 65504. A request whose numbers did not stay finite in half precision is computed once more in float32:
the weights are widened for one forward and narrowed again, which is exact both ways, so others' next step has the very
weights that it had before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn

from runners.diffusion.families.stable_diffusion.components import ordinary_tensors

FLOAT32 = "float32"
"""`Bucket.precision` of such a request."""


@contextmanager
def full_precision(module: nn.Module) -> Iterator[None]:
    """The module in float32; afterwards as it was, to the bit where it comes from half precision."""
    dtype = next(module.parameters()).dtype
    with ordinary_tensors():
        module.to(torch.float32)
    try:
        yield
    finally:
        with ordinary_tensors():
            module.to(dtype)


def matching(module: nn.Module, tensor: torch.Tensor) -> AbstractContextManager[None]:
    """The module in the format of the tensor that it is going to get: its own, or float32."""
    return nullcontext() if fits(module, tensor) else full_precision(module)


def fits(module: nn.Module, tensor: torch.Tensor) -> bool:
    """Whether they have one number format."""
    return next(module.parameters()).dtype == tensor.dtype
