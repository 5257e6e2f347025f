"""Which blocks are alike: one compiled block serves all of a kind, as weights are inputs of it like any other.

A kind is all that torch.compile takes as fixed: classes, settings, shapes. So the UNet, its ControlNets, other
checkpoints and sets of LoRAs share what is compiled wherever they do not differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

_OF_TORCH = frozenset(vars(nn.Module())) - {"training"}
_REPLACED = "forward"
"""Where a block's calls are taken over (see `blocks`)."""
_PLAIN = (bool, int, float, str, type(None))


def kind_of(block: nn.Module) -> str:
    """32 hexadecimal digits, the same in every process that has the same block."""
    described = [(name, *_described(module)) for name, module in block.named_modules()]
    return hashlib.sha256(repr(described).encode()).hexdigest()[:32]


def _described(module: nn.Module) -> tuple[Any, ...]:
    settings = {
        name: _told(value) for name, value in vars(module).items() if name not in _OF_TORCH and name != _REPLACED
    }
    tensors = [
        (name, tuple(tensor.shape), tensor.requires_grad)
        for held in (module._parameters, module._buffers)
        for name, tensor in held.items()
        if tensor is not None
    ]
    return _named(type(module)), sorted(settings.items()), tensors


def _told(value: Any) -> Any:
    """A setting in words that are the same in another process."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, torch.Tensor):
        return "tensor", str(value.dtype), tuple(value.shape)
    if isinstance(value, Mapping):
        return sorted((str(name), _told(held)) for name, held in value.items())
    if isinstance(value, list | tuple):
        return [_told(held) for held in value]
    if isinstance(value, set | frozenset):
        return sorted(str(held) for held in value)
    return _named(value if callable(value) and hasattr(value, "__qualname__") else type(value))


def _named(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"
