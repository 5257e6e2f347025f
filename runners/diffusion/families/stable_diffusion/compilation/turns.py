"""Who may be at torch's compiled functions: one call at a time, and none while a function is traced or a model loaded.

torch (2.14) notes which of its functions is being called in a variable of the whole process: of two threads that call
at once one finds nothing compiled, and what is traced beside a call is kept for the wrong function. Libraries that load
models change torch's default number format meanwhile, which every compiled function looks at and tracing puts back.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_LOOK_EVERY_S: Final = 0.001


class Turns:
    """Calls wait for one another; for what takes seconds they do not, and run eager instead."""

    def __init__(self) -> None:
        self._alone, self._calls = threading.Lock(), threading.Lock()
        self._closed = False

    def begin_call(self) -> bool:
        """Whether a compiled function may be called now, up to `end_call`. False: something is traced or loaded."""
        while not self._closed:
            if self._calls.acquire(timeout=_LOOK_EVERY_S):
                return True
        return False

    def end_call(self) -> None:
        """The call is over."""
        self._calls.release()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """To trace and compile a function, or to load a model; waits for others that do, and for the call at work."""
        with self._alone:
            self._close()
            try:
                yield
            finally:
                self._open()

    @contextmanager
    def calls_beside(self) -> Iterator[None]:
        """Inside of `alone`: meanwhile calls go on, as while code is made of what was traced."""
        self._open()
        try:
            yield
        finally:
            self._close()

    def _close(self) -> None:
        self._closed = True
        self._calls.acquire()

    def _open(self) -> None:
        self._closed = False
        self._calls.release()
