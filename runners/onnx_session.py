"""One ONNX file as a callable: numpy in, numpy out; by onnxruntime on the CPU, as a torch module on a GPU."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from runners.network import Network, Tensor
from runners.onnx_torch import OnnxModule, TorchNetwork, UnknownOperator

logger = logging.getLogger(__name__)

_ALIKE = 0.01
"""By how much two runtimes may differ, of the largest output: a GPU multiplies in less precise formats."""


def open_network(
    path: Path, device: torch.device, output_names: Sequence[str] | None = None, *, home: torch.device | None = None
) -> Network:
    """The network on the device where the other models are, or at `home` when it only visits that.

    On a GPU it is a torch module, after it has given what onnxruntime gives on the CPU; where it does not, onnxruntime
    goes on, on the GPU if it is built for it, and a warning says so.
    """
    if device.type == "cpu":
        return OnnxNetwork(path, device, output_names)
    network = open_on_gpu(path, device, output_names)
    if home is not None and isinstance(network, TorchNetwork):
        network.module.to(home)
    return network


def open_on_gpu(path: Path, device: torch.device, output_names: Sequence[str] | None) -> Network:
    """As `open_network` for a device that is no CPU."""
    reference = OnnxNetwork(path, torch.device("cpu"), output_names)
    try:
        network = TorchNetwork(OnnxModule(path, output_names).to(device))
        if fault := find_difference(network, reference):
            raise UnknownOperator(fault)
    except (UnknownOperator, RuntimeError, ValueError, KeyError, TypeError, IndexError) as error:
        fallback = OnnxNetwork(path, device, output_names)
        logger.warning("%s is run by onnxruntime with %s: %s", path.name, fallback.providers[0], error)
        return fallback
    return network


def find_difference(network: TorchNetwork, reference: OnnxNetwork) -> str | None:
    """What one gives otherwise than the other for noise, in words; None where they agree."""
    shape = [size or 1 for size in network.module.input_shape]
    noise = np.random.default_rng(0).random(shape, np.float32)
    for number, (ours, theirs) in enumerate(zip(network(noise), reference(noise), strict=True)):
        largest = float(np.abs(theirs).max())
        if ours.shape != theirs.shape or not np.abs(ours - theirs).max() <= _ALIKE * largest:
            return f"output {number} is not what onnxruntime gives"
    return None


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

    @property
    def providers(self) -> tuple[str, ...]:
        return tuple(self._session.get_providers())

    def __call__(self, batch: Tensor) -> tuple[Tensor, ...]:
        return tuple(self._session.run(self._outputs, {self._input: batch}))


def _providers(device: torch.device) -> list[str]:
    cuda = device.type == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    return ["CUDAExecutionProvider", "CPUExecutionProvider"] if cuda else ["CPUExecutionProvider"]
