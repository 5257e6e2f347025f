"""A denoising step never waits for the GPU: it reads nothing of what is computed there and uploads nothing to it.

Counted on torch's fake tensors with the device "cuda". A real GPU is given the next step while it computes; the one
wait is `Device.keep_pace`, for the step before the last.
"""

from __future__ import annotations

from contextlib import suppress

import pytest
import torch

from composition.request import Quality, Scheduler, Speed
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.row_budget import RowBudget
from runners.diffusion.engine.stepping import Stepper
from runners.diffusion.families.stable_diffusion.kept_latents import KeptLatents
from runners.diffusion.families.stable_diffusion.state import Prediction
from runners.diffusion.torch_device import TorchDevice
from tests.integration.runners.diffusion.denoising import family_of
from tests.integration.runners.diffusion.fake_cuda import FakeCuda, Waits
from tests.integration.runners.diffusion.requests import both_controls, control, photo, request

pytestmark = pytest.mark.integration

REFERENCE = {"references": (photo(7),), "ip_adapter_scale": 0.6}
CASES = {
    "plain": [{}],
    "unguided": [{"guidance_scale": 1.0}],
    "rescaled": [{"guidance_rescale": 0.7}],
    "reference": [REFERENCE],
    "reference-in-its-window": [{**REFERENCE, "ip_adapter_start": 0.3, "ip_adapter_end": 0.7}],
    "reference-inside-the-mask": [{**REFERENCE, "ip_adapter_mask": True}],
    "controlnets": [{"controls": both_controls()}],
    "controlnet-in-its-window": [{"controls": {"pose": control(1, 0.8, 0.25, 0.75)}}],
    "fast": [{"speed": Speed.FAST, "guidance_scale": 1.5, "height": 128, "width": 128}],
    "turbo": [{"speed": Speed.TURBO, "num_inference_steps": 4, "height": 128, "width": 128}],
    **{str(scheduler): [{"scheduler": scheduler}] for scheduler in Scheduler},
    "balanced": [{"quality": Quality.BALANCED, "controls": both_controls(), **REFERENCE}],
    "draft": [{"quality": Quality.DRAFT}, {"quality": Quality.DRAFT, "controls": {"depth": control(2)}}],
    "everything-in-company": [
        {},
        {"controls": both_controls(), **REFERENCE},
        {"controls": {"depth": control(2, 0.7, 0.2, 1.0)}, "num_inference_steps": 7, "guidance_scale": 1.0},
        {**REFERENCE, "ip_adapter_mask": True, "scheduler": Scheduler.UNIPC, "num_inference_steps": 9},
        {"references": (photo(8), photo(9)), "ip_adapter_scale": 0.4, "scheduler": Scheduler.DPM_SOLVER_KARRAS},
    ],
}


class Gpu:
    """The family of the tiny models on a GPU that computes nothing, and what its steps would wait for."""

    def __init__(self, components, **settings):
        self.fake = FakeCuda()
        self._real = family_of(components, **settings)
        moved = self.fake.moved(components.unet)
        self.family = self._real
        self.family.unet._unet = moved

    def encoded(self, *requests):
        with torch.inference_mode():
            states = [self._real.encode(one) for one in requests]
        pool = self.family.controlnets
        for kind, network in pool.loaded.items():
            pool._loaded[kind] = self.fake.moved(network)
        for state in states:
            if state.unet is not None:
                state.unet = self.fake.moved(state.unet)
        return [self.fake.moved(state) for state in states]

    def step(self, states):
        """One step of a batch; what it would wait for."""
        device = TorchDevice(torch.device("cpu"))
        stepper = Stepper(self.family, device, RowBudget(32, device.free_bytes), Counters())
        waits = Waits()
        with torch.no_grad(), self.fake.mode, waits:
            outcomes = stepper.step(states)
        assert [outcome.error for outcome in outcomes] == [None] * len(states)
        assert waits.operations > 100
        return waits


@pytest.fixture
def gpu(load):
    return Gpu(load(), guidance_end=0.6)


