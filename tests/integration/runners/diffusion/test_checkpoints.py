"""Checkpoints beside the base model: one file or a folder, for inpainting or not, switched between steps."""

from __future__ import annotations

import dataclasses
import functools
import gc
import json
import shutil

import numpy as np
import psutil
import pytest
import torch
from safetensors.torch import load_file, save_file

from benchmarks.stock import StockPipelines
from composition.config import Config
from composition.errors import InvalidInput
from composition.request import Speed
from models_store.store import ModelSet
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.settings import EngineSettings
from runners.diffusion.engine.step_engine import StepEngine
from runners.diffusion.families.registry import load_family
from runners.diffusion.families.stable_diffusion.components import load_components
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings
from runners.diffusion.families.stable_diffusion.single_file import IncompleteCheckpoint
from runners.diffusion.torch_device import TorchDevice
from tests.integration.runners.diffusion.denoising import denoise_alone, denoise_together, family_of
from tests.integration.runners.diffusion.original_layout import WEIGHTS, write_original
from tests.integration.runners.diffusion.requests import both_controls, control, photo, request, run

pytestmark = pytest.mark.integration

CPU = torch.device("cpu")
UNET = f"unet/{WEIGHTS}"


@pytest.fixture(scope="session")
def plain_folder(paths, tmp_path_factory):
    """The tiny base without its inpainting channels and with another decoder: a StableDiffusionPipeline."""
    folder = tmp_path_factory.mktemp("checkpoints") / "plain"
    shutil.copytree(paths.base, folder, ignore=shutil.ignore_patterns("*.fp16.*", "safety_checker"))
    for file, key, value in (
        ("model_index.json", "_class_name", "StableDiffusionPipeline"),
        ("unet/config.json", "in_channels", 4),
    ):
        config = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps({**config, key: value}))
    weights = load_file(folder / UNET)
    weights["conv_in.weight"] = weights["conv_in.weight"][:, :4].contiguous()
    weights["conv_out.bias"] = weights["conv_out.bias"] + 0.25
    save_file(weights, folder / UNET)
    return folder


@pytest.fixture(scope="session")
def single_files(paths, plain_folder):
    """The tiny base and the plain checkpoint, each in one file."""
    folder = plain_folder.parent
    return {
        "inpainting": write_original(paths.base, folder / "inpainting.safetensors"),
        "plain": write_original(plain_folder, folder / "plain.safetensors"),
    }


@pytest.fixture(scope="session")
def load_other(paths):
    """load(base) -> components of the tiny profile over another base model."""

    @functools.cache
    def load(base):
        chosen = dataclasses.replace(paths, base=base, configs=paths.base, ip_adapter_variant="sd15")
        return load_components(chosen, StableDiffusionSettings(), CPU, torch.float32)

    return load


@pytest.fixture(scope="session")
def stock_over(paths):
    return functools.cache(lambda base: StockPipelines(dataclasses.replace(paths, base=base), torch.float32))


def test_one_file_has_the_weights_that_the_folder_has(paths, single_files, load_other):
    folder, file = load_other(paths.base).modules(), load_other(single_files["inpainting"]).modules()
    assert folder.keys() == file.keys()
    for name, module in folder.items():
        ours, theirs = file[name].state_dict(), module.state_dict()
        assert ours.keys() == theirs.keys(), name
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs), name


@pytest.mark.parametrize("strength", [1.0, 0.6])
@pytest.mark.parametrize("guidance_scale", [7.5, 1.0], ids=["guided", "unguided"])
@pytest.mark.parametrize("variant", [None, "sd15"], ids=["no-reference", "reference"])
@pytest.mark.parametrize("controls", [{}, {"pose": control(101, 0.8, 0.0, 0.6)}], ids=["no", "pose"])
def test_a_checkpoint_that_is_not_for_inpainting_is_bit_equal_to_the_stock_pipeline(
    stock_over, plain_folder, load_other, controls, variant, guidance_scale, strength
):
    one = request(
        num_inference_steps=5,
        guidance_scale=guidance_scale,
        strength=strength,
        controls=controls,
        references=(photo(7, 64, 48),) if variant else (),
        ip_adapter_scale=0.6 if variant else 0.0,
    )
    latents = denoise_alone(family_of(load_other(plain_folder)), one)
    assert torch.equal(latents, stock_over(plain_folder).latents(one, variant))


def test_a_fast_request_of_such_a_checkpoint_draws_what_the_stock_pipeline_draws(paths, plain_folder, load_other):
    fast = request(speed=Speed.FAST, num_inference_steps=4, guidance_scale=1.5)
    stock = StockPipelines(dataclasses.replace(paths, base=plain_folder), torch.float32)
    stock.add_lora(None, paths.lcm_lora)
    assert torch.equal(denoise_alone(family_of(load_other(plain_folder)), fast), stock.latents(fast, None))


def test_outside_the_mask_such_a_checkpoint_ends_at_the_images_own_latents(plain_folder, load_other):
    family = family_of(load_other(plain_folder))
    with torch.inference_mode():
        state = family.encode(request())
        latents = denoise_alone(family, request())
    outside = state.kept.mask.expand_as(latents) == 0
    assert torch.equal(latents[outside], state.kept.image[outside])
    assert not torch.equal(latents[~outside], state.kept.image[~outside])


