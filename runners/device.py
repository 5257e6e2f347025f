"""Which device and number format the models run in, and how much memory is left; shared by every runner."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

import torch

from composition.config import ConfigError
from runners.cuda import find_cuda

logger = logging.getLogger(__name__)

DeviceName = Literal["auto", "cpu", "cuda"]
DtypeName = Literal["auto", "float32", "bfloat16", "float16"]

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class DeviceUnavailable(ConfigError):
    """The configuration names a device that cannot be used here; the message is one line: why, and what to do."""


@dataclass(frozen=True, kw_only=True)
class GpuMemory:
    """`available` says whether there is a GPU at all; nothing is free without one."""

    available: bool
    free_mb: int


def choose_device(name: DeviceName, *, card: int | None = None) -> torch.device:
    """The configured device; `auto` prefers CUDA, and warns when there is a GPU that it cannot use.

    `card` is the number of a GPU where there are several. Raises: DeviceUnavailable for `cuda` where it does not work.
    """
    if name == "cpu":
        return torch.device("cpu")
    cuda = find_cuda()
    if cuda.works:
        if card:
            torch.cuda.set_device(card)  # for what asks for no device by name
        return torch.device("cuda", torch.cuda.current_device())
    if name == "cuda":
        raise DeviceUnavailable(f"models.device is cuda, but {cuda.account}")
    if cuda.sign is not None:
        logger.warning("THE MODELS RUN ON THE CPU, many times slower: %s.", cuda.account)
    return torch.device("cpu")


def choose_dtype(name: DtypeName, device: torch.device) -> torch.dtype:
    """The configured number format; `auto` is float16 on CUDA, bfloat16 on a CPU that multiplies it, else float32."""
    if name != "auto":
        return _DTYPES[name]
    if device.type == "cuda":
        return torch.float16
    return torch.bfloat16 if cpu_multiplies_bfloat16() else torch.float32


def perception_dtype(name: DtypeName, device: torch.device) -> torch.dtype:
    """That of a model which only looks at an image: the configured one, but float32 for bfloat16.

    Its 8 bits of precision would show as steps in a depth map and as jagged silhouettes.
    """
    dtype = choose_dtype(name, device)
    return torch.float32 if dtype == torch.bfloat16 else dtype


def cpu_multiplies_bfloat16() -> bool:
    """Whether this CPU has bfloat16 dot products (AVX512-BF16 or AMX); emulated ones are slower than float32."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def gpu_memory(device: torch.device) -> GpuMemory:
    if device.type != "cuda":
        return GpuMemory(available=False, free_mb=0)
    free, _ = torch.cuda.mem_get_info(device)
    return GpuMemory(available=True, free_mb=free >> 20)
