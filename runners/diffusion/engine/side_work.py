"""Encoding, decoding and previews beside the denoising loop: decoding an image comes before starting one."""

from __future__ import annotations

import itertools
import logging
import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import IntEnum
from typing import TypeAlias

logger = logging.getLogger(__name__)

Task: TypeAlias = Callable[[], None]


class Urgency(IntEnum):
    DECODE = 0
    ENCODE = 1
    PREVIEW = 2
    STOP = 3


class SideWork(ABC):
    """Runs one task after the other, never two at once."""

    def __init__(self) -> None:
        self._tasks: queue.PriorityQueue[tuple[int, int, Task]] = queue.PriorityQueue()
        self._numbers = itertools.count()

    @property
    @abstractmethod
    def beside(self) -> int:
        """Changes whenever a task begins or ends in another thread than the engine's; odd while one runs."""

    def submit(self, urgency: Urgency, task: Task) -> None:
        self._tasks.put((urgency, next(self._numbers), task))

    @abstractmethod
    def run_one(self) -> bool:
        """Called by the engine between steps; True when a task ran in the caller's thread."""

    @abstractmethod
    def stop(self) -> None: ...


class InlineSideWork(SideWork):
    """One task between two steps, in the engine's own thread: on a CPU a second thread would only share the cores."""

    @property
    def beside(self) -> int:
        return 0

    def run_one(self) -> bool:
        try:
            _, _, task = self._tasks.get_nowait()
        except queue.Empty:
            return False
        _run(task)
        return True

    def stop(self) -> None:
        """Nothing to do: the tasks end with the engine's thread."""


class ThreadSideWork(SideWork):
    """A thread of its own, for a GPU: tokenising, image conversion and waiting for pixels do not hold up the next step.

    Both threads issue to the device's default stream, so what one computes is in order for the other.
    """

    def __init__(self, inference: Callable[[], AbstractContextManager[None]]) -> None:
        super().__init__()
        self._inference = inference
        self._beside = 0
        self._thread = threading.Thread(target=self._run, name="diffusion-side-work", daemon=True)
        self._thread.start()

    @property
    def beside(self) -> int:
        return self._beside

    def run_one(self) -> bool:
        return False

    def stop(self) -> None:
        """Finish what is queued and end the thread."""
        self.submit(Urgency.STOP, lambda: None)
        self._thread.join()

    def _run(self) -> None:
        with self._inference():
            while True:
                urgency, _, task = self._tasks.get()
                if urgency == Urgency.STOP:
                    return
                self._beside += 1
                try:
                    _run(task)
                finally:
                    self._beside += 1


def _run(task: Task) -> None:
    """A task reports its own failures; one that does not must not end the thread."""
    try:
        task()
    except Exception:
        logger.exception("a side task failed")
