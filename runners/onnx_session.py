"""One ONNX file as a callable: numpy in, numpy out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnxruntime
import torch

from runners.network import Tensor


class OnnxNetwork:
    """A `Network` on onnxruntime.

    Args:
        path: the .onnx file.
        device: CUDA is used when both it and this build of onnxruntime have it.
        output_names: which outputs, in which order; None takes all as they are.
    """

    def __init__(self, path: Path, device: torch.device, output_names: Sequence[str] | None = None) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        # Threads that spin between calls would starve the torch models beside this one.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(path), options, providers=_providers(device))
        (model_input,) = self._session.get_inputs()
        self._input = model_input.name
        self._outputs = list(output_names) if output_names else None
        size = model_input.shape[0]
        self.fixed_batch: int | None = size if isinstance(size, int) else None

    def __call__(self, batch: Tensor) -> tuple[Tensor, ...]:
        return tuple(self._session.run(self._outputs, {self._input: batch}))


def _providers(device: torch.device) -> list[str]:
    cuda = device.type == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    return ["CUDAExecutionProvider", "CPUExecutionProvider"] if cuda else ["CPUExecutionProvider"]
