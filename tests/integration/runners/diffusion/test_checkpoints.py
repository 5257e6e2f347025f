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
from tests.integration.runners.diffusion.served import Served

pytestmark = pytest.mark.integration

CPU = torch.device("cpu")
UNET = f"unet/{WEIGHTS}"


def write_plain(base, folder):
    """A tiny base without its inpainting channels and with another last layer: a family's text-to-image checkpoint."""
    shutil.copytree(base, folder, ignore=shutil.ignore_patterns("*.fp16.*", "safety_checker"))
    pipeline = json.loads((base / "model_index.json").read_text())["_class_name"].replace("Inpaint", "")
    for file, key, value in (("model_index.json", "_class_name", pipeline), ("unet/config.json", "in_channels", 4)):
        config = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps({**config, key: value}))
    weights = load_file(folder / UNET)
    weights["conv_in.weight"] = weights["conv_in.weight"][:, :4].contiguous()
    weights["conv_out.bias"] = weights["conv_out.bias"] + 0.25
    save_file(weights, folder / UNET)
    return folder


@pytest.fixture(scope="session")
def plain_folder(paths, tmp_path_factory):
    return write_plain(paths.base, tmp_path_factory.mktemp("checkpoints") / "plain")


@pytest.fixture(scope="session")
def plain_of(tmp_path_factory):
    """plain_of(served) -> the same models with the plain checkpoint as their base."""

    @functools.cache
    def make(served):
        base = write_plain(served.paths.base, tmp_path_factory.mktemp("plain") / "base")
        return Served(dataclasses.replace(served.paths, base=base))

    return make


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


@pytest.mark.parametrize("plain", [False, True], ids=["inpainting", "plain"])
def test_one_file_has_the_weights_that_the_folder_has(served, plain_of, tmp_path, plain):
    made = plain_of(served) if plain else served
    file = write_original(made.paths.base, tmp_path / "one.safetensors")
    in_one = Served(dataclasses.replace(made.paths, base=file, configs=served.paths.base))
    folder, file = made.load(variant=None).modules(), in_one.load(variant=None).modules()
    assert folder.keys() == file.keys()
    for name, module in folder.items():
        ours, theirs = file[name].state_dict(), module.state_dict()
        assert ours.keys() == theirs.keys(), name
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs), name


@pytest.mark.parametrize("strength", [1.0, 0.6])
@pytest.mark.parametrize("guidance_scale", [7.5, 1.0], ids=["guided", "unguided"])
@pytest.mark.parametrize("variant", [None, "plain"], ids=["no-reference", "reference"])
@pytest.mark.parametrize("controls", [{}, {"pose": control(101, 0.8, 0.0, 0.6)}], ids=["no", "pose"])
def test_a_checkpoint_that_is_not_for_inpainting_is_bit_equal_to_the_stock_pipeline(
    served, plain_of, controls, variant, guidance_scale, strength
):
    one = request(
        num_inference_steps=5,
        guidance_scale=guidance_scale,
        strength=strength,
        controls=controls,
        references=(photo(7, 64, 48),) if variant else (),
        ip_adapter_scale=0.6 if variant else 0.0,
    )
    plain = plain_of(served)
    latents = denoise_alone(family_of(plain.load()), one)
    assert torch.equal(latents, plain.stock(torch.float32).latents(one, plain.variant(variant)))


def test_a_fast_request_of_such_a_checkpoint_draws_what_the_stock_pipeline_draws(served, plain_of):
    fast = request(speed=Speed.FAST, num_inference_steps=4, guidance_scale=1.5)
    plain = plain_of(served)
    stock = StockPipelines(plain.paths, torch.float32)
    stock.add_lora(None, plain.paths.speed_loras[Speed.FAST])
    assert torch.equal(denoise_alone(family_of(plain.load()), fast), stock.latents(fast, None))


def test_requests_of_such_a_checkpoint_in_company_equal_the_stock_pipeline(served, plain_of):
    plain = plain_of(served)
    requests = [
        request(1, num_inference_steps=6),
        request(2, num_inference_steps=4, guidance_scale=1.0, controls={"pose": control(101, 0.8)}),
        request(3, num_inference_steps=7, strength=0.6, references=(photo(7),), ip_adapter_scale=0.6),
    ]
    together = denoise_together(family_of(plain.load()), requests, arrive_every=1)
    for one, latents in zip(requests, together, strict=True):
        expected = plain.stock(torch.float32).latents(one, plain.plain if one.references else None)
        assert (latents - expected).abs().max() <= 1e-3


def test_outside_the_mask_such_a_checkpoint_ends_at_the_images_own_latents(served, plain_of):
    family = family_of(plain_of(served).load())
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
