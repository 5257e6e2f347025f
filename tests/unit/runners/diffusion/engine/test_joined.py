"""Several regions of one request in one denoising: each pixel is its region's own, and forwards are shared."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from composition.diffusion import DiffusionProgress, DiffusionRequest, RegionRequest
from composition.errors import Cancelled, InvalidInput, ModelError, OutOfMemory
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.family import StartOver
from runners.diffusion.engine.joined import joined
from runners.diffusion.engine.row_budget import RowBudget
from runners.diffusion.engine.settings import EngineSettings
from runners.diffusion.engine.state import Bucket
from runners.diffusion.engine.step_engine import StepEngine
from runners.diffusion.engine.stepping import Stepper
from tests.fakes.fake_listener import FakeListener
from tests.unit.runners.diffusion.engine.drifting import DRIFT, DriftFamily, DriftState, PlainDevice

SIDE, SEED, SEEN = 32, 1, 200
CELLS = SIDE // 8
BUCKET = Bucket(latent_size=(CELLS, CELLS))


@pytest.fixture
def family():
    return DriftFamily()


@pytest.fixture
def engine(family):
    engine = StepEngine(family, PlainDevice(family), EngineSettings(), Counters())
    yield engine
    family.gate.set()
    engine.stop()


def area_of(cells):
    """Cells (h, w) as an area in pixels."""
    return np.kron(cells, np.ones((8, 8))).astype(np.uint8) * 255


def columns(start, stop):
    cells = np.zeros((CELLS, CELLS), bool)
    cells[:, start:stop] = True
    return cells


def request(regions, *, steps=4, name="several", **changes):
    """`regions`: of each its cells, its drift and its strength."""
    (cells, drift, strength), *others = regions
    return DiffusionRequest(
        request_id=name,
        image=np.full((SIDE, SIDE, 3), SEEN, np.uint8),
        mask=np.full((SIDE, SIDE), 255, np.uint8),
        prompt=str(drift),
        negative_prompt="",
        strength=strength,
        num_inference_steps=steps,
        guidance_scale=1.0,
        seed=SEED,
        area=area_of(cells),
        beside=tuple(
            RegionRequest(prompt=str(drift), negative_prompt="", strength=strength, area=area_of(cells))
            for cells, drift, strength in others
        ),
        **changes,
    )


def painted(engine, asked):
    """The image's cells (h, w), and the listener."""
    listener = FakeListener()
    engine.submit(asked, listener)
    return listener.result().image[::8, ::8, 0].astype(int), listener


def test_each_pixel_has_drifted_as_its_region_alone_and_a_step_is_one_forward(engine, family):
    left, right = columns(0, 1), columns(1, 4)
    cells, listener = painted(engine, request([(left, 3, 1.0), (right, 7, 1.0)]))
    assert (cells[left] == SEED + 4 * 3).all()
    assert (cells[right] == SEED + 4 * 7).all()
    assert listener.steps == [0, 1, 2, 3, 4]
    assert family.batches == [2, 2, 2, 2]


@settings(max_examples=40, deadline=None)
@given(
    labels=st.lists(st.integers(0, 2), min_size=CELLS * CELLS, max_size=CELLS * CELLS),
    drifts=st.tuples(*[st.integers(0, 9)] * 3),
    strengths=st.tuples(*[st.sampled_from((0.25, 0.5, 0.75, 1.0))] * 3),
)
def test_whatever_the_areas_and_strengths_each_pixel_takes_the_steps_of_its_region(labels, drifts, strengths):
    family = DriftFamily()
    owner = np.array(labels).reshape(CELLS, CELLS)
    asked = request([(owner == number, drifts[number], strengths[number]) for number in range(3)], steps=8)
    state = joined([family.encode(region) for region in asked.regions])
    stepper = Stepper(family, PlainDevice(family), RowBudget(16, lambda: None), Counters())
    while not state.done:
        [outcome] = stepper.step([state])
        assert outcome.error is None
    for number, (drift, strength) in enumerate(zip(drifts, strengths, strict=True)):
        assert (state.canvas.latents[owner == number] == SEED + 8 * strength * drift).all()
    assert sum(family.batches) == sum(8 * strength for strength in strengths)
    assert state.steps == len(family.batches) == 8 * max(strengths)


