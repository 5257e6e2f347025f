"""Two stages side by side: both results, or the first failure and nothing left running."""

from __future__ import annotations

import asyncio

import pytest

from composition.errors import ModelError, NoDetection
from composition.pipelines.parallel import together


class Stage:
    """Waits until it is let go; notes whether it was cancelled and whether its clean-up was awaited."""

    def __init__(self):
        self.gate, self.waiting = asyncio.Event(), asyncio.Event()
        self.cancelled = self.cleaned_up = False

    async def __call__(self):
        self.waiting.set()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            await asyncio.sleep(0)
            self.cleaned_up = True
            raise
        return "done"


async def fails(error, after):
    await after.wait()
    raise error


async def gives(value):
    return value


async def test_both_results_come_back_in_order():
    assert await together(gives(1), gives("b")) == (1, "b")


@pytest.mark.parametrize("failing_first", [True, False])
async def test_a_stage_is_cancelled_and_awaited_when_its_sibling_fails(failing_first):
    stage, error = Stage(), NoDetection("nothing")
    pair = [fails(error, stage.waiting), stage()]
    with pytest.raises(NoDetection) as caught:
        await together(*(pair if failing_first else pair[::-1]))
    assert caught.value is error, "as itself, not in a group"
    assert (stage.cancelled, stage.cleaned_up) == (True, True)


async def test_both_stages_are_cancelled_with_their_caller():
    stages = Stage(), Stage()
    waiting = asyncio.create_task(together(*(stage() for stage in stages)))
    for stage in stages:
        await stage.waiting.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert [stage.cleaned_up for stage in stages] == [True, True]


async def test_of_two_failures_the_first_is_told_and_the_second_is_taken_notice_of():
    go = asyncio.Event()
    go.set()
    with pytest.raises(ModelError, match="first"):
        await together(fails(ModelError("first"), go), fails(ModelError("second"), go))
