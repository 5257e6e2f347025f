"""The engine as its callers see it: events, counts, cancels, deadlines, leases, failures and what they leave behind."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import numpy as np
import pytest
import torch

from composition.controls import CONTROLS
from composition.diffusion import DiffusionProgress
from composition.errors import (
    Cancelled,
    ContentPolicy,
    InvalidInput,
    ModelError,
    NotReady,
    OutOfMemory,
    Timeout,
)
from composition.request import Scheduler, Speed
from runners.diffusion.families import stable_diffusion
from runners.diffusion.transport.events import Accepted
from tests.fakes.fake_listener import FakeListener
from tests.integration.runners.diffusion.requests import (
    both_controls,
    control,
    photo,
    request,
    run,
)

pytestmark = pytest.mark.integration


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def counters(engine) -> dict[str, int]:
    return dict(engine.stats()["counters"])


def test_a_request_hears_accepted_then_every_step_then_its_result(engine):
    listener = FakeListener()
    engine.submit(request(num_inference_steps=5), listener)
    result = listener.result()
    assert listener.accepted
    assert listener.steps == [0, 1, 2, 3, 4, 5]
    assert result.image.shape == (64, 64, 3)
    assert result.image.dtype == np.uint8
    assert result.models_used == ("sd-inpainting", "safety-checker")


def test_a_image_decodes_as_the_stock_pipeline_decodes_it(make_engine, load, stock):
    one = request()
    [result] = run(make_engine(), one)
    pipe = stock(torch.float32)
    latents = pipe.latents(one, None)
    with torch.inference_mode():
        expected = load().vae.decode(latents / load().vae.config.scaling_factor).sample[0]
    pixels = ((expected / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    assert np.array_equal(result.image, pixels)


def test_only_the_controlnets_that_are_asked_for_run_and_only_in_their_window(engine):
    half = {"depth": control(1, start=0.0, end=0.5)}
    [result] = run(engine, request(num_inference_steps=8, controls=half))
    counts = counters(engine)
    assert result.models_used == ("sd-inpainting", "controlnet-depth", "safety-checker")
    assert counts["controlnet_depth_forwards"] == 4
    assert counts["controlnet_depth_rows"] == 8
    assert "controlnet_pose_forwards" not in counts


@pytest.mark.parametrize("name", CONTROLS)
def test_the_controlnet_of_every_control_type_runs_and_changes_the_image(engine, name):
    one = request(controls={name: control(1)})
    [result] = run(engine, one)
    counts = counters(engine)
    [plain] = run(engine, dataclasses.replace(one, controls={}, request_id="plain"))
    assert result.models_used == ("sd-inpainting", CONTROLS[name].role, "safety-checker")
    assert {key: count for key, count in counts.items() if key.startswith("controlnet_")} == {
        f"controlnet_{name}_forwards": 4,
        f"controlnet_{name}_rows": 8,
    }
    assert (result.image != plain.image).any()


def test_a_controlnet_at_scale_zero_does_not_run(engine):
    [result] = run(engine, request(controls={"pose": control(1, scale=0.0)}))
    assert result.models_used == ("sd-inpainting", "safety-checker")
    assert "controlnet_pose_forwards" not in counters(engine)


def test_an_unguided_request_takes_one_row_per_step(engine):
    run(engine, request(num_inference_steps=6, guidance_scale=1.0))
    assert counters(engine)["unet_rows"] == 6


def test_a_guidance_window_halves_the_rows_of_the_later_steps(make_engine):
    engine = make_engine(guidance_end=0.5)
    run(engine, request(num_inference_steps=8))
    assert counters(engine)["unet_rows"] == 4 * 2 + 4 * 1


def test_concurrent_requests_share_forwards(make_engine):
    engine = make_engine(max_rows=16)
    run(engine, *(request(seed, num_inference_steps=10) for seed in range(6)))
    counts = counters(engine)
    assert counts["unet_rows"] == 6 * 10 * 2
    assert counts["unet_forwards"] < 30


def test_requests_of_different_sizes_and_speeds_are_served_side_by_side(make_engine):
    engine = make_engine(lease_s=600)
    results = run(
        engine,
        request(1, num_inference_steps=6),
        request(2, height=64, width=128, num_inference_steps=6),
        request(3, speed=Speed.FAST, guidance_scale=7.5, num_inference_steps=25),
        request(4, speed=Speed.TURBO, guidance_scale=7.5, num_inference_steps=25),
    )
    assert [result.image.shape for result in results] == [(64, 64, 3), (64, 128, 3), (64, 64, 3), (64, 64, 3)]
    assert results[2].models_used == ("sd-inpainting", "lcm-lora", "safety-checker")
    assert results[3].models_used == ("sd-inpainting", "tcd-lora", "safety-checker")


def test_a_fast_request_leaves_the_plain_weights_as_they_were(make_engine):
    engine = make_engine()
    one = request(5)
    [before] = run(engine, one)
    run(engine, request(speed=Speed.FAST))
    [after] = run(engine, one)
    assert np.array_equal(before.image, after.image)


def test_a_short_request_ends_before_a_long_one_that_came_first(engine):
    long, short = FakeListener(), FakeListener()
    first = request(num_inference_steps=100)
    engine.submit(first, long)
    long.wait_for_step(2)
    engine.submit(request(num_inference_steps=4), short)
    short.result()
    assert len(long.steps) < 30
    engine.cancel(first.request_id)
    assert isinstance(long.error(), Cancelled)


def test_a_cancelled_request_gets_no_further_forward(engine):
    listener = FakeListener()
    one = request(num_inference_steps=100)
    engine.submit(one, listener)
    listener.wait_for_step(3)
    assert engine.cancel(one.request_id)
    assert isinstance(listener.error(), Cancelled)
    run(engine, request(num_inference_steps=1))
    forwards = counters(engine)["unet_forwards"]
    assert forwards <= max(listener.steps) + 1 + 1
    run(engine, request(num_inference_steps=1))
    assert counters(engine)["unet_forwards"] == forwards + 1


def test_a_cancel_that_comes_before_its_request_refuses_it(engine):
    one = request()
    assert not engine.cancel(one.request_id)
    with pytest.raises(Cancelled):
        engine.submit(one, FakeListener())
    assert "unet_forwards" not in counters(engine)


def test_cancelling_one_request_leaves_the_others_as_they_are(engine):
    kept = request(1, num_inference_steps=12)
    [alone] = run(engine, kept)
    other, listener = request(2, num_inference_steps=50), FakeListener()
    engine.submit(other, listener)
    kept_again = FakeListener()
    engine.submit(dataclasses.replace(kept, request_id="again"), kept_again)
    kept_again.wait_for_step(3)
    engine.cancel(other.request_id)
    difference = np.abs(kept_again.result().image.astype(int) - alone.image.astype(int))
    assert difference.mean() < 1.0


def test_a_lease_that_nobody_renews_ends_the_request(make_engine):
    clock = Clock()
    engine = make_engine(clock=clock, lease_s=15.0, timeout_s=1e6)
    listener = FakeListener()
    engine.submit(request(num_inference_steps=100), listener)
    listener.wait_for_step(1)
    clock.now += 16.0
    assert "lease" in listener.error().message


def test_a_renewed_lease_keeps_the_request(make_engine):
    clock = Clock()
    engine = make_engine(clock=clock, lease_s=15.0, timeout_s=1e6)
    listener, one = FakeListener(), request(num_inference_steps=30)
    engine.submit(one, listener)
    for step in (5, 10, 15):
        listener.wait_for_step(step)
        engine.renew(one.request_id)
        clock.now += 10.0
        engine.renew(one.request_id)
    assert listener.result().image.shape == (64, 64, 3)
    assert not engine.renew(one.request_id)


def test_a_deadline_ends_the_request_with_timeout(make_engine):
    clock = Clock()
    engine = make_engine(clock=clock, lease_s=1e6)
    listener = FakeListener()
    engine.submit(request(num_inference_steps=100, deadline_s=5.0), listener)
    listener.wait_for_step(1)
    clock.now += 6.0
    assert isinstance(listener.error(), Timeout)


def test_a_deadline_ends_a_sleeping_engines_request_too(make_engine):
    engine = make_engine(timeout_s=0.2)
    listener = FakeListener()
    engine.submit(request(num_inference_steps=100, height=256, width=256), listener)
    assert isinstance(listener.error(), Timeout)


def test_a_listener_that_raises_is_gone_and_its_request_with_it(engine):
    heard: list[Any] = []
    gone = threading.Event()

    def break_off(event: Any) -> None:
        heard.append(event)
        if isinstance(event, DiffusionProgress) and event.step == 2:
            gone.set()
            raise RuntimeError("the event loop is closed")

    engine.submit(request(num_inference_steps=50), break_off)
    assert gone.wait(60)
    run(engine, request(num_inference_steps=2))
    assert counters(engine)["requests_cancelled"] == 1
    assert counters(engine)["unet_forwards"] <= 6


def test_stopping_the_engine_ends_its_requests_and_refuses_new_ones(make_engine):
    engine = make_engine()
    listener = FakeListener()
    engine.submit(request(num_inference_steps=100), listener)
    listener.wait_for_step(1)
    engine.stop()
    assert isinstance(listener.error(), NotReady)
    with pytest.raises(NotReady):
        engine.submit(request(), FakeListener())


@pytest.mark.parametrize(
    "changes",
    [
        {"num_inference_steps": 0},
        {"strength": 0.0},
        {"image": photo(1, 64, 72)},
        {"mask": np.zeros((60, 60), np.uint8), "image": np.zeros((60, 60, 3), np.uint8)},
        {"controls": {"pose": dataclasses.replace(control(1), image=photo(1, 32, 32))}},
    ],
    ids=lambda changes: ",".join(changes),
)
def test_a_request_that_can_never_run_is_refused_at_once(engine, changes):
    with pytest.raises(InvalidInput):
        engine.submit(request(**changes), FakeListener())


def test_a_second_request_of_a_running_id_is_refused(engine):
    one, listener = request(num_inference_steps=50), FakeListener()
    engine.submit(one, listener)
    with pytest.raises(InvalidInput, match="id"):
        engine.submit(one, FakeListener())
    engine.cancel(one.request_id)


def test_a_model_without_an_ip_adapter_refuses_a_reference(make_engine, load):
    engine = make_engine(load(variant=None))
    with pytest.raises(InvalidInput, match="IP-Adapter"):
        engine.submit(request(references=(photo(1),), ip_adapter_scale=0.5), FakeListener())


def test_previews_are_small_images_of_the_progress(engine):
    listener = FakeListener()
    engine.submit(request(num_inference_steps=16, previews=True), listener)
    listener.result()
    previews = [event.preview for event in listener.events if isinstance(event, DiffusionProgress) and event.step]
    shown = [preview for preview in previews if preview is not None]
    assert [preview.shape for preview in shown] == [(32, 32, 3)] * 7
    assert isinstance(listener.events[0], Accepted)


def test_encoding_in_its_own_thread_gives_the_same_image(make_engine):
    requests = [request(seed, controls=both_controls(), num_inference_steps=6) for seed in range(4)]
    inline = run(make_engine(), *requests)
    threaded = run(make_engine(threaded=True), *requests)
    for one, other in zip(inline, threaded, strict=True):
        assert np.abs(one.image.astype(int) - other.image.astype(int)).mean() < 1.0


# What fails


def out_of_memory() -> RuntimeError:
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


class FailingUnet:
    """A UNet that fails while `fails(rows)` says so."""

    def __init__(self, unet, fails):
        self._unet, self._fails = unet, fails
        self.calls: list[int] = []

    def __call__(self, sample, *args, **kwargs):
        self.calls.append(sample.shape[0])
        if error := self._fails(sample):
            raise error
        return self._unet(sample, *args, **kwargs)


def fail(engine, fails) -> FailingUnet:
    runner = engine._family.unet
    runner._unet = FailingUnet(runner._unet, fails)
    return runner._unet


def test_a_batch_that_does_not_fit_is_split_until_it_does(make_engine):
    requests = [request(seed, num_inference_steps=6) for seed in range(4)]
    expected = run(make_engine(), *requests)
    engine = make_engine()
    fail(engine, lambda sample: out_of_memory() if sample.shape[0] > 4 else None)
    results = run(engine, *requests)
    assert counters(engine)["out_of_memory_splits"] >= 1
    for one, other in zip(expected, results, strict=True):
        assert np.abs(one.image.astype(int) - other.image.astype(int)).mean() < 1.0


def test_a_single_request_is_retried_once_alone(make_engine):
    engine = make_engine()
    pending = [out_of_memory()]
    unet = fail(engine, lambda sample: pending.pop() if pending else None)
    [result] = run(engine, request(num_inference_steps=3))
    assert result.image.shape == (64, 64, 3)
    assert unet.calls == [2, 2, 2, 2]
    assert counters(engine)["out_of_memory_retries"] == 1


def test_a_request_that_never_fits_fails_alone_with_out_of_memory(make_engine):
    engine = make_engine()
    small = [request(seed, num_inference_steps=8) for seed in range(3)]
    expected = run(make_engine(), *small)
    fail(engine, lambda sample: out_of_memory() if sample.shape[-1] > 8 else None)
    large = FakeListener()
    engine.submit(request(height=128, width=128), large)
    results = run(engine, *small)
    assert isinstance(large.error(), OutOfMemory)
    for one, other in zip(expected, results, strict=True):
        assert np.abs(one.image.astype(int) - other.image.astype(int)).mean() < 1.0
    assert engine.alive


def test_a_request_whose_own_data_breaks_the_forward_fails_alone(make_engine):
    engine = make_engine()
    marker = request(9, num_inference_steps=6)
    with torch.inference_mode():
        poisoned = engine._family.encode(marker).inpainting

    def fails(sample):
        rows = (sample[:, 4:] == poisoned).flatten(1).all(dim=1)
        return ValueError("bad row") if bool(rows.any()) else None

    fail(engine, fails)
    listener = FakeListener()
    engine.submit(marker, listener)
    results = run(engine, *(request(seed, num_inference_steps=6) for seed in range(3)))
    assert isinstance(listener.error(), ModelError)
    assert "bad row" not in listener.error().message
    assert len(results) == 3


def test_a_lost_device_ends_every_request_and_says_so_once(make_engine):
    told = threading.Event()
    engine = make_engine(on_device_lost=told.set)
    lost = torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
    fail(engine, lambda sample: lost if counters(engine).get("unet_forwards", 0) >= 4 else None)
    listeners = [FakeListener(), FakeListener()]
    for listener in listeners:
        engine.submit(request(num_inference_steps=20), listener)
    assert {type(listener.error()) for listener in listeners} == {ModelError}
    assert told.wait(30)
    assert not engine.alive
    with pytest.raises(NotReady):
        engine.submit(request(), FakeListener())


def test_a_failing_encoder_fails_its_request_only(make_engine, load, monkeypatch):
    engine = make_engine()
    monkeypatch.setattr(load().pipe, "encode_image", lambda *args: (_ for _ in ()).throw(out_of_memory()))
    listener = FakeListener()
    engine.submit(request(references=(photo(1),), ip_adapter_scale=0.5), listener)
    assert isinstance(listener.error(), OutOfMemory)
    run(engine, request())


@pytest.mark.parametrize("scheduler", [*Scheduler, "of diffusers"])
def test_a_scheduler_that_runs_out_of_memory_takes_the_step_again_without_damage(make_engine, monkeypatch, scheduler):
    """Also one that no solver here knows, which remembers its past itself."""
    engine = make_engine()
    asked = {} if scheduler == "of diffusers" else {"scheduler": scheduler}
    with torch.inference_mode():
        smooth, bumpy = (engine._family.encode(request(4, num_inference_steps=6, **asked)) for _ in range(2))
        for state in (smooth, bumpy) if not asked else ():
            state.schedule = dataclasses.replace(state.schedule, steps=None)
        # The last thing that a step does, so that all else has been done by then.
        put_back = stable_diffusion.advance._put_back
        failures = []
        monkeypatch.setattr(
            stable_diffusion.advance, "_put_back", lambda *given: raise_next(failures) or put_back(*given)
        )
        for step in range(6):
            failures += [out_of_memory()] * (step == 3)
            for state in (bumpy, smooth):
                [outcome] = engine._stepper.step([state])
                assert outcome.error is None
    assert torch.equal(smooth.latents, bumpy.latents)
    assert not failures


def raise_next(errors):
    if errors:
        raise errors.pop()


def test_a_flagged_image_fails_with_content_policy_and_is_never_shown(make_engine, load, monkeypatch):
    checker = load().safety_checker
    monkeypatch.setattr(checker.concept_embeds_weights, "data", torch.full((17,), -2.0))
    listener = FakeListener()
    make_engine().submit(request(), listener)
    assert isinstance(listener.error(), ContentPolicy)


def test_without_a_safety_checker_nothing_is_checked(make_engine, load):
    engine = make_engine(dataclasses.replace(load(), safety_checker=None, names=("sd-inpainting",)))
    [result] = run(engine, request())
    assert result.models_used == ("sd-inpainting",)
    assert "safety_checks" not in counters(engine)