def test_until_it_begins_the_others_see_the_image_where_a_region_of_less_strength_will_be(family):
    left, right = columns(0, 2), columns(2, 4)
    asked = request([(left, 3, 1.0), (right, 7, 0.5)], steps=4)
    state = joined([family.encode(region) for region in asked.regions])
    strong, weak = state.regions
    seen = []
    while not state.done:
        seen.append((int(strong.latents[0, 3]), len(state.acting)))
        family.advance(state.acting, [np.full((CELLS, CELLS), region.drift) for region in state.acting])
        state.settle()
    assert seen == [(SEEN, 1), (SEEN, 1), (SEED, 2), (SEED + 7, 2)]
    assert weak.latents[0, 0] == strong.latents[0, 0] == SEED + 4 * 3


def test_a_request_of_one_region_is_its_own_state_and_is_asked_for_nothing_more(family):
    alone = request([(columns(0, 4), 3, 1.0)])
    assert alone.regions == (alone,)
    state = family.encode(alone)
    assert joined([state]) is state
    assert (state.regions, state.acting, state.canvas) == ((state,), (state,), state)


def test_regions_share_forwards_with_other_requests_and_nobody_gets_anothers(engine, family):
    family.gate.clear()
    first, second = FakeListener(), FakeListener()
    engine.submit(request([(columns(0, 2), 1, 1.0), (columns(2, 4), 2, 1.0)], name="a"), first)
    assert family.inside.wait(60)
    engine.submit(request([(columns(0, 4), 9, 1.0)], name="b"), second)
    family.gate.set()
    two = first.result().image[::8, ::8, 0]
    assert ((two[:, :2] == SEED + 4).all(), (two[:, 2:] == SEED + 8).all()) == (True, True)
    assert (second.result().image[:, :, 0] == SEED + 4 * 9).all()
    assert max(family.batches) == 3


def test_what_models_and_notes_the_regions_have_in_common_is_told_once(engine):
    _, listener = painted(engine, request([(columns(0, 2), 1, 1.0), (columns(2, 4), 2, 1.0)]))
    result = listener.result()
    assert (result.models_used, result.notes, result.cache) == (("drift",), ("drifts",), {"noise": "miss"})


def test_a_preview_shows_all_regions(engine):
    _, listener = painted(engine, request([(columns(0, 2), 1, 1.0), (columns(2, 4), 2, 1.0)], previews=True))
    shown = next(
        one.preview for one in listener.events if isinstance(one, DiffusionProgress) and one.preview is not None
    )
    assert (shown[0, 0, 0], shown[0, 3, 0]) == (SEED + 1, SEED + 2)


def test_a_cancelled_request_of_several_regions_is_in_no_further_forward(engine, family):
    family.gate.clear()
    listener = FakeListener()
    engine.submit(request([(columns(0, 2), 1, 1.0), (columns(2, 4), 2, 1.0)], steps=50), listener)
    assert family.inside.wait(60)
    engine.cancel("several")
    family.gate.set()
    assert isinstance(listener.error(), Cancelled)
    painted(engine, request([(columns(0, 4), 1, 1.0)], steps=2, name="after"))
    assert family.batches == [2, 1, 1]


def test_regions_that_do_not_fit_into_memory_together_are_computed_one_after_the_other(engine, family):
    family.room = 1
    left, right = columns(0, 2), columns(2, 4)
    cells, _ = painted(engine, request([(left, 3, 1.0), (right, 7, 1.0)], steps=2))
    assert ((cells[left] == SEED + 6).all(), (cells[right] == SEED + 14).all()) == (True, True)
    assert family.batches[:3] == [2, 1, 1]


def test_a_region_that_does_not_even_fit_alone_fails_its_request_and_no_other(engine, family):
    family.fail = lambda work, of: MemoryError() if work == "predict" and any(s.drift == 7 for s in of) else None
    broken, whole = FakeListener(), FakeListener()
    engine.submit(request([(columns(0, 2), 3, 1.0), (columns(2, 4), 7, 1.0)], name="a"), broken)
    engine.submit(request([(columns(0, 4), 3, 1.0)], name="b"), whole)
    assert isinstance(broken.error(), OutOfMemory)
    assert (whole.result().image == SEED + 12).all()


