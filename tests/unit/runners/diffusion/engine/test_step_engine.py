"""The engine with a family of a few lines: whatever a family computes, it is shared, watched and ended the same way."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from composition.diffusion import ControlInput, DiffusionProgress, DiffusionRequest
from composition.errors import Cancelled, InvalidInput, ModelError, OutOfMemory
from composition.lora import LoraUse
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.family import StartOver
from runners.diffusion.engine.settings import EngineSettings
from runners.diffusion.engine.step_engine import StepEngine
from tests.fakes.fake_listener import FakeListener
from tests.unit.runners.diffusion.engine.drifting import DRIFT, DriftFamily, DriftState, PlainDevice


@pytest.fixture
def family():
    return DriftFamily()


@pytest.fixture
def start(family):
    """start(max_rows=16, **device) -> a running engine over the family."""
    engines = []

    def start_one(max_rows=16, **device):
        engine = StepEngine(family, PlainDevice(family, **device), EngineSettings(max_rows=max_rows), Counters())
        engines.append(engine)
        return engine

    yield start_one
    family.gate.set()
    for engine in engines:
        engine.stop()


def request(name, *, steps=4, seed=1, side=32, **changes):
    return DiffusionRequest(
        request_id=name,
        image=np.zeros((side, side, 3), np.uint8),
        mask=np.zeros((side, side), np.uint8),
        prompt="p",
        negative_prompt="",
        num_inference_steps=steps,
        guidance_scale=1.0,
        seed=seed,
        **changes,
    )


def submit(engine, *requests):
    listeners = [FakeListener() for _ in requests]
    for one, listener in zip(requests, listeners, strict=True):
        engine.submit(one, listener)
    return listeners


def submit_together(engine, family, *requests, asynchronous=False):
    """The first one's forward waits until all are in, and encoded where that happens beside it."""
    family.gate.clear()
    [first] = submit(engine, requests[0])
    assert family.inside.wait(60)
    others = submit(engine, *requests[1:])
    if asynchronous:
        until_all_are_denoising(engine, len(requests))
    family.gate.set()
    return [first, *others]


@retry(retry=retry_if_exception_type(AssertionError), wait=wait_fixed(0.01), stop=stop_after_delay(60))
def until_all_are_denoising(engine, count):
    assert engine.stats()["requests"]["denoising"] == count


def value(result):
    """Of the image's pixels, which are all equal."""
    [only] = np.unique(result.image)
    return int(only)


def counts(engine):
    return engine.stats()["counters"]


def test_a_request_drifts_step_by_step_to_the_familys_image(start, family):
    [listener] = submit(start(), request("a", steps=4, seed=7))
    result = listener.result()
    assert listener.accepted
    assert listener.steps == [0, 1, 2, 3, 4]
    assert (result.image.shape, value(result)) == ((32, 32, 3), 7 + 4 * DRIFT)
    assert (result.models_used, result.cache) == (("drift",), {"noise": "miss"})


@pytest.mark.parametrize("asynchronous", [False, True])
def test_requests_share_forwards_and_each_gets_what_is_its_own(start, family, asynchronous):
    engine = start(asynchronous=asynchronous)
    wanted = [request(f"r{seed}", steps=steps, seed=seed) for seed, steps in ((1, 9), (2, 6), (3, 12))]
    listeners = submit_together(engine, family, *wanted, asynchronous=asynchronous)
    assert [value(one.result()) for one in listeners] == [1 + 9 * DRIFT, 2 + 6 * DRIFT, 3 + 12 * DRIFT]
    assert max(family.batches) == 3
    assert sum(family.batches) == 9 + 6 + 12


def test_requests_of_other_sizes_or_loras_never_share_a_forward_and_each_finds_its_own_active(start, family):
    engine = start()
    film = LoraUse(name="film", weight=1.0, path="/film", sha256="0" * 64)
    wanted = [request("small"), request("large", side=64), request("lora", loras=(film,))]

    listeners = submit_together(engine, family, *wanted)
    assert [one.result().models_used for one in listeners] == [("drift",), ("drift",), ("drift", "film")]
    assert set(family.batches) == {1}
    assert {(bucket.latent_size, bucket.shared) for bucket in family.buckets} == {
        ((4, 4), ()),
        ((8, 8), ()),
        ((4, 4), ("film",)),
    }


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_start_is_told_before_the_request_can_take_a_step(start, family, asynchronous):
    engine, waiting = start(asynchronous=asynchronous), []

    def listen(event):
        if isinstance(event, DiffusionProgress) and event.step == 0:
            waiting.append(engine.stats()["requests"]["encoding"])
        listener(event)

    listener = FakeListener()
    engine.submit(request("a"), listen)
    listener.result()
    assert waiting == [1]


