"""The same work on many things, in one process or several."""

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

T = TypeVar("T")


def for_each(work: Callable[[T], None], things: Iterable[T], processes: int = 1) -> None:
    """Calls a function that can be pickled with each thing; returns when all is done.

    Raises:
        Exception: What the first call that failed raised; things not begun by then are left out.
    """
    if processes == 1:
        for thing in things:
            work(thing)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(work, thing) for thing in things]
        try:
            for call in waiting:
                call.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
