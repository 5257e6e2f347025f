"""Arithmetic on a batch's tensors at once, each with its own number: one launch per operation, and nothing is uploaded.

The numbers travel as arguments of the launch. What torch makes of a coefficient that is a tensor of its own on the CPU,
as a stock scheduler's are, depends on the device; here it is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch

Tensors: TypeAlias = list[torch.Tensor] | tuple[torch.Tensor, ...]


def scaled(tensors: Tensors, numbers: Sequence[float]) -> list[torch.Tensor]:
    """As `coefficient * tensor`: a CPU rounds the coefficient to the tensor's format first, CUDA takes all of it."""
    if not tensors[0].is_cuda:
        numbers = torch.tensor(numbers, dtype=tensors[0].dtype).tolist()
    return list(torch._foreach_mul(tensors, list(numbers)))


def divided(tensors: Tensors, numbers: Sequence[float]) -> list[torch.Tensor]:
    """As `tensor / coefficient`: CUDA multiplies with its float32 reciprocal."""
    if tensors[0].is_cuda:
        return scaled(tensors, torch.tensor(numbers, dtype=torch.float32).reciprocal().tolist())
    return list(torch._foreach_div(tensors, list(numbers)))


def added(ones: Tensors, others: Tensors) -> list[torch.Tensor]:
    return list(torch._foreach_add(ones, others))


def subtracted(ones: Tensors, others: Tensors) -> list[torch.Tensor]:
    return list(torch._foreach_sub(ones, others))


def in_format(tensors: Tensors, dtype: torch.dtype) -> list[torch.Tensor]:
    return [tensor.to(dtype) for tensor in tensors]