def test_a_cancelled_request_is_in_no_further_forward(start, family):
    engine = start()
    family.gate.clear()
    [listener] = submit(engine, request("a", steps=50))
    assert family.inside.wait(60)
    assert engine.cancel("a")
    family.gate.set()
    assert isinstance(listener.error(), Cancelled)
    [after] = submit(engine, request("b", steps=2))
    after.result()
    assert family.batches == [1, 1, 1]


def test_what_the_family_refuses_is_never_accepted(start, family):
    engine, listener = start(), FakeListener()
    control = ControlInput(image=np.zeros((32, 32, 3), np.uint8), scale=1.0)
    with pytest.raises(InvalidInput, match="no controls"):
        engine.submit(request("a", controls={"pose": control}), listener)
    assert listener.events == []
    assert counts(engine) == {}


def test_the_statistics_are_the_engines_and_the_familys(start, family):
    engine = start()
    [listener] = submit(engine, request("a"))
    listener.result()
    assert engine.stats() == {
        "counters": {"requests_accepted": 1, "requests_completed": 1},
        "requests": {"encoding": 0, "denoising": 0, "finishing": 0},
        "models_loaded": ["drift"],
        "drift": DRIFT,
    }


# Memory


def test_a_batch_that_does_not_fit_is_split_and_grows_again_when_there_is_room(start, family):
    engine = start(max_rows=4)
    family.room = 2

    def make_room(work, states):
        if work == "predict" and states[0].step > 10:
            family.room = 1000

    family.fail = make_room
    listeners = submit_together(engine, family, *(request(f"r{seed}", steps=120, seed=seed) for seed in range(4)))
    for listener in listeners:
        listener.result()
    assert counts(engine)["out_of_memory_splits"] >= 1
    assert family.releases >= 1
    tried = family.batches.index(3)
    assert family.batches[tried : tried + 3] == [3, 1, 2]
    assert set(family.batches[tried + 3 : tried + 60]) == {1}
    assert family.batches.count(4) > 20


def test_a_request_that_does_not_fit_is_tried_once_more_alone_and_then_fails_alone(start, family):
    engine = start()

    def no_room_for_the_large(work, states):
        large = work == "predict" and states[0].bucket.latent_size == (8, 8)
        return MemoryError() if large else None

    family.fail = no_room_for_the_large
    small, large = submit_together(engine, family, request("small"), request("large", side=64))
    assert isinstance(large.error(), OutOfMemory)
    assert value(small.result()) == 1 + 4 * DRIFT
    assert counts(engine)["out_of_memory_retries"] == 1
    assert engine.alive


def test_the_measured_cost_of_a_row_limits_who_shares(start, family):
    engine = start(row_bytes=100, free_bytes=250)
    listeners = submit_together(engine, family, *(request(f"r{seed}", steps=6) for seed in range(4)))
    for listener in listeners:
        listener.result()
    assert max(family.batches) == 2


def test_decoding_that_runs_out_of_memory_is_done_again_after_everything_is_released(start, family):
    engine, pending = start(), [MemoryError()]
    family.fail = lambda work, states: pending.pop() if work == "decode" and pending else None
    [listener] = submit(engine, request("a"))
    assert value(listener.result()) == 1 + 4 * DRIFT
    assert family.releases == 1


# Checkpoints and starting over


def test_two_checkpoints_with_room_for_one_are_loaded_once_each(start, family):
    engine = start()
    listeners = submit_together(
        engine, family, request("a", steps=12, model="first"), request("b", steps=12, seed=9, model="second")
    )
    assert [value(listener.result()) for listener in listeners] == [1 + 12 * DRIFT, 9 + 12 * DRIFT]
    assert family.loads == ["first", "second"]


def test_a_request_that_starts_over_takes_its_steps_again_and_ends_once(start, family):
    engine, asked = start(), []

    def once(work, states):
        if work != "decode" or asked:
            return None
        asked.append(states[0].step)
        again = DriftState(bucket=states[0].bucket, steps=3, latents=np.full((4, 4), 100.0))
        return StartOver(lambda state: again, "not finite")

    family.fail = once
    [listener] = submit(engine, request("a", steps=5))
    assert value(listener.result()) == 100 + 3 * DRIFT
    assert asked == [5]
    assert engine.stats()["counters"]["starts_over"] == 1
    assert engine.stats()["counters"]["requests_completed"] == 1


