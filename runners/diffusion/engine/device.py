"""The device that a family computes on, as far as batching and memory depend on it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

Result = TypeVar("Result")


class Device(Protocol):
    """See `runners.diffusion.torch_device.TorchDevice`."""

    @property
    def asynchronous(self) -> bool:
        """It computes beside the CPU, so encoding and decoding deserve a thread of their own."""
        ...

    def inference(self) -> AbstractContextManager[None]:
        """Held by each thread that calls the family, for as long as it does."""
        ...

    def free_bytes(self) -> int | None:
        """What a forward may take now; None where memory cannot run short unseen (CPU)."""
        ...

    def measured(self, work: Callable[[], Result]) -> tuple[Result, int | None]:
        """Do `work`; its result, and the bytes it took at its peak on top of what was held (None where unknown)."""
        ...

    def keep_pace(self) -> None:
        """Called after every step: wait until the one before it is computed.

        A step waits for nothing that it computes, so an asynchronous device is given the next one while it computes.
        More of them in its queue would be in the way of who comes, and go on for who has left.
        """
        ...

    def release(self) -> None:
        """Give back what is held unused."""
        ...