@pytest.mark.parametrize("case", CASES)
def test_no_step_waits_for_the_gpu_or_uploads_to_it(gpu, case):
    """Every phase of every request: guidance that ends at 0.6 of the steps, windows that open and close."""
    states = gpu.encoded(*requests_of(case))
    turn = 0
    while any(not state.done for state in states):
        waiting = [state for place, state in enumerate(states) if not state.done and place * 2 <= turn]
        batch = [state for state in waiting if state.bucket == waiting[turn % len(waiting)].bucket]
        waits = gpu.step(batch)
        assert (dict(waits.waits), dict(waits.uploads)) == ({}, {}), [state.step for state in batch]
        turn += 1


def requests_of(case):
    return [request(seed, **{"num_inference_steps": 6, **changes}) for seed, changes in enumerate(CASES[case], start=1)]


def test_an_image_kept_by_a_unet_that_was_not_made_for_inpainting_is_not_waited_for(gpu):
    [state] = gpu.encoded(request(num_inference_steps=3))
    with gpu.fake.mode:
        state.kept = KeptLatents(image=state.latents, noise=state.latents, mask=state.latents[:, :1])
    for _ in range(3):
        waits = Waits()
        with torch.no_grad(), gpu.fake.mode, waits:
            gpu.family.advance([state], [Prediction(noise=state.latents)])
        assert (dict(waits.waits), dict(waits.uploads)) == ({}, {})
    assert state.done


@pytest.mark.parametrize(
    ("planted", "counted"),
    [
        (lambda latents: latents.mean().item(), "waits"),
        (lambda latents: bool(latents.isfinite().all()), "waits"),
        (lambda latents: latents.cpu(), "waits"),
        (lambda latents: latents[latents > 0], "waits"),
        (lambda latents: latents.nonzero(), "waits"),
        (lambda latents: torch.linalg.solve(latents[0, 0], latents[0, 1]), "waits"),
        (lambda latents: latents * torch.ones(8, 8).to("cuda"), "uploads"),
        (lambda latents: latents * torch.tensor([0.5] * 8, device="cuda"), "uploads"),
        (lambda latents: latents * torch.tensor(0.5, device="cuda"), "uploads"),
    ],
    ids=["item", "bool", "cpu", "mask", "nonzero", "solve", "to", "tensor", "scalar-tensor"],
)
def test_a_planted_wait_is_counted(gpu, monkeypatch, planted, counted):
    [state] = gpu.encoded(request(num_inference_steps=2))
    predict = type(gpu.family).predict

    def waiting(self, states):
        # A fake tensor has no number to give; it was asked for all the same.
        for one in states:
            with suppress(RuntimeError):
                planted(one.latents)
        return predict(self, states)

    monkeypatch.setattr(type(gpu.family), "predict", waiting)
    assert getattr(gpu.step([state]), counted).total() >= 1


def test_what_rows_have_in_common_is_put_together_once_per_batch(gpu):
    states = gpu.encoded(*requests_of("everything-in-company"))
    layouts = gpu.family.forward.layouts
    built = []
    for _ in range(6):
        gpu.step([state for state in states if not state.done])
        built.append(layouts.built)
    # A window opens before step 2 (depth from 0.2 of 7) and guidance ends, for 6 steps after 4 and for 9 after 5.
    assert built == [1, 1, 2, 2, 3, 4]


def test_the_engine_is_one_step_ahead_of_the_gpu_at_most(monkeypatch):
    """Else a newcomer, or a cancel, would wait behind all that the GPU has been given."""
    issued, waited = [], []

    class Event:
        def __init__(self, *, blocking):
            assert blocking  # a wait that spins takes a core
            self.number = len(issued)

        def record(self, stream):
            issued.append(self.number)

        def synchronize(self):
            waited.append(self.number)

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)
    device = TorchDevice(torch.device("cuda"))
    for _ in range(4):
        device.keep_pace()
    assert (issued, waited) == ([0, 1, 2, 3], [0, 1, 2])
