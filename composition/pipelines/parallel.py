"""Run stages side by side, and leave none behind when one fails."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

A = TypeVar("A")
B = TypeVar("B")


async def together(first: Coroutine[Any, Any, A], second: Coroutine[Any, Any, B]) -> tuple[A, B]:
    """Both results, as `all_of` has it."""
    one, other = asyncio.ensure_future(first), asyncio.ensure_future(second)
    await _settled([one, other])
    return one.result(), other.result()


async def all_of(work: Sequence[Coroutine[Any, Any, A]]) -> list[A]:
    """Every result, in order. When one fails or the caller is cancelled, the others are cancelled and awaited.

    Raises:
        CompositionError: the first failure, as itself (a TaskGroup would wrap it).
    """
    tasks = [asyncio.ensure_future(one) for one in work]
    await _settled(tasks)
    return [task.result() for task in tasks]


async def _settled(tasks: Sequence[asyncio.Task[Any]]) -> None:
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
