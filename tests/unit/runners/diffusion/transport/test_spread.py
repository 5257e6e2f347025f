"""Several diffusion runners: each request goes to the least loaded one that answers."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import numpy as np
import pytest

from composition.diffusion import DiffusionRequest, DiffusionResult
from composition.errors import ModelError, NotReady
from runners.diffusion.transport.spread import AWAY_S, SpreadDiffuser
from tests.fakes.fake_diffuser import FakeDiffuser

WHOLE = np.full((8, 8), 255, np.uint8)


def request(number: int = 0) -> DiffusionRequest:
    """Of a photo of its own."""
    return DiffusionRequest(
        request_id=str(number), image=np.full((8, 8, 3), number, np.uint8), mask=WHOLE, prompt="a", negative_prompt="",
        num_inference_steps=2, guidance_scale=1.0, seed=0,
    )  # fmt: skip


class Away(FakeDiffuser):
    """Refuses before its first event."""

    async def diffuse(self, request):
        self.requests.append(request)
        raise NotReady("away")
        yield


async def run(spread: SpreadDiffuser, number: int = 0) -> DiffusionResult:
    events = [event async for event in spread.diffuse(request(number))]
    assert isinstance(events[-1], DiffusionResult)
    return events[-1]


def ids(diffuser: FakeDiffuser) -> list[str]:
    return [one.request_id for one in diffuser.requests]


async def test_requests_at_once_are_spread_evenly():
    gate = asyncio.Event()
    all_there = asyncio.Semaphore(0)

    class Telling(FakeDiffuser):
        async def diffuse(self, request):
            all_there.release()
            async for event in super().diffuse(request):
                yield event

    cards = [Telling(gate=gate) for _ in range(3)]
    spread = SpreadDiffuser(cards)
    tasks = [asyncio.create_task(run(spread, number)) for number in range(6)]
    for _ in tasks:
        await all_there.acquire()
    assert spread.running == (2, 2, 2)
    gate.set()
    await asyncio.gather(*tasks)
    assert spread.running == (0, 0, 0)


async def test_a_request_passes_by_a_card_that_is_busy():
    busy, idle = FakeDiffuser(gate=asyncio.Event()), FakeDiffuser()
    spread = SpreadDiffuser([busy, idle])
    first = asyncio.create_task(run(spread, 1))
    await busy.waiting.wait()
    for number in (2, 3, 4):
        await run(spread, number)
    assert (ids(busy), ids(idle)) == (["1"], ["2", "3", "4"])
    busy.gate.set()
    await first


async def test_one_after_the_other_they_take_turns():
    cards = [FakeDiffuser(), FakeDiffuser()]
    spread = SpreadDiffuser(cards)
    for number in range(4):
        await run(spread, number)
    assert [ids(card) for card in cards] == [["0", "2"], ["1", "3"]]


async def test_a_photo_goes_to_the_card_that_saw_it_last_unless_that_is_busier():
    cards = [FakeDiffuser(), FakeDiffuser()]
    spread = SpreadDiffuser(cards)
    for number in (0, 0, 0, 1, 1, 0):
        await run(spread, number)
    assert [ids(card) for card in cards] == [["0", "0", "0", "0"], ["1", "1"]]
    cards[0].gate = asyncio.Event()
    long = asyncio.create_task(run(spread, 0))
    await cards[0].waiting.wait()
    await run(spread, 0)
    assert ids(cards[1]) == ["1", "1", "0"]
    cards[0].gate.set()
    await long


async def test_a_runner_that_is_away_costs_the_request_nothing_and_is_left_alone_for_a_while():
    now = [0.0]
    away, here = Away(), FakeDiffuser()
    spread = SpreadDiffuser([away, here], clock=lambda: now[0])
    for number in range(3):
        await run(spread, number)
    assert (ids(away), ids(here)) == (["0"], ["0", "1", "2"])
    now[0] = AWAY_S + 1
    await run(spread, 3)
    assert ids(away) == ["0", "3"]


async def test_when_all_are_away_the_request_says_so():
    cards = [Away(), Away()]
    with pytest.raises(NotReady):
        await run(SpreadDiffuser(cards))
    assert [len(card.requests) for card in cards] == [1, 1]


async def test_what_has_begun_is_not_begun_again_elsewhere():
    broken, other = FakeDiffuser(error=NotReady("died")), FakeDiffuser()
    with pytest.raises(NotReady):
        await run(SpreadDiffuser([broken, other]))
    assert other.requests == []


async def test_a_failure_of_the_request_is_its_own():
    broken, other = FakeDiffuser(error=ModelError("no")), FakeDiffuser()
    spread = SpreadDiffuser([broken, other])
    with pytest.raises(ModelError):
        await run(spread)
    assert other.requests == []
    assert spread.running == (0, 0)


async def test_who_leaves_early_closes_the_cards_stream_and_frees_its_place():
    card = FakeDiffuser()
    spread = SpreadDiffuser([card])
    async with aclosing(spread.diffuse(request())) as events:
        await anext(events)
        assert spread.running == (1,)
    assert card.closed_early == 1
    assert spread.running == (0,)
