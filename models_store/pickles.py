"""Weights that a repository publishes only as a pickle, as safetensors in the store: what is served holds only numbers.

download -> check -> **convert** -> publish. The pickle is read by torch's unpickler for weights, which refuses all that
is not a tensor; it is gone when the entry is published.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class NotOnlyNumbers(Exception):
    """The pickle holds something else than named tensors."""


def convert_pickles(folder: Path, targets: Mapping[str, str]) -> None:
    """Rewrite each file of `targets` that is there under its new name, and delete it.

    Raises: NotOnlyNumbers.
    """
    for name, target in targets.items():
        if (folder / name).is_file():
            _convert(folder / name, folder / target)
            (folder / name).unlink()


def _convert(source: Path, target: Path) -> None:
    import torch
    from safetensors.torch import save_file

    try:
        state: Any = torch.load(source, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise NotOnlyNumbers(f"{source.name} does not hold only numbers: {str(error).partition('. ')[0]}") from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise NotOnlyNumbers(f"{source.name} does not hold named tensors")
    # Tensors that share memory are written once each: the format knows no sharing.
    whole = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}
    save_file(whole, target, metadata={"format": "pt"})
