"""One copy of every weight, caches that are bounded and counted, ControlNets that come and go, nothing left behind."""

from __future__ import annotations

import dataclasses
import gc
import random

import numpy as np
import psutil
import pytest
import torch
from diffusers import ControlNetModel
from safetensors import safe_open

from runners.diffusion.engine.counters import Counters
from runners.diffusion.families.stable_diffusion.build import build_family
from runners.diffusion.families.stable_diffusion.components import load_components, weights_variant
from runners.diffusion.families.stable_diffusion.controlnets import ControlNetPool
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings
from tests.fakes.fake_listener import FakeListener
from tests.integration.runners.diffusion.denoising import denoise_alone, family_of
from tests.integration.runners.diffusion.requests import (
    both_controls,
    control,
    photo,
    request,
    run,
)

pytestmark = pytest.mark.integration

CPU = torch.device("cpu")


def counters(engine) -> dict[str, int]:
    return dict(engine.stats()["counters"])


def live_weights() -> dict[int, int]:
    """Bytes of every distinct storage that some live parameter has, by address."""
    gc.collect()
    weights = [o for o in gc.get_objects() if issubclass(type(o), torch.nn.Parameter)]
    return {w.untyped_storage().data_ptr(): w.numel() * w.element_size() for w in weights}


def weights_on_disk(*files) -> int:
    """Bytes of all tensors in the files."""
    total = 0
    for file in files:
        with safe_open(file, framework="pt") as opened:
            total += sum(opened.get_tensor(key).nbytes for key in opened.keys())  # noqa: SIM118  no mapping
    return total


def test_every_weight_is_held_once_whatever_ran(paths):
    before = live_weights()
    components = load_components(paths, StableDiffusionSettings(), CPU, torch.float32)
    family = family_of(components)
    denoise_alone(family, request(controls=both_controls(), references=(photo(1),), ip_adapter_scale=0.5))
    denoise_alone(family, request())
    base = paths.base
    expected = weights_on_disk(
        *(base / part / "diffusion_pytorch_model.safetensors" for part in ("unet", "vae")),
        *(base / part / "model.safetensors" for part in ("text_encoder", "safety_checker")),
        *(paths.controlnets[kind] / "diffusion_pytorch_model.safetensors" for kind in both_controls()),
        paths.ip_adapter / "models" / "ip-adapter_sd15.safetensors",
        paths.ip_adapter / "models" / "image_encoder" / "model.safetensors",
        paths.taesd / "diffusion_pytorch_model.safetensors",
    )
    held = sum(size for address, size in live_weights().items() if address not in before)
    assert held == pytest.approx(expected, rel=0.01)


def test_the_half_precision_files_are_read_only_for_half_precision(paths):
    assert weights_variant(paths.base, torch.float16) == "fp16"
    assert weights_variant(paths.base, torch.float32) is None
    half = load_components(paths, StableDiffusionSettings(), CPU, torch.float16)
    assert {p.dtype for module in half.modules().values() for p in module.parameters()} == {torch.float16}


def test_a_repository_with_half_precision_files_only_loads_in_every_format(paths, tmp_path):
    for file in paths.base.rglob("*"):
        twin = file.with_name(file.name.replace(".safetensors", ".fp16.safetensors"))
        if file.is_file() and not (file.suffix == ".safetensors" and twin.is_file()):
            copy = tmp_path / file.relative_to(paths.base)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    halved = dataclasses.replace(paths, base=tmp_path)
    for dtype in (torch.float32, torch.bfloat16):
        components = load_components(halved, StableDiffusionSettings(), CPU, dtype)
        assert {p.dtype for module in components.modules().values() for p in module.parameters()} == {dtype}


def test_a_repeated_image_prompt_and_reference_are_encoded_once(make_engine):
    engine = make_engine()
    one = request(references=(photo(3),), ip_adapter_scale=0.5, strength=0.7)
    [first] = run(engine, one)
    before = counters(engine)
    [second] = run(engine, dataclasses.replace(one, request_id="again"))
    after = counters(engine)
    assert first.cache == dict.fromkeys(("text_embeddings", "vae_moments", "reference_embeddings"), "miss")
    assert second.cache == dict.fromkeys(("text_embeddings", "vae_moments", "reference_embeddings"), "hit")
    assert np.array_equal(first.image, second.image)
    for name in ("text_encodes", "vae_encodes", "reference_encodes"):
        assert after[name] == before[name]


def test_another_seed_on_a_cached_image_gives_what_it_gives_without_a_cache(load):
    warm = family_of(load())
    cold = family_of(load(), cache_max_bytes=0)
    denoise_alone(warm, request(1, strength=0.6))
    other = dataclasses.replace(request(1, strength=0.6), seed=99)
    assert torch.equal(denoise_alone(warm, other), denoise_alone(cold, other))


