"""A forward in float32 on a model held in half precision, for a request whose numbers did not stay finite there.

float16 ends at 65504. The weights are widened for one forward and narrowed again, which is exact both ways, so others'
next step has the very weights that it had before.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from runners.diffusion.families.stable_diffusion.offload import full_precision

FLOAT32 = "float32"
"""`Bucket.precision` of such a request."""


def matching(module: nn.Module, tensor: torch.Tensor) -> AbstractContextManager[None]:
    """The module in the format of the tensor that it is going to get: its own, or float32."""
    return nullcontext() if fits(module, tensor) else full_precision(module)


def fits(module: nn.Module, tensor: torch.Tensor) -> bool:
    """Whether they have one number format."""
    return next(module.parameters()).dtype == tensor.dtype
