"""The tiny models with their blocks compiled: what shares what, and that the images stay the same.

Compiled by a backend that runs the traced graphs as they are: real guards, no code generated.
"""

from __future__ import annotations

import dataclasses
import itertools
import threading

import numpy as np
import pytest
import torch

from composition.request import Quality, Speed
from runners.diffusion.engine.counters import Counters
from runners.diffusion.families.stable_diffusion.build import build_family, compiler_for
from runners.diffusion.families.stable_diffusion.compilation.compiler import BlockCompiler
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings
from tests.integration.runners.diffusion.compilation.networks import CountingBackend, compile_all
from tests.integration.runners.diffusion.denoising import denoise_alone, denoise_together, family_of
from tests.integration.runners.diffusion.lora_files import ATTENTION, kohya, matrices, saved
from tests.integration.runners.diffusion.requests import SIDE, control, photo, request

pytestmark = pytest.mark.integration

LONG = "a red car " * 40
STEPS = {"num_inference_steps": 1}


class CompiledFamily:
    """A family over parts of its own, and one that runs eager beside it. What it is asked for twice is compiled."""

    def __init__(self, served, **settings):
        self.compiler = BlockCompiler(CountingBackend(), max_rows=6)
        self._numbers = itertools.count()
        chosen = StableDiffusionSettings(cache_max_bytes=0, **settings)
        self.family = build_family(served.fresh(), chosen, Counters(), compiler=self.compiler)
        self.plain = family_of(served.load(), **settings)

    def new_graphs(self, *requests):
        """How many are compiled for requests that come together, again and again; all of them run compiled then."""
        for _ in range(2):
            self.denoise(requests)
            self.compiler.answered()
        before = self.compiler.graphs
        compile_all(self.compiler)
        counted = self.modes()
        latents = self.denoise(requests)
        assert {mode for mode, count in self.modes().items() if count > counted[mode]} == {"compiled"}
        for one, expected in zip(latents, denoise_together(self.plain, requests), strict=True):
            assert (one - expected).abs().max() <= 1e-3
        assert self.compiler.on
        return self.compiler.graphs - before

    def denoise(self, requests):
        """As requests of their own, for which everything is computed anew."""
        anew = [dataclasses.replace(one, request_id=str(next(self._numbers))) for one in requests]
        return denoise_together(self.family, anew)

    def modes(self):
        return dict(self.compiler.forwards)


@pytest.fixture
def compiled(sd15):
    yield CompiledFamily(sd15)
    torch._dynamo.reset()


