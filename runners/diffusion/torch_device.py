"""The engine's device, for families whose networks run in torch."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

import torch

Result = TypeVar("Result")


class TorchDevice:
    """`engine.device.Device` where the models are; `asynchronous` by default on CUDA."""

    def __init__(self, device: torch.device, *, asynchronous: bool | None = None) -> None:
        self._device, self._cuda = device, device.type == "cuda"
        self._asynchronous = self._cuda if asynchronous is None else asynchronous
        self._step_issued: torch.cuda.Event | None = None

    @property
    def asynchronous(self) -> bool:
        return self._asynchronous

    def inference(self) -> AbstractContextManager[None]:
        return torch.inference_mode()

    def free_bytes(self) -> int | None:
        """Free on the GPU plus what torch holds unused; None on a CPU."""
        if not self._cuda:
            return None
        free, _ = torch.cuda.mem_get_info(self._device)
        return free + torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)

    def measured(self, work: Callable[[], Result]) -> tuple[Result, int | None]:
        """The peak is torch's own count, None on a CPU."""
        if not self._cuda:
            return work(), None
        torch.cuda.reset_peak_memory_stats(self._device)
        before = torch.cuda.memory_allocated(self._device)
        result = work()
        return result, torch.cuda.max_memory_allocated(self._device) - before

    def keep_pace(self) -> None:
        """Nothing to wait for on a CPU."""
        if not self._cuda:
            return
        before, self._step_issued = self._step_issued, torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        self._step_issued.record(torch.cuda.current_stream(self._device))
        if before is not None:
            before.synchronize()

    def release(self) -> None:
        """Collect what only cycles hold, and empty torch's cache."""
        gc.collect()
        if self._cuda:
            torch.cuda.empty_cache()
