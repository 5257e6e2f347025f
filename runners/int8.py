"""Weights as 8-bit integers (SPEC.md 6.2), weight-only: half of half precision's memory, computed in the old format.

Each output channel of a linear layer or a convolution has its own scale (symmetric, the largest weight is 127). The
weight is put together again, in the layer's own format, whenever the layer runs, and forgotten: what is saved is
memory, not time. torchao's weight-only int8 knows linear layers; of a ControlNet of SD 1.5 64 % are convolutions
(ADR 9).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

LEAST_WEIGHTS = 4096
"""Smaller layers stay as they are: nothing is saved by them, and the first and last ones are the most sensitive."""
_LEVELS = 127


@dataclass(frozen=True, kw_only=True)
class Quantised:
    """What became of a module: parameters, those that are int8 now, and its bytes before and after."""

    parameters: int
    quantised: int
    bytes_before: int
    bytes_after: int

    @property
    def share(self) -> float:
        return self.quantised / max(1, self.parameters)


class _Int8Weight(nn.Module):
    """Mixed into a layer's class: `weight` is computed from `weight_int8` and `weight_scale`."""

    weight_int8: torch.Tensor
    weight_scale: torch.Tensor

    @property
    def weight(self) -> torch.Tensor:
        return self.weight_int8.to(self.weight_scale.dtype) * self.weight_scale


class Int8Linear(_Int8Weight, nn.Linear):  # type: ignore[override]
    pass


class Int8Conv2d(_Int8Weight, nn.Conv2d):  # type: ignore[override]
    pass


_CLASSES: dict[type[nn.Module], type[nn.Module]] = {nn.Linear: Int8Linear, nn.Conv2d: Int8Conv2d}


@torch.no_grad()
def quantise(module: nn.Module, *, linear_only: bool = False) -> Quantised:
    """Hold a module's large layers as int8, in place; layers of derived classes (LoRA's) stay as they are."""
    parameters, before = sum(p.numel() for p in module.parameters()), weight_bytes(module)
    quantised = 0
    for layer in module.modules():
        int8 = _CLASSES.get(type(layer))
        if int8 is None or (linear_only and type(layer) is not nn.Linear):
            continue
        weight: Any = layer.weight
        if weight.numel() < LEAST_WEIGHTS:
            continue
        quantised += weight.numel()
        rows = weight.detach().float().flatten(1)
        scale = (rows.abs().amax(dim=1) / _LEVELS).clamp(min=torch.finfo(torch.float32).tiny)
        shape = (-1, *[1] * (weight.ndim - 1))
        values = (rows / scale[:, None]).round().clamp(-_LEVELS, _LEVELS).to(torch.int8).reshape(weight.shape)
        del layer._parameters["weight"]
        layer.__class__ = int8
        layer.register_buffer("weight_int8", values)
        layer.register_buffer("weight_scale", scale.reshape(shape).to(weight.dtype))
    return Quantised(parameters=parameters, quantised=quantised, bytes_before=before, bytes_after=weight_bytes(module))


def weight_bytes(module: nn.Module) -> int:
    """Of all parameters and buffers."""
    return sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))