def test_what_is_compiled_for_one_request_serves_any_number_with_controls_reuse_and_a_long_text_beside(compiled):
    first = compiled.new_graphs(request(1, **STEPS))
    blocks = sum(counts["compiled"] for counts in compiled.compiler.stats()["run"].values() if "compiled" in counts)
    assert 0 < first < blocks  # they repeat within the UNet
    pose = {"controls": {"pose": control(1)}}
    assert compiled.new_graphs(request(2, **STEPS), request(3, **STEPS), request(4, **STEPS)) == 0
    assert compiled.new_graphs(request(2, quality=Quality.BALANCED, num_inference_steps=4)) == 0
    of_the_corner = np.zeros((SIDE // 8, SIDE // 8, 2), np.uint8)
    assert compiled.new_graphs(request(2, noise_from=of_the_corner, **STEPS)) == 0
    of_the_tiny_controlnet = compiled.new_graphs(request(5, **STEPS, **pose))
    assert compiled.compiler.stats()["run"]["controlnet"]["compiled"] > of_the_tiny_controlnet
    # A longer text and a reference enter the blocks that attend alone.
    assert 0 < compiled.new_graphs(request(6, prompt=LONG, **STEPS)) < first / 2
    assert 0 < compiled.new_graphs(request(7, references=(photo(4),), ip_adapter_scale=0.7, **STEPS)) < first / 2


def test_a_photo_of_another_shape_runs_eager_until_it_came_twice(compiled):
    compiled.new_graphs(request(1, **STEPS))
    before, graphs = compiled.modes(), compiled.compiler.graphs
    wide = request(2, height=64, width=128, **STEPS)
    assert torch.equal(denoise_alone(compiled.family, wide), denoise_alone(compiled.plain, wide))
    assert compiled.modes()["compiled"] == before["compiled"]
    compiled.compiler.answered()
    compile_all(compiled.compiler)
    assert compiled.compiler.graphs == graphs
    assert compiled.new_graphs(wide) > 0


@pytest.fixture
def files(load, tmp_path):
    """LoRAs of other ranks and numbers on the same layers."""
    return [
        saved(tmp_path, f"lora{rank}", kohya(matrices(load().pipe.unet, ATTENTION, rank, rank), alpha=2.0))
        for rank in (2, 4)
    ]


def test_fast_is_compiled_like_the_plain_model_and_sets_of_loras_share_what_is_compiled(compiled, files):
    """Where a block has no adapter the plain model's serves it; one of another rank or strength brings nothing new."""
    plain = compiled.new_graphs(request(1, **STEPS))
    first = compiled.new_graphs(request(2, loras=(files[0],), **STEPS))
    assert 0 < first < plain
    weaker = dataclasses.replace(files[1], weight=-0.6)
    assert compiled.new_graphs(request(3, loras=(weaker,), **STEPS)) == 0
    compiled.new_graphs(request(5, speed=Speed.FAST, guidance_scale=1.5, **STEPS))
    assert compiled.new_graphs(request(6, speed=Speed.FAST, guidance_scale=2.0, num_inference_steps=3)) == 0
    assert compiled.new_graphs(request(7, **STEPS)) == 0


def test_a_fused_set_is_like_the_plain_model(sd15, files):
    compiled = CompiledFamily(sd15, fused_loras=True)
    compiled.new_graphs(request(1, **STEPS))
    assert compiled.new_graphs(request(2, loras=(files[0],), **STEPS)) == 0
    assert compiled.new_graphs(request(3, speed=Speed.FAST, guidance_scale=1.5, **STEPS)) == 0
    torch._dynamo.reset()


def test_the_autoencoder_is_compiled_after_two_answers_and_answers_are_what_counts(compiled):
    one = request(1, **STEPS)
    with torch.inference_mode():
        expected = compiled.plain.decode(denoised(compiled.plain, one))
        for _ in range(2):
            compile_all(compiled.compiler)
            assert compiled.compiler.graphs == 0
            compiled.family.decode(denoised(compiled.family, one))
        compile_all(compiled.compiler)
        image = compiled.family.decode(denoised(compiled.family, one))
    assert compiled.compiler.stats()["run"]["vae"]["compiled"] > 0
    assert abs(image.astype(int) - expected).max() <= 1


def denoised(family, one):
    state = family.encode(one)
    while not state.done:
        family.advance([state], family.predict([state]))
    return state


def test_an_offloaded_autoencoder_is_left_alone_as_it_comes_and_goes(sd15):
    parts = sd15.fresh()
    build_family(parts, StableDiffusionSettings(offload=True), Counters(), compiler=BlockCompiler(CountingBackend()))
    assert not any("forward" in vars(module) for module in parts.vae.modules())
    assert any("forward" in vars(module) for module in parts.unet.modules())


def test_what_is_learnt_is_of_the_weights_the_versions_and_the_format(load, tmp_path, monkeypatch):
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    settings = StableDiffusionSettings(compile_blocks=True, compiled_folder=tmp_path / "compiled")
    compiler = compiler_for(load(), settings)
    kind, form = "0" * 32, ((("tensor", "torch.float32", (2,), (1,)),), ())
    compiler._answers[kind, form] = 3
    compiler._unsaved = True
    compiler.save()
    [file] = (tmp_path / "compiled").glob("learnt-*.json")
    assert compiler_for(load(), settings).stats()["waiting"] == 1
    assert compiler_for(load(torch.bfloat16), settings).stats()["waiting"] == 0
    assert f'"torch": "{torch.__version__}"' in file.read_text()
    monkeypatch.setattr(torch, "__version__", "9.9")
    assert compiler_for(load(), settings).stats()["waiting"] == 0
    assert not compiler_for(load(), StableDiffusionSettings()).on


def test_a_controlnet_is_loaded_when_nothing_is_being_compiled(sd15):
    """Loading changes torch's default number format meanwhile."""
    compiler = BlockCompiler(CountingBackend())
    controlnets = build_family(sd15.fresh(), StableDiffusionSettings(), Counters(), compiler=compiler).controlnets
    loading = threading.Thread(target=controlnets.get, args=("pose",))
    with compiler.turns.alone():
        loading.start()
        loading.join(0.3)
        assert loading.is_alive()
    loading.join(60)
    assert list(controlnets.loaded) == ["pose"]
