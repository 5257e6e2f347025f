"""What an image network looks like to its pre- and post-processing: numpy in, numpy out."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

Tensor = npt.NDArray[np.float32]


class Network(Protocol):
    """An ONNX model with one input; `fixed_batch` is the batch size that it was exported with, None for any."""

    fixed_batch: int | None

    def __call__(self, batch: Tensor) -> tuple[Tensor, ...]:
        """Every output, in the model's own order."""
        ...


def module_of(network: Network) -> object:
    """The torch module that a network is, for whoever moves it; None of one that another library holds."""
    return getattr(network, "module", None)


def run_in_batches(network: Network, batch: Tensor) -> tuple[Tensor, ...]:
    """Run any number of rows through a network that may have been exported with a fixed batch size.

    A fixed size is filled up with zeros, and the filling's outputs are dropped.
    """
    size = network.fixed_batch
    if size is None or size == len(batch):
        return network(batch)
    runs = []
    for start in range(0, len(batch), size):
        rows = batch[start : start + size]
        filled = np.concatenate([rows, np.zeros((size - len(rows), *rows.shape[1:]), np.float32)])
        runs.append(tuple(output[: len(rows)] for output in network(filled)))
    return tuple(np.concatenate(parts) for parts in zip(*runs, strict=True))


class HasModule(Protocol):
    """A model that says which torch module it runs."""

    @property
    def module(self) -> object: ...


def all_modules(*models: HasModule) -> object:
    """The torch modules of several models as one, for whoever moves them; None when none of them is one."""
    modules = [model.module for model in models if model.module is not None]
    if not modules:
        return None
    from torch import nn

    return nn.ModuleList(modules)  # type: ignore[arg-type]
