"""Which device and number format the models run in, and how much memory is left; shared by every runner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

DeviceName = Literal["auto", "cpu", "cuda"]
DtypeName = Literal["auto", "float32", "bfloat16", "float16"]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class DeviceUnavailable(Exception):
    """The configuration names a device that this machine does not have."""


@dataclass(frozen=True, kw_only=True)
class GpuMemory:
    """`available` says whether there is a GPU at all; nothing is free without one."""

    available: bool
    free_mb: int


def choose_device(name: DeviceName) -> torch.device:
    """The configured device; `auto` prefers CUDA.

    Raises:
        DeviceUnavailable: for `cuda` on a machine without it.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceUnavailable("models.device is cuda, but torch finds no usable CUDA device: use auto or cpu")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", torch.cuda.current_device())


def choose_dtype(name: DtypeName, device: torch.device) -> torch.dtype:
    """The configured number format; `auto` is float16 on CUDA, bfloat16 on a CPU that multiplies it, else float32."""
    if name != "auto":
        return _DTYPES[name]
    if device.type == "cuda":
        return torch.float16
    return torch.bfloat16 if cpu_multiplies_bfloat16() else torch.float32


def cpu_multiplies_bfloat16() -> bool:
    """Whether this CPU has bfloat16 dot products (AVX512-BF16 or AMX); emulated ones are slower than float32."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def gpu_memory(device: torch.device) -> GpuMemory:
    """Free memory of the GPU that the models run on."""
    if device.type != "cuda":
        return GpuMemory(available=False, free_mb=0)
    free, _ = torch.cuda.mem_get_info(device)
    return GpuMemory(available=True, free_mb=free >> 20)
