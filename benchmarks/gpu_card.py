"""What a report asks of the card itself: the memory that is held, and how fast it multiplies."""

from __future__ import annotations

from collections.abc import Callable

import torch

from benchmarks.bench_requests import seconds


class PeakMemory:
    """Of the GPU, from now on; None without one."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def bytes(self) -> int | None:
        return torch.cuda.max_memory_reserved(self._device) if self._device.type == "cuda" else None


def measure_tflops(device: torch.device, dtype: torch.dtype, side: int) -> float:
    """What a large matrix product reaches: the best of five."""
    left = torch.ones(side, side, device=device, dtype=dtype)

    def multiply() -> None:
        _ = left @ left
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    multiply()
    work: Callable[[], None] = multiply
    return 2 * side**3 / min(seconds(work) for _ in range(5)) / 1e12