# Failures


@pytest.mark.parametrize("work", ["encode", "activate", "predict", "decode"])
def test_a_failure_is_one_requests_own_and_its_text_stays_inside(start, family, work):
    engine, pending = start(), [ValueError("weights/secret.safetensors")]
    family.fail = lambda doing, states: pending.pop() if doing == work and pending else None
    [broken] = submit(engine, request("a"))
    assert isinstance(broken.error(), ModelError)
    assert "secret" not in broken.error().message
    [after] = submit(engine, request("b"))
    assert value(after.result()) == 1 + 4 * DRIFT


def test_a_request_that_breaks_its_batch_fails_and_the_others_go_on(start, family):
    engine = start()
    family.fail = lambda work, states: (
        ValueError("bad") if work == "predict" and any(np.all(s.latents == 200.0) for s in states) else None
    )
    wanted = [request("good", steps=8), request("bad", seed=200), request("fine", steps=8, seed=3)]
    good, bad, fine = submit_together(engine, family, *wanted)
    assert isinstance(bad.error(), ModelError)
    assert (value(good.result()), value(fine.result())) == (1 + 8 * DRIFT, 3 + 8 * DRIFT)


def test_previews_show_the_latents_on_the_way_and_a_broken_one_is_left_out(start, family):
    engine = start()
    family.fail = lambda work, states: ValueError() if work == "preview" and states[0].step == 4 else None
    [listener] = submit(engine, request("a", steps=16, seed=0, previews=True))
    listener.result()
    shown = {e.step: e.preview for e in listener.events if isinstance(e, DiffusionProgress) and e.preview is not None}
    assert list(shown) == [3, 7, 9, 11, 13, 15]
    assert all(np.all(preview == (step - 1) * DRIFT) for step, preview in shown.items())


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_preview_that_takes_long_holds_up_no_step(start, family, asynchronous):
    """In the engine's own thread it waits its turn between two steps; beside it steps go on while one is made."""
    engine, shown, inside = start(asynchronous=asynchronous), threading.Event(), threading.Event()

    def slow(work, states):
        if work == "preview" and asynchronous:
            inside.set()
            assert shown.wait(60)
        if work == "predict" and asynchronous and states[0].step == 10:
            assert inside.wait(60)

    family.fail = slow
    [listener] = submit(engine, request("a", steps=40, seed=0, previews=True))
    if asynchronous:
        listener.wait_for_step(40)
        shown.set()
    listener.result()
    previews = [e.preview for e in listener.events if isinstance(e, DiffusionProgress) and e.preview is not None]
    assert len(previews) == (0 if asynchronous else 7)


def test_memory_is_asked_for_when_the_batch_changes_and_not_at_every_step(start, family):
    engine = start(row_bytes=1, free_bytes=1000)
    listeners = submit_together(engine, family, request("a", steps=40), request("b", steps=20, seed=2))
    for listener in listeners:
        listener.result()
    device = engine._device
    # a alone; a and b; a alone again.
    assert (device.asked, device.measures) == (3, 3)
    assert device.paced == len(family.batches) == 40


def test_a_lost_device_ends_everything_and_is_reported_once(family):
    class AcceleratorError(RuntimeError):
        """Named as torch's."""

    told = []
    family.fail = lambda work, states: AcceleratorError("illegal access") if work == "predict" else None
    engine = StepEngine(
        family, PlainDevice(family), EngineSettings(), Counters(), on_device_lost=lambda: told.append(True)
    )
    [listener] = submit(engine, request("a"))
    assert isinstance(listener.error(), ModelError)
    engine.stop()
    assert told == [True]
    assert not engine.alive


def test_an_engine_that_stops_ends_what_its_family_does_beside_requests(family, start):
    start().stop()
    assert family.stops == 1


def test_without_a_thread_of_its_own_the_engine_moves_by_turns_alone(family):
    engine = StepEngine(family, PlainDevice(family), EngineSettings(), Counters(), own_thread=False)
    [listener] = submit(engine, request("a", steps=2))
    assert listener.steps == []
    moved = [engine.turn() for _ in range(4)]
    assert moved == [True, True, True, False]  # encoded and one step, another step, decoded
    assert value(listener.result()) == 1 + 2 * DRIFT
    engine.stop()
