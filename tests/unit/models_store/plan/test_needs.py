"""Parameters are counted in the files where they are, and told by the manifest where they are not."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file

from composition.config import ModelsConfig
from models_store.manifest import Source, load_manifest, profiles
from models_store.plan.needs import count_parameters, needs_of
from models_store.store import ModelSet


def put(folder, path, *sizes, dtype=np.float16) -> None:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({f"t{index}": np.zeros(size, dtype=dtype) for index, size in enumerate(sizes)}, file)


def needs_with(**override):
    return needs_of(ModelSet(ModelsConfig.model_validate({"profile": "sd15", **override})))


def test_a_safetensors_file_is_counted_by_its_header(tmp_path):
    put(tmp_path, "a.safetensors", 10, 5)
    assert count_parameters(tmp_path / "a.safetensors") == 15


def test_other_files_count_as_float32(tmp_path):
    (tmp_path / "a.onnx").write_bytes(bytes(40))
    assert count_parameters(tmp_path / "a.onnx") == 10


def test_the_networks_of_a_pipeline_are_told_apart_and_each_format_counts_once(store_folder, tmp_path):
    put(tmp_path, "unet/diffusion_pytorch_model.safetensors", 100, dtype=np.float32)
    put(tmp_path, "unet/diffusion_pytorch_model.fp16.safetensors", 100)
    put(tmp_path, "vae/diffusion_pytorch_model.fp16-00001-of-00002.safetensors", 30)
    put(tmp_path, "vae/diffusion_pytorch_model.fp16-00002-of-00002.safetensors", 12)
    (tmp_path / "vae" / "config.json").write_text('{"block_out_channels": [1, 1, 1]}')
    found = needs_with(base_model=str(tmp_path))
    networks = {part.name: part for part in found.components}
    assert (networks["unet"].parameters, networks["vae"].parameters) == (100, 42)
    assert networks["unet"].every_step
    assert not networks["vae"].every_step
    assert found.cell_px == 4
    assert not found.counted, "the other models are not imported"


def test_of_two_ip_adapters_side_by_side_one_is_loaded(store_folder, tmp_path):
    put(tmp_path, "models/image_encoder/model.safetensors", 50)
    put(tmp_path, "models/ip-adapter_sd15.safetensors", 7)
    put(tmp_path, "models/ip-adapter-plus_sd15.safetensors", 9)
    needs = needs_with(ip_adapter={"model": str(tmp_path)})
    found = {part.name: part.parameters for part in needs.components}
    assert (found["image_encoder"], found["ip-adapter"]) == (50, 9)


def test_before_the_import_the_manifest_tells(store_folder):
    found = {part.name: part for part in needs_of(ModelSet(ModelsConfig(profile="sd15"))).components}
    assert found["unet"].parameters == 859_535_364
    assert found["image_encoder"].convertible == "image_encoder"
    assert found["controlnet-pose"].convertible == "controlnets"
    assert found["yolox"].parameters == 216_746_733 // 4
    assert found["yolox"].full_precision
    assert "controlnet-canny" not in found, "what is optional and not imported takes nothing"


@pytest.mark.parametrize("profile", [name for name in profiles() if load_manifest(name).source is Source.HUB])
def test_what_the_manifest_says_of_parameters_fits_the_bytes_that_it_says(profile):
    for role, model in load_manifest(profile).models.items():
        if model.parameters and role != "ip-adapter":  # which comes in two precisions and with a second adapter
            ratio = model.size_bytes / sum(model.parameters.values())
            assert min(abs(ratio - width) for width in (2, 4)) < 0.05, (role, ratio)


def test_a_broken_file_counts_by_its_size_and_is_not_judged_here(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"\xff" * 40)
    assert count_parameters(tmp_path / "a.safetensors") == 20


def test_a_checkpoint_beside_the_base_is_counted_by_what_it_brings_and_the_largest_is_first(store_folder, tmp_path):
    put(tmp_path / "small", "unet/diffusion_pytorch_model.safetensors", 10)
    put(tmp_path / "large", "unet/diffusion_pytorch_model.safetensors", 100)
    put(tmp_path / "large", "text_encoder/model.safetensors", 7)
    put(tmp_path / "large", "safety_checker/model.safetensors", 1000)
    found = needs_with(checkpoints={name: str(tmp_path / name) for name in ("small", "large")})
    brought = [{part.name: (part.parameters, part.every_step) for part in parts} for parts in found.checkpoints]
    assert brought == [{"unet": (100, True), "text_encoder": (7, False)}, {"unet": (10, True)}]
    assert sum(part.parameters for part in found.of_checkpoints(1)) == 107


def test_the_networks_of_a_checkpoint_in_one_file_are_told_apart(store_folder, tmp_path):
    sizes = {
        "model.diffusion_model.out.2.weight": 100,
        "first_stage_model.decoder.conv_out.weight": 20,
        "conditioner.embedders.0.transformer.text_model.final_layer_norm.weight": 5,
        "conditioner.embedders.1.model.ln_final.weight": 6,
        "model_ema.num_updates": 1,
    }
    save_file({name: np.zeros(size, np.float16) for name, size in sizes.items()}, tmp_path / "one.safetensors")
    found = needs_with(checkpoints={"one": str(tmp_path / "one.safetensors")})
    (parts,) = found.checkpoints
    assert {part.name: part.parameters for part in parts} == {"unet": 100, "vae": 20, "text_encoder": 11}


def test_a_checkpoint_that_is_not_there_takes_nothing(store_folder, tmp_path):
    assert needs_with(checkpoints={"gone": str(tmp_path / "gone")}).checkpoints == ((),)