def test_more_regions_than_a_forward_may_have_rows_take_several(family):
    regions = [(columns(number, number + 1), number, 1.0) for number in range(4)]
    state = joined([family.encode(region) for region in request(regions).regions])
    stepper = Stepper(family, PlainDevice(family), RowBudget(3, lambda: None), Counters())
    stepper.step([state])
    assert family.batches == [3, 1]
    assert state.canvas.latents[0].tolist() == [SEED, SEED + 1, SEED + 2, SEED + 3]


def test_a_region_of_another_bucket_has_a_forward_of_its_own(family):
    first, second = (family.encode(one) for one in request([(columns(0, 2), 1, 1.0), (columns(2, 4), 2, 1.0)]).regions)
    second.bucket = Bucket(latent_size=BUCKET.latent_size, text_tokens=154)
    state = joined([first, second])
    stepper = Stepper(family, PlainDevice(family), RowBudget(16, lambda: None), Counters())
    stepper.step([state])
    assert family.batches == [1, 1]
    assert state.canvas.latents[0].tolist() == [SEED + 1, SEED + 1, SEED + 2, SEED + 2]


def test_a_region_whose_scheduler_fails_ends_the_request_and_one_that_lacks_memory_steps_just_once(family):
    tried = []

    def together_is_too_much(work, states):
        if work == "advance":
            tried.append([state.drift for state in states])
        return MemoryError() if work == "advance" and len(states) > 1 else None

    def region(drift, cells):
        return DriftState(bucket=BUCKET, steps=2, latents=np.zeros((CELLS, CELLS)), drift=drift, area=cells)

    state = joined([region(1, columns(0, 2)), region(2, columns(2, 4))])
    stepper = Stepper(family, PlainDevice(family), RowBudget(16, lambda: None), Counters())
    family.fail = together_is_too_much
    [outcome] = stepper.step([state])
    assert (outcome.error, tried) == (None, [[1, 2], [1], [2]])
    assert state.canvas.latents[0].tolist() == [1, 1, 2, 2]
    family.fail = lambda work, states: ValueError() if work == "advance" and states[-1].drift == 2 else None
    [outcome] = stepper.step([state])
    assert isinstance(outcome.error, ModelError)


def test_regions_that_cannot_be_put_together_for_want_of_memory_are_once_more(family, monkeypatch):
    state = joined([family.encode(one) for one in request([(columns(0, 2), 1, 1.0), (columns(2, 4), 2, 1.0)]).regions])
    full, lay_in = ["once"], DriftState.lay_in

    def laid_in(self, other, *, waiting):
        if full:
            full.pop()
            raise MemoryError
        lay_in(self, other, waiting=waiting)

    monkeypatch.setattr(DriftState, "lay_in", laid_in)
    stepper = Stepper(family, PlainDevice(family), RowBudget(16, lambda: None), Counters())
    [outcome] = stepper.step([state])
    assert (outcome.error, state.step, family.releases) == (None, 1, 1)
    assert state.canvas.latents[0].tolist() == [SEED + 1, SEED + 1, SEED + 2, SEED + 2]


def test_a_request_that_starts_over_does_so_with_all_its_regions(engine, family):
    pending = ["once"]

    def again(state):
        return DriftState(
            bucket=state.bucket, steps=state.steps, latents=np.full((CELLS, CELLS), 100.0), drift=state.drift,
            area=state.area,
        )  # fmt: skip

    family.fail = lambda work, of: StartOver(again, "not finite") if work == "decode" and pending.pop() else None
    pending = [None, "once"]
    cells, _ = painted(engine, request([(columns(0, 2), 1, 1.0), (columns(2, 4), 2, 1.0)], steps=3))
    assert cells[0].tolist() == [103, 103, 106, 106]


def test_every_region_is_checked_before_any_is_computed(engine, family):
    asked = request([(columns(0, 2), 1, 1.0), (columns(2, 4), 2, 1.0)])
    checked = []

    def check(region):
        checked.append(region.prompt)
        if region.prompt == "2":
            raise InvalidInput("no")

    family.check = check
    with pytest.raises(InvalidInput):
        engine.submit(asked, FakeListener())
    assert (checked, family.batches) == (["1", "2"], [])


def test_drift_without_a_number_is_the_usual(family):
    assert family.encode(request([(columns(0, 4), "p", 1.0)])).drift == DRIFT
