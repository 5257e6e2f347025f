"""Several views of one thing in one denoising: in one forward at every step, or not at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from composition.diffusion import DiffusionRequest, ViewRequest
from composition.errors import InvalidInput, ModelError, OutOfMemory
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.family import StartOver
from runners.diffusion.engine.row_budget import RowBudget
from runners.diffusion.engine.settings import EngineSettings
from runners.diffusion.engine.step_engine import StepEngine
from runners.diffusion.engine.stepping import Stepper
from runners.diffusion.engine.views import side_by_side
from tests.fakes.fake_listener import FakeListener
from tests.unit.runners.diffusion.engine.drifting import DriftFamily, DriftState, PlainDevice

SIDE, SEED = 32, 1


class WatchedFamily(DriftFamily):
    """Remembers the groups of every forward; the step of a view drifts by the number of views beside it."""

    def __init__(self):
        super().__init__()
        self.groups = []

    def predict(self, states):
        self.groups.append([state.group for state in states])
        plain = super().predict(states)
        together = [sum(state.group is not None and other.group is state.group for other in states) for state in states]
        return [one + 10 * count for one, count in zip(plain, together, strict=True)]


@pytest.fixture
def family():
    return WatchedFamily()


@pytest.fixture
def make_engine(family):
    engines = []

    def make(max_rows=16):
        engines.append(StepEngine(family, PlainDevice(family), EngineSettings(max_rows=max_rows), Counters()))
        return engines[-1]

    yield make
    family.gate.set()
    for engine in engines:
        engine.stop()


def request(views, *, name="views", **changes):
    image, mask = np.full((SIDE, SIDE, 3), 200, np.uint8), np.full((SIDE, SIDE), 255, np.uint8)
    values = {
        "request_id": name, "image": image, "mask": mask, "prompt": "1", "negative_prompt": "", "seed": SEED,
        "num_inference_steps": 3, "guidance_scale": 1.0,
        "views": tuple(ViewRequest(image=image, mask=mask) for _ in range(views - 1)),
    }  # fmt: skip
    return DiffusionRequest(**{**values, **changes})


def stepped(family, *states, rows=16):
    stepper = Stepper(family, PlainDevice(family), RowBudget(rows, lambda: None), Counters())
    return stepper.step(states)


def views_of(family, count, **changes):
    return side_by_side([family.encode(one) for one in request(count, **changes).regions])


def test_each_view_has_an_image_and_all_of_them_are_in_every_forward(make_engine, family):
    listener = FakeListener()
    make_engine().submit(request(3), listener)
    result = listener.result()
    assert [int(image[0, 0, 0]) for image in result.images] == [SEED + 3 * (1 + 3 * 10)] * 3
    assert (family.batches, listener.steps) == ([3, 3, 3], [0, 1, 2, 3])
    assert result.models_used == ("drift",)


def test_requests_beside_are_of_no_group_and_another_ones_views_of_another(make_engine, family):
    family.gate.clear()
    engine, listeners = make_engine(), [FakeListener() for _ in range(3)]
    engine.submit(request(2, name="a"), listeners[0])
    assert family.inside.wait(60)
    engine.submit(request(1, name="b"), listeners[1])
    engine.submit(request(2, name="c"), listeners[2])
    family.gate.set()
    images = [[int(image[0, 0, 0]) for image in listener.result().images] for listener in listeners]
    assert images == [[SEED + 3 * 21] * 2, [SEED + 3], [SEED + 3 * 21] * 2]
    assert max(family.batches) == 5
    full = next(groups for groups in family.groups if len(groups) == 5)
    assert full[0] is full[1]
    assert full[3] is full[4]
    assert full[2] is None
    assert full[0] is not full[3]


def test_a_limit_below_their_rows_divides_others_from_them_and_not_them(family):
    alone = family.encode(request(1))
    state = views_of(family, 3)
    outcomes = stepped(family, alone, state, rows=2)
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert family.batches == [1, 3]


def test_out_of_memory_divides_a_batch_beside_them_and_fails_them_only_together(family):
    family.room = 2
    alone, state = family.encode(request(1)), views_of(family, 3)
    [fine, failed] = stepped(family, alone, state)
    assert fine.error is None
    assert alone.step == 1
    assert isinstance(failed.error, OutOfMemory)
    assert [view.step for view in state.regions] == [0, 0, 0]
    assert family.batches == [4, 1, 3, 3]


def test_a_forward_that_one_view_breaks_ends_all_of_them_and_nobody_beside(family):
    state, alone = views_of(family, 2), family.encode(request(1))
    broken = state.regions[1]
    family.fail = lambda work, states: ValueError() if work == "predict" and broken in states else None
    [failed, fine] = stepped(family, state, alone)
    assert isinstance(failed.error, ModelError)
    assert fine.error is None
    assert alone.latents[0, 0] == SEED + 1


def test_more_rows_than_a_forward_may_have_are_refused_before_anything_is_computed(make_engine, family):
    engine = make_engine(max_rows=4)
    with pytest.raises(InvalidInput, match="3 views take 6 rows of a forward, 4 are allowed"):
        engine.submit(request(3, guidance_scale=7.5), FakeListener())
    engine.submit(request(3, guidance_scale=1.0), listener := FakeListener())
    assert len(listener.result().images) == 3


def test_views_of_unequal_sizes_are_refused(make_engine):
    small = ViewRequest(image=np.zeros((16, 16, 3), np.uint8), mask=np.full((16, 16), 255, np.uint8))
    listener = FakeListener()
    make_engine().submit(replace(request(1), views=(small,)), listener)
    error = listener.error()
    assert (type(error), "one size" in error.message) == (InvalidInput, True)


def test_one_that_computes_all_of_the_model_takes_the_others_along(family):
    state = views_of(family, 2)
    first, second = state.regions
    first.bucket = replace(first.bucket, shallow=2)
    state.settle()
    assert (first.bucket.shallow, second.bucket.shallow, state.bucket.shallow) == (0, 0, 0)
    first.bucket = second.bucket = replace(first.bucket, shallow=2)
    state.settle()
    assert state.bucket.shallow == 2


def test_a_request_that_starts_over_does_so_with_all_its_views(make_engine, family):
    pending = [None, "once"]

    def again(state):
        return DriftState(bucket=state.bucket, steps=state.steps, latents=np.full((4, 4), 100.0), drift=0.0)

    family.fail = lambda work, of: StartOver(again, "not finite") if work == "decode" and pending.pop() else None
    pending = [None, None, "once"]
    listener = FakeListener()
    make_engine().submit(request(2), listener)
    assert [int(image[0, 0, 0]) for image in listener.result().images] == [100 + 3 * 20] * 2


def test_previews_are_of_the_first_view(make_engine, family):
    listener = FakeListener()
    make_engine().submit(request(2, previews=True), listener)
    listener.result()
    assert {event.preview.shape for event in listener.events if getattr(event, "preview", None) is not None} == {
        (4, 4, 3)
    }