def test_a_file_without_some_weights_is_refused_by_their_part(paths, single_files, load_other, tmp_path):
    state = load_file(single_files["inpainting"])
    del state["first_stage_model.decoder.conv_out.weight"]
    save_file(state, tmp_path / "broken.safetensors")
    with pytest.raises(IncompleteCheckpoint, match=r"broken\.safetensors lacks weights of its autoencoder"):
        load_other(tmp_path / "broken.safetensors")


@pytest.fixture(scope="session")
def serve_checkpoints(single_files, plain_folder):
    """serve(max_loaded) -> the tiny profile with two checkpoints: "plain", a folder, and "twin", the base as a file."""

    def serve(max_loaded):
        config = Config.model_validate(
            {
                "models": {
                    "profile": "tiny",
                    "device": "cpu",
                    "dtype": "float32",
                    "checkpoints": {"plain": str(plain_folder), "twin": str(single_files["inpainting"])},
                    "max_loaded_checkpoints": max_loaded,
                    "controlnet": {"max_loaded": 1},
                }
            }
        )
        models = ModelSet(config.models)
        models.require_served()
        return load_family(config, models, CPU, Counters())

    return serve


@pytest.fixture
def engine_over():
    engines = []

    def start(family):
        patient = EngineSettings(lease_s=600.0, timeout_s=600.0)
        engines.append(StepEngine(family, TorchDevice(CPU), patient, Counters()))
        return engines[-1]

    yield start
    for engine in engines:
        engine.stop()


def test_each_request_is_painted_by_the_checkpoint_that_it_names(serve_checkpoints, engine_over):
    engine = engine_over(serve_checkpoints(2))
    base, plain, twin = run(engine, request(), request(model="plain"), request(model="twin"))
    assert np.array_equal(base.image, twin.image)
    assert not np.array_equal(base.image, plain.image)
    assert [result.models_used[0] for result in (base, plain, twin)] == ["sd-inpainting", "plain", "twin"]
    assert {"plain", "twin"} <= set(engine.stats()["models_loaded"])
    assert engine.stats()["checkpoints"]["loads"] == 2


def test_requests_of_different_checkpoints_never_share_a_forward(serve_checkpoints):
    family = serve_checkpoints(2)
    mixed = [request(1), request(2, model="plain"), request(3, model="twin", controls=both_controls())]
    alone = [denoise_alone(family, one) for one in mixed]
    assert all(torch.equal(a, b) for a, b in zip(denoise_together(family, mixed), alone, strict=True))


def test_a_checkpoint_that_is_loaded_while_serving_computes_to_the_last_bit_as_one_loaded_at_start(
    serve_checkpoints, load
):
    expected = denoise_alone(family_of(load()), request(controls={"pose": control(101)}))
    twin = denoise_alone(serve_checkpoints(1), request(model="twin", controls={"pose": control(101)}))
    assert torch.equal(twin, expected)


def test_a_checkpoint_that_is_not_listed_is_refused_with_those_that_are(serve_checkpoints):
    with pytest.raises(InvalidInput, match="model other is not available") as caught:
        serve_checkpoints(1).check(request(model="other"))
    assert caught.value.details["available"] == ["plain", "twin"]


def test_what_goes_with_every_checkpoint_is_held_once(serve_checkpoints):
    family = serve_checkpoints(1)
    before = weights()
    run_on(family, request(model="plain", references=(photo(1),), ip_adapter_scale=0.5))
    own = family._loaded["plain"].components
    added = weights() - before
    expected = sum(
        p.numel() * p.element_size() for part in (own.unet, own.vae, own.pipe.text_encoder) for p in part.parameters()
    )
    shared = sum(
        p.numel() * p.element_size()
        for processor in own.unet.attn_processors.values()
        if isinstance(processor, torch.nn.Module)
        for p in processor.parameters()
    )
    assert added == expected - shared


def run_on(family, one):
    with torch.inference_mode():
        state = family.encode(one)
        while not state.done:
            family.activate(state.bucket)
            family.advance([state], family.predict([state]))
        return family.decode(state)


def weights() -> int:
    """Bytes of every parameter that is alive."""
    gc.collect()
    held = {p.untyped_storage().data_ptr(): p for p in gc.get_objects() if issubclass(type(p), torch.nn.Parameter)}
    return sum(p.numel() * p.element_size() for p in held.values())


@pytest.mark.slow
def test_fifty_switches_of_checkpoints_and_controlnets_leave_the_memory_as_it_was(serve_checkpoints):
    family, process = serve_checkpoints(1), psutil.Process()
    base = family._base

    def switch(number: int) -> None:
        model = (None, "plain", "twin")[number % 3]
        kind = ("pose", "depth", "canny", "tile")[number % 4]
        run_on(family, request(number, model=model, controls={kind: control(number)}, num_inference_steps=2))

    def held() -> int:
        """Weights of what is loaded now do not count: which it is differs from turn to turn."""
        switch(1)
        return weights()

    for number in range(12):
        switch(number)
    before, resident = held(), process.memory_info().rss
    loads = base.controlnets.loads + family.stats()["checkpoints"]["loads"]
    for number in range(50):
        switch(number)
    assert base.controlnets.loads + family.stats()["checkpoints"]["loads"] >= loads + 50
    assert held() == before
    assert process.memory_info().rss <= resident * 1.05


def test_when_memory_is_short_only_the_base_and_the_checkpoint_at_work_stay(serve_checkpoints):
    family = serve_checkpoints(2)
    run_on(family, request(model="twin"))
    run_on(family, request(model="plain"))
    family.release_memory()
    assert [name for name in family.models_loaded if name in ("plain", "twin")] == ["plain"]