def test_encodings_expire(make_engine):
    now = [0.0]
    engine = make_engine(clock=lambda: now[0], cache_ttl_s=300.0, lease_s=1e9, timeout_s=1e9)
    run(engine, request())
    now[0] = 301.0
    [result] = run(engine, request())
    assert result.cache["vae_moments"] == "miss"
    assert engine.stats()["cache"]["entries"] == 3


def test_the_least_recently_used_controlnet_makes_room(make_engine):
    engine = make_engine(max_controlnets=1)
    pose, depth = {"pose": control(1)}, {"depth": control(2)}
    for controls in (pose, pose, depth, pose):
        run(engine, request(controls=controls))
    stats = engine.stats()
    assert stats["controlnet_loads"] == 3
    assert [name for name in stats["models_loaded"] if name.startswith("controlnet")] == ["controlnet-pose"]


def test_a_request_that_needs_two_controlnets_does_not_reload_them_at_every_step(make_engine):
    engine = make_engine(max_controlnets=1)
    run(engine, request(controls=both_controls(), num_inference_steps=6))
    assert engine.stats()["controlnet_loads"] == 2


def test_a_controlnet_that_is_published_as_a_pytorch_archive_only_loads_like_another(paths, tmp_path):
    published = ControlNetModel.from_pretrained(paths.controlnets["tile"])
    published.save_pretrained(tmp_path, safe_serialization=False)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".bin"}
    loaded = ControlNetPool({"tile": tmp_path}, max_loaded=1, device=CPU, dtype=torch.float16).get("tile")
    for name, weight in published.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weight.half()), name


def test_controlnets_can_be_loaded_at_start(make_engine):
    engine = make_engine(preload_controlnets=True)
    assert {"controlnet-pose", "controlnet-depth"} <= set(engine.stats()["models_loaded"])


def test_offloading_moves_only_what_is_used_and_changes_no_bit(paths, load):
    settings = StableDiffusionSettings(offload=True, cache_max_bytes=0)
    family = build_family(load_components(paths, settings, CPU, torch.float32), settings, Counters())
    one = request(references=(photo(1),), ip_adapter_scale=0.5)
    assert torch.equal(denoise_alone(family, one), denoise_alone(family_of(load()), one))
    # Two prompts, one masked image, the image encoder and its projection.
    assert family.preprocessor._offload.visits == 5


def test_a_half_precision_decoder_that_overflows_decodes_again_in_float32(paths):
    components = load_components(paths, StableDiffusionSettings(), CPU, torch.float16)
    decoder = components.vae.decoder
    with torch.inference_mode():
        decoder.conv_norm_out.weight.data.mul_(300.0)
        decoder.conv_out.weight.data.mul_(3000.0)
        counters = Counters()
        family = build_family(components, StableDiffusionSettings(), counters)
        pixels = family.decoder.pixels(torch.randn((1, 4, 8, 8), dtype=torch.float16))
    assert torch.isfinite(pixels).all()
    assert pixels.abs().max() > torch.finfo(torch.float16).max
    assert counters.snapshot()["vae_decodes_float32"] == 1
    assert {p.dtype for p in components.vae.parameters()} == {torch.float16}


@pytest.mark.slow
def test_two_hundred_requests_with_cancels_disconnects_and_failures_leave_the_memory_as_it_was(make_engine):
    engine = make_engine(max_controlnets=1)
    rng = random.Random(0)
    runner = engine._family.unet
    unet, process = runner._unet, psutil.Process()

    def sometimes_fails(*args, **kwargs):
        if rng.random() < 0.02:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return unet(*args, **kwargs)

    runner._unet = sometimes_fails

    def wave(count: int) -> None:
        listeners = []
        for _ in range(count):
            one = request(
                rng.randrange(1000),
                num_inference_steps=rng.randint(1, 12),
                guidance_scale=rng.choice([1.0, 7.5]),
                controls=rng.choice([{}, both_controls()]),
                references=rng.choice([(), (photo(rng.randrange(50)),)]),
                ip_adapter_scale=0.5,
                deadline_s=rng.choice([None, None, 0.05]),
            )
            listener = FakeListener(leaves_at=rng.choice([None, None, None, 2]))
            engine.submit(one, listener)
            if rng.random() < 0.3:
                engine.cancel(one.request_id)
            listeners.append(listener)
        for listener in listeners:
            listener.outcome()
        gc.collect()

    wave(50)
    before = process.memory_info().rss
    for _ in range(4):
        wave(50)
    after = process.memory_info().rss
    assert after <= before * 1.05
    assert engine.stats()["requests"] == {"encoding": 0, "denoising": 0, "finishing": 0}
    assert engine.alive
