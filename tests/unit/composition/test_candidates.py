"""Several candidates of one edit: each is the image that its seed gives alone, and all else is done once."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from composition.config import Config
from composition.diffusion import DiffusionResult
from composition.errors import ContentPolicy
from composition.images import Box
from composition.request import (
    EditOptions,
    EditRequest,
    Reference,
)
from tests.fakes.fake_detector import FakeDetector, detection
from tests.fakes.seed_diffuser import SeedDiffuser

MUG = detection("mug", 120, 80, 220, 200)
PERSON = detection("person", 100, 10, 300, 290)
REFERENCE = (Reference(image=np.full((64, 64, 3), 90, np.uint8)),)


def asked(photo, n=1, seed=7, references=(), **options):
    return EditRequest(
        base=photo,
        prompt="replace the mug with a teapot",
        n=n,
        references=references,
        options=EditOptions(seed=seed, **options),
    )


def found(bench, **fakes):
    return bench(detector=FakeDetector({"*": [MUG]}), **fakes)


async def test_each_candidate_is_bit_for_bit_what_its_seed_gives_alone(bench, photo):
    together = await found(bench, diffuser=SeedDiffuser()).edit(asked(photo, n=3))
    alone = [await found(bench, diffuser=SeedDiffuser()).edit(asked(photo, seed=seed)) for seed in (7, 8, 9)]
    assert len(together.images) == 3
    for candidate, single in zip(together.images, alone, strict=True):
        assert np.array_equal(candidate, single.image)
    assert not np.array_equal(together.images[0], together.images[1])
    assert np.array_equal(together.image, together.images[0])
    assert together.metadata["seeds"] == [7, 8, 9]
    assert together.metadata["seed_used"] == 7
    assert alone[1].metadata["seeds"] == [8]


async def test_all_that_is_equal_is_done_once_and_only_the_denoising_per_seed(bench, photo):
    b = found(bench, diffuser=SeedDiffuser())
    await b.edit(asked(photo, n=5, references=REFERENCE, control_types=("depth",), box=Box(x0=0, y0=0, x1=90, y1=90)))
    assert (b.segmenter.calls, b.depth.calls) == (1, 1)
    b = found(bench, diffuser=SeedDiffuser())
    await b.edit(asked(photo, n=5, references=REFERENCE))
    assert b.detector.phrases == ["mug"]
    assert len(b.analyzer.prompts) == 1
    requests = b.diffuser.requests
    assert [request.seed for request in requests] == [7, 8, 9, 10, 11]
    assert len({request.request_id for request in requests}) == 5
    for request in requests:
        assert request.image is requests[0].image
        assert request.mask is requests[0].mask
        assert request.references is requests[0].references


@pytest.mark.parametrize("limit", [1, 3])
async def test_no_more_candidates_are_painted_at_a_time_than_edits_may_run(bench, photo, limit):
    config = Config.model_validate({"limits": {"max_concurrent_requests": limit}})
    b = found(bench, config=config, diffuser=SeedDiffuser())
    await b.edit(asked(photo, n=8))
    assert b.diffuser.most == limit
    assert len(b.diffuser.requests) == 8


async def test_progress_counts_the_steps_of_all_candidates(bench, photo):
    b = found(bench, diffuser=SeedDiffuser())
    await b.edit(asked(photo, n=3))
    steps = [item for item in b.progress if item.step is not None]
    assert sorted(item.step for item in steps) == list(range(1, 13))
    assert {item.total_steps for item in steps} == {12}
    assert all(sum(item.candidate_steps) == item.step for item in steps)
    assert steps[-1].candidate_steps == (4, 4, 4)
    assert {int(item.preview.max()) for item in steps if item.preview is not None} == {7}  # the first one's alone
    fractions = [item.fraction for item in b.progress]
    assert fractions == sorted(fractions)


async def test_one_that_fails_fails_the_edit_and_stops_the_others(bench, photo):
    b = found(bench, diffuser=SeedDiffuser(fails_at=8, gate=asyncio.Event()))
    with pytest.raises(ContentPolicy):
        await b.edit(asked(photo, n=3))
    assert b.diffuser.running == 0
    assert b.diffuser.closed_early == 3


async def test_a_cancel_stops_every_candidate(bench, photo):
    b = found(bench, diffuser=SeedDiffuser(gate=asyncio.Event()))
    edit = asyncio.create_task(b.edit(asked(photo, n=8)))
    await b.diffuser.started.wait()
    edit.cancel()
    with pytest.raises(asyncio.CancelledError):
        await edit
    assert b.diffuser.running == 0
    assert len(b.diffuser.requests) <= 3


async def test_an_encoding_counts_as_missed_when_any_candidate_missed_it(bench, photo):
    class FirstMisses(SeedDiffuser):
        async def diffuse(self, request):
            async for event in super().diffuse(request):
                if isinstance(event, DiffusionResult) and request.seed == 8:
                    event = DiffusionResult(image=event.image, models_used=(), cache={"vae_moments": "miss"})
                yield event

    b = found(bench, diffuser=FirstMisses())
    assert (await b.edit(asked(photo, n=3))).metadata["cache"]["vae_moments"] == "miss"
