"""The number format of models that only look at an image."""

from __future__ import annotations

import torch

from runners.device import DtypeName, choose_dtype


def perception_dtype(name: DtypeName, device: torch.device) -> torch.dtype:
    """The configured number format, but float32 for bfloat16.

    Its 8 bits of precision would show as steps in a depth map and as jagged silhouettes.
    """
    dtype = choose_dtype(name, device)
    return torch.float32 if dtype == torch.bfloat16 else dtype
