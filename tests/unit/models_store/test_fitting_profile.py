"""A base model of other widths than the profile's: what does not go with it is left out, or refused at start."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from composition.config import IpAdapterConfig, ModelsConfig
from composition.config.tree import ControlNetConfig
from models_store.checkpoints import UnfitCheckpoint
from models_store.entries import exclusive, publish
from models_store.store import ModelSet, ModelsNotImported
from tests.unit.models_store.headers import checkpoint_shapes, write_header

TINY = {"cross_attention_dim": 32, "block_out_channels": [8, 16, 16, 16]}
SD15 = {"cross_attention_dim": 768, "block_out_channels": [320, 640, 1280, 1280]}


def pipeline(folder: Path, unet: dict, kind: str = "StableDiffusionInpaintPipeline") -> Path:
    for name, content in (
        ("model_index.json", {"_class_name": kind}),
        ("unet/config.json", unet),
        ("vae/config.json", {"block_out_channels": [1] * 4}),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    return folder


def put(role: str, fill) -> None:
    with exclusive() as staging:
        content = staging / "content"
        content.mkdir()
        fill(content)
        publish(ModelSet(ModelsConfig(profile="tiny")).tag(role), content, staging, {})


@pytest.fixture
def imported(store_folder: Path) -> None:
    """The tiny profile's base, adapter and pose ControlNet, as far as their widths show."""
    put("sd-inpainting", lambda folder: pipeline(folder, TINY))
    put(
        "ip-adapter",
        lambda folder: write_header(
            folder / "models/ip-adapter_sd15.safetensors", {"ip_adapter.1.to_k_ip.weight": (8, 32)}
        ),
    )
    put("controlnet-pose", lambda folder: (folder / "config.json").write_text(json.dumps(TINY)))


def models(**changes) -> ModelSet:
    return ModelSet(ModelsConfig(profile="tiny", **changes))


@pytest.mark.usefixtures("imported")
def test_beside_a_base_of_other_widths_the_profiles_own_adapters_are_left_out_with_the_reason(tmp_path: Path) -> None:
    other = models(base_model=str(pipeline(tmp_path / "real", SD15)))
    other.require_served()
    assert set(other.misfits) == {"ip-adapter", "controlnet-pose"}
    assert not {"ip-adapter", "controlnet-pose"} & set(other.roles)
    reason = other.reason_for_absence("controlnet-pose")
    assert reason == (
        "controlnet-pose of model profile tiny is made for 32 text channels, levels 8/16/16/16, "
        "the base model has 768 text channels, levels 320/640/1280/1280"
    )


@pytest.mark.usefixtures("imported")
def test_beside_a_base_of_the_same_widths_nothing_is_left_out(tmp_path: Path) -> None:
    assert models(base_model=str(pipeline(tmp_path / "twin", TINY))).misfits == {}
    assert models().misfits == {}


@pytest.mark.usefixtures("imported")
def test_an_adapter_that_the_configuration_names_beside_it_is_refused_at_start(tmp_path: Path) -> None:
    named = tmp_path / "pose"
    named.mkdir()
    (named / "config.json").write_text(json.dumps(SD15))
    with pytest.raises(UnfitCheckpoint, match="the configured controlnet-pose is made for 768 text channels"):
        models(controlnet=ControlNetConfig.model_validate({"pose": str(named)})).require_served()


@pytest.mark.usefixtures("imported")
def test_a_profile_runs_without_an_adapter_when_it_is_told_to() -> None:
    without = models(ip_adapter=IpAdapterConfig(enabled=False))
    assert "ip-adapter" not in without.roles
    assert without.reason_for_absence("ip-adapter") == "models.ip_adapter.enabled is false"
    assert without.misfits == {}


@pytest.mark.usefixtures("imported")
def test_checkpoints_of_the_base_models_family_and_widths_are_taken(tmp_path: Path) -> None:
    narrow = checkpoint_shapes(channels=4, context=32, levels=(8, 16, 16, 16))
    listed = models(
        checkpoints={
            "folder": str(pipeline(tmp_path / "twin", TINY, "StableDiffusionPipeline")),
            "file": str(write_header(tmp_path / "file.safetensors", narrow)),
        }
    )
    listed.require_served()
    assert listed.inspect_checkpoint("file").pipeline == "StableDiffusionPipeline"


@pytest.mark.usefixtures("imported")
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda path: path / "nowhere", "does not exist"),
        (lambda path: pipeline(path / "real", SD15), "has 768 text channels"),
        (lambda path: write_header(path / "real.safetensors", checkpoint_shapes()), "has 768 text channels"),
        (lambda path: write_header(path / "lora.safetensors", {"a.lora_down.weight": (4, 4)}), "is a LoRA"),
        (lambda path: write_header(path / "m.ckpt", checkpoint_shapes()), "is a pickle"),
        (lambda path: pipeline(path / "video", TINY, "AnimateDiffPipeline"), "is a AnimateDiffPipeline; served"),
    ],
    ids=["nowhere", "folder-wide", "file-wide", "lora", "pickle", "other-family"],
)
def test_another_checkpoint_of_the_list_is_refused_at_start_in_one_line(tmp_path: Path, make, expected: str) -> None:
    path = make(tmp_path)
    with pytest.raises(Exception, match=expected) as caught:
        models(checkpoints={"film": str(path)}).require_served()
    assert str(caught.value).startswith(f"models.checkpoints.film: {path}")
    assert "\n" not in str(caught.value)


def test_a_base_in_one_file_needs_the_profiles_own_configuration(store_folder: Path, tmp_path: Path) -> None:
    file = write_header(tmp_path / "base.safetensors", checkpoint_shapes())
    alone = ModelSet(ModelsConfig(profile="sd15", base_model=str(file)))
    assert alone.family == "sd15"
    assert alone.latent_cell_px == 8
    with pytest.raises(ModelsNotImported, match="needs the configuration of model profile sd15; run: python -m"):
        alone.require_served()


@pytest.mark.usefixtures("imported")
def test_a_base_in_one_file_of_other_widths_than_the_profile_is_refused(tmp_path: Path) -> None:
    file = write_header(tmp_path / "base.safetensors", checkpoint_shapes())
    with pytest.raises(UnfitCheckpoint, match=r"model profile tiny has 32 text channels.*do not go together"):
        models(base_model=str(file)).require_served()
