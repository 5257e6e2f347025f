"""What a checkpoint is shows in its names and shapes; what else a file is, is said in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models_store.checkpoints import UnfitCheckpoint, Widths, inspect
from models_store.fitting import reason_controlnet_misfits, reason_ip_adapter_misfits, reason_lora_misfits
from models_store.pipelines import UnservedPipeline
from tests.unit.models_store.headers import checkpoint_shapes, write_header

SD15 = Widths(cross_attention_dim=768, block_out_channels=(320, 640, 1280, 1280))


def without(prefix: str, shapes: dict) -> dict:
    return {name: shape for name, shape in shapes.items() if not name.startswith(prefix)}


@pytest.mark.parametrize(
    ("shapes", "pipeline"),
    [
        (checkpoint_shapes(), "StableDiffusionInpaintPipeline"),
        (checkpoint_shapes(channels=4), "StableDiffusionPipeline"),
        (checkpoint_shapes(text="sdxl"), "StableDiffusionXLInpaintPipeline"),
        (checkpoint_shapes(text="sdxl", channels=4), "StableDiffusionXLPipeline"),
    ],
    ids=["inpainting", "plain", "xl-inpainting", "xl"],
)
def test_a_file_in_the_original_layout_is_known_by_its_shapes(tmp_path: Path, shapes: dict, pipeline: str) -> None:
    found = inspect(write_header(tmp_path / "a.safetensors", shapes), what="it")
    assert (found.pipeline, found.widths, found.latent_cell_px) == (pipeline, SD15, 8)


OTHERS = {
    "a LoRA, not a checkpoint": {"lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight": (4, 320)},
    "a LoRA, not": {"unet.down_blocks.0.attn1.to_k.lora_A.weight": (4, 320)},
    "an autoencoder, not a checkpoint": {"encoder.conv_in.weight": (128, 3, 3, 3), "decoder.conv_in.weight": (4,)},
    "an autoencoder, not": {"first_stage_model.encoder.conv_in.weight": (128, 3, 3, 3)},
    "a ControlNet, not": {"controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3)},
    "a ControlNet, not a": {"control_model.input_hint_block.0.weight": (16, 3, 3, 3)},
    "an IP-Adapter, not": {"ip_adapter.1.to_k_ip.weight": (320, 768), "image_proj.proj.weight": (3072, 1024)},
    "a textual inversion, not": {"emb_params": (1, 768)},
    "name the folder that has model_index.json": {
        "conv_in.weight": (320, 9, 3, 3),
        "down_blocks.0.resnets.0.conv1.weight": (320, 320, 3, 3),
        "time_embedding.linear_1.weight": (1280, 320),
    },
    "a diffusion transformer, which no family serves": {"double_blocks.0.img_attn.qkv.weight": (9216, 3072)},
    "is a checkpoint of Stable Diffusion 2, which is not served": checkpoint_shapes(text="sd2", context=1024),
    "has a UNet with 8 input channels; 9 (inpainting) and 4": checkpoint_shapes(channels=8),
    "it has no autoencoder": without("first_stage_model.", checkpoint_shapes()),
    "it has no text encoder": without("cond_stage_model.", checkpoint_shapes()),
    "it has no diffusion model and no text encoder and no autoencoder": {f"layer.{n}.weight": (8, 8) for n in range(9)},
}


@pytest.mark.parametrize("expected", OTHERS)
def test_what_is_something_else_is_refused_in_one_line_that_says_what(tmp_path: Path, expected: str) -> None:
    file = write_header(tmp_path / "a.safetensors", OTHERS[expected])
    with pytest.raises(UnfitCheckpoint) as caught:
        inspect(file, what=f"models.base_model: {file}")
    assert expected in str(caught.value)
    assert str(caught.value).startswith(f"models.base_model: {file} ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("model.ckpt", b"anything", "is a pickle, which can run code"),
        ("model.safetensors", b"PK\x03\x04archive/data.pkl", "is a pickle, which can run code"),
        ("model.safetensors", b"\x80\x02}q\x00", "is a pickle, which can run code"),
        ("model.safetensors", b"<html>not found</html>", "is not a safetensors file"),
        ("model.safetensors", b"", "is not a safetensors file"),
    ],
)
def test_a_pickle_by_name_or_content_is_refused(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(UnfitCheckpoint, match=expected):
        inspect(file, what="it")


def folder(path: Path, *, unet: dict | None = None, cell: int = 4) -> Path:
    for name, content in (
        ("model_index.json", {"_class_name": "StableDiffusionPipeline"}),
        ("unet/config.json", unet or {"cross_attention_dim": 768, "block_out_channels": [320, 640, 1280, 1280]}),
        ("vae/config.json", {"block_out_channels": [1] * cell}),
    ):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(json.dumps(content))
    return path


def test_a_folder_is_known_by_its_configurations(tmp_path: Path) -> None:
    found = inspect(folder(tmp_path), what="it")
    assert (found.pipeline, found.widths, found.latent_cell_px) == ("StableDiffusionPipeline", SD15, 8)


def test_a_folder_without_a_pipeline_unet_or_autoencoder_is_refused(tmp_path: Path) -> None:
    for lost, expected in (
        ("vae/config.json", "has no autoencoder"),
        ("unet/config.json", "has no UNet"),
        ("model_index.json", "is no folder of a diffusion pipeline"),
    ):
        (folder(tmp_path) / lost).unlink()
        with pytest.raises((UnfitCheckpoint, UnservedPipeline), match=f"it {expected}"):
            inspect(tmp_path, what="it")


def test_adapters_fit_a_base_of_their_widths_only(tmp_path: Path) -> None:
    narrow = Widths(cross_attention_dim=32, block_out_channels=(8, 16, 16, 16))
    controlnet = tmp_path / "controlnet"
    controlnet.mkdir()
    (controlnet / "config.json").write_text(
        json.dumps({"cross_attention_dim": 768, "block_out_channels": [320, 640, 1280, 1280]})
    )
    adapter = write_header(
        tmp_path / "ip.safetensors",
        {"ip_adapter.1.to_k_ip.weight": (320, 768), "ip_adapter.3.to_k_ip.weight": (640, 768)},
    )
    lora = write_header(
        tmp_path / "lora" / "pytorch_lora_weights.safetensors",
        {"lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight": (64, 768)},
    ).parent
    for check, path in (
        (reason_controlnet_misfits, controlnet),
        (reason_ip_adapter_misfits, adapter),
        (reason_lora_misfits, lora),
    ):
        assert check(path, SD15) is None
        assert "768 text channels" in check(path, narrow)


def test_an_adapter_that_does_not_say_what_it_is_is_left_to_its_loader(tmp_path: Path) -> None:
    (tmp_path / "ip.safetensors").write_bytes(b"broken")
    assert reason_ip_adapter_misfits(tmp_path / "ip.safetensors", SD15) is None
    assert reason_controlnet_misfits(tmp_path, SD15) is None
    assert reason_lora_misfits(tmp_path, SD15) is None
