"""A compiled UNet: only warmed-up shapes run compiled, nothing compiles under load, and the images stay the same."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch._dynamo.utils import counters as dynamo_counters

from composition.request import Speed
from runners.diffusion.engine.counters import Counters
from runners.diffusion.families.stable_diffusion.attention import ReferenceRows
from runners.diffusion.families.stable_diffusion.build import build_family
from runners.diffusion.families.stable_diffusion.compilation import RowRunner
from runners.diffusion.families.stable_diffusion.components import load_components
from runners.diffusion.families.stable_diffusion.deep_features import UNetRows
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings
from tests.integration.runners.diffusion.denoising import denoise_alone, family_of
from tests.integration.runners.diffusion.requests import both_controls, photo, request

pytestmark = pytest.mark.integration

LONG = "a red car " * 40


@pytest.fixture
def compiled(paths, monkeypatch):
    """Parts whose UNet is traced by torch.compile but run by its eager backend: real guards, no code generation."""
    whole = torch.compile
    monkeypatch.setattr(torch, "compile", partial(whole, backend="eager"))
    torch._dynamo.reset()
    dynamo_counters.clear()
    components = load_components(paths, StableDiffusionSettings(), torch.device("cpu"), torch.float32)
    yield family_of(components, compile_unet=True, native_size=64, warm_rows=2)
    torch._dynamo.reset()


def graphs() -> int:
    return int(dynamo_counters["stats"]["unique_graphs"])


def test_nothing_compiles_after_the_warm_up_whatever_comes(compiled, load):
    plain = family_of(load())
    warmed = graphs()
    assert warmed > 0
    requests = [
        request(1, num_inference_steps=6),
        request(2, num_inference_steps=3, guidance_scale=1.0, controls=both_controls()),
        request(3, num_inference_steps=5, references=(photo(4),), ip_adapter_scale=0.7),
    ]
    for one in [*requests, request(4, height=64, width=128), request(5, speed=Speed.FAST), request(6, prompt=LONG)]:
        expected, latents = denoise_alone(plain, one), denoise_alone(compiled, one)
        assert (latents - expected).abs().max() <= 1e-3
    assert graphs() == warmed


def test_the_warm_up_covers_every_number_of_rows_with_and_without_controls(compiled):
    runner = compiled.unet
    assert {(shape[0], controlled) for shape, controlled in runner.warm_shapes} == {
        (rows, controlled) for rows in (1, 2) for controlled in (False, True)
    }


def test_the_statistics_name_the_compiled_shapes(compiled):
    assert compiled.stats()["compiled"] == [(1, 9, 8, 8), (2, 9, 8, 8)]


def test_a_machine_that_cannot_compile_runs_eager_and_says_so_once(load, monkeypatch, caplog):
    def no_compiler(unet, **options):
        def call(*args, **kwargs):
            raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found")

        return call

    monkeypatch.setattr(torch, "compile", no_compiler)
    family = family_of(load(), compile_unet=True, native_size=64, warm_rows=2)
    one = request(1, num_inference_steps=3)
    assert torch.equal(denoise_alone(family, one), denoise_alone(family_of(load()), one))
    assert family.stats()["compiled"] == []
    said = [record.message for record in caplog.records if "torch.compile" in record.message]
    assert said == [
        "torch.compile does not work here, the UNet runs eager"
        " (RuntimeError: InvalidCxxCompiler: No working C++ compiler found)"
    ]


def test_requests_run_eager_until_all_shapes_are_compiled(load, monkeypatch):
    begun, go_on, called = threading.Event(), threading.Event(), []

    def slowly(unet, **options):
        def call(*args, **kwargs):
            called.append(args[0].shape[0])
            begun.set()
            assert go_on.wait(60)
            return unet(*args, **kwargs)

        return call

    monkeypatch.setattr(torch, "compile", slowly)
    threads = []

    def beside(compile_shapes):
        threads.append(threading.Thread(target=compile_shapes))
        threads[0].start()

    settings = StableDiffusionSettings(compile_unet=True, native_size=64, warm_rows=2)
    family = build_family(load(), settings, Counters(), warm_up=beside)
    assert begun.wait(60)
    before = denoise_alone(family, request(1, num_inference_steps=2))
    assert called == [1]
    go_on.set()
    threads[0].join()
    assert called == [1, 1, 2, 2]
    after = denoise_alone(family, request(1, num_inference_steps=2))
    assert called == [1, 1, 2, 2, 2, 2]
    assert (before - after).abs().max() <= 1e-3


def test_a_graph_that_fails_later_is_given_up_and_the_request_is_not(load, monkeypatch, caplog):
    broken = []

    def fragile(unet, **options):
        def call(*args, **kwargs):
            if broken:
                raise RuntimeError("Triton Error [CUDA]: device kernel image is invalid")
            return unet(*args, **kwargs)

        return call

    monkeypatch.setattr(torch, "compile", fragile)
    family = family_of(load(), compile_unet=True, native_size=64, warm_rows=2)
    broken.append(True)
    one = request(1, num_inference_steps=3)
    assert torch.equal(denoise_alone(family, one), denoise_alone(family_of(load()), one))
    assert sum("runs eager" in record.message for record in caplog.records) == 1


def test_what_the_graph_has_no_place_for_runs_eager_more_images_more_references_masks():
    ran: list[str] = []

    class Network(torch.nn.Module):
        def __init__(self, name):
            super().__init__()
            self.name, self.weight = name, torch.nn.Parameter(torch.zeros(1))

        def forward(self, sample, *_, **__):
            ran.append(self.name)
            return (sample[:, :4],)

    runner = RowRunner(
        Network("eager"), compile_with=lambda unet: Network("compiled"), max_rows=2, reference_shape=(4, 8)
    )
    sample, text = torch.zeros(1, 9, 8, 8), {"encoder_hidden_states": torch.zeros(1, 77, 8)}
    runner.warm_up(sample, text, None)
    ran.clear()
    one, two = (ReferenceRows(tokens=torch.zeros(2, 4 * count, 8), scales=torch.ones(2, 1, 1)) for count in (1, 2))
    masked = replace(one, masks=(torch.ones(1, 64, 64), None))
    for references in ((), (one,), (two,), (one, one), (masked,)):
        runner.run(
            UNetRows(
                sample=sample.repeat(2, 1, 1, 1),
                timesteps=torch.zeros(2, dtype=torch.int64),
                conditioning={"encoder_hidden_states": torch.zeros(2, 77, 8)},
                references=references,
            )
        )
    assert ran == ["compiled", "compiled", "eager", "eager", "eager"]
