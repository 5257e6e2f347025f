"""A GPU that computes nothing: torch's fake tensors on "cuda", and a count of what a program would wait for there.

What reads a tensor's numbers on the CPU, and what depends on them for its shape, makes the CPU wait until all that was
issued before is computed. An upload from ordinary memory waits as well.
"""

from __future__ import annotations

import copy
import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten
SHAPED_BY_NUMBERS = (
    aten.nonzero,
    aten.masked_select,
    aten.unique_dim,
    aten._unique2,
    aten.unique_consecutive,
    aten.bincount,
    aten.repeat_interleave,
)
READS = (aten._local_scalar_dense, aten.equal, aten.is_nonzero, aten._linalg_check_errors, aten._assert_async)


class Waits(TorchDispatchMode):
    """Counts by operation: `waits`, and `uploads` from the CPU.

    To be used under `torch.no_grad`: inference mode hands on operations that read a number inside of themselves.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        self.uploads: Counter[str] = Counter()
        self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        on_cuda = any(tensor.is_cuda for tensor in given)
        name, packet = str(func), func.overloadpacket
        self.operations += on_cuda
        masked = packet in (aten.index, aten.index_put, aten.index_put_) and any(
            tensor.dtype in (torch.bool, torch.uint8) for tensor in given[1:]
        )
        # Counted before it is done: a fake tensor may refuse.
        if on_cuda and (packet in READS or packet in SHAPED_BY_NUMBERS or masked):
            self.waits[name] += 1
        goes_to_cuda = kwargs.get("device") is not None and torch.device(kwargs["device"]).type == "cuda"
        # A number without axes travels with the launch, as long as it is not made a tensor of the GPU.
        copied = goes_to_cuda or packet is aten.copy_
        uploaded = any(not tensor.is_cuda and (tensor.ndim or copied) for tensor in given)
        if uploaded and (goes_to_cuda or on_cuda):
            self.uploads[name] += 1
        result = func(*args, **kwargs)
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        if on_cuda and any(not tensor.is_cuda for tensor in made):
            self.waits[name] += 1
        return result


class FakeCuda:
    """One world of fake tensors."""

    def __init__(self) -> None:
        self.mode = FakeTensorMode()

    def moved(self, thing: Any) -> Any:
        """A copy of a tensor, a module, or what has tensors in its fields and items, with those on the GPU."""
        if isinstance(thing, FakeTensor):
            return thing
        if isinstance(thing, torch.Tensor):
            return self._tensor(thing)
        if isinstance(thing, nn.Module):
            return self._module(thing)
        if isinstance(thing, Mapping):
            return {key: self.moved(value) for key, value in thing.items()}
        if isinstance(thing, (tuple, list)):
            return type(thing)(self.moved(value) for value in thing)
        if dataclasses.is_dataclass(thing):
            moved = copy.copy(thing)
            for field in dataclasses.fields(thing):
                object.__setattr__(moved, field.name, self.moved(getattr(thing, field.name)))
            return moved
        return thing

    def _tensor(self, tensor: torch.Tensor) -> torch.Tensor:
        with self.mode:
            return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cuda")

    def _module(self, module: nn.Module) -> nn.Module:
        held = [*module.parameters(), *module.buffers()]
        copies = {id(tensor): self.moved(tensor) for tensor in held}
        moved: nn.Module = copy.deepcopy(module, copies)
        return moved
