"""Verification finds weights that are missing or left over where the loaders themselves say nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from composition.config import ModelsConfig
from models_store.smoke_test import WeightsDiffer, smoke_test
from models_store.store import ModelSet

pytestmark = pytest.mark.integration

UNET = "unet/diffusion_pytorch_model.safetensors"
ADAPTER = "models/ip-adapter_sd15.safetensors"


def with_changed(models: ModelSet, role: str, file: str, folder: Path, change) -> Path:
    shutil.copytree(models.path(role), folder, ignore=shutil.ignore_patterns("model.yaml"))
    weights = load_file(folder / file)
    change(weights)
    save_file(weights, folder / file)
    return folder


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda weights: weights.pop("conv_out.bias"), r"missing keys: \['conv_out.bias'\]"),
        (lambda weights: weights.update(stray=torch.zeros(1)), r"unexpected keys: \['stray'\]"),
    ],
    ids=["missing", "left-over"],
)
def test_a_diffusion_model_with_a_weight_too_few_or_too_many_is_found(tiny_models, tmp_path, change, expected):
    folder = with_changed(tiny_models, "sd-inpainting", UNET, tmp_path / "base", change)
    models = ModelSet(ModelsConfig(profile="tiny", base_model=str(folder)))
    with pytest.raises(WeightsDiffer, match=expected):
        smoke_test(models, "sd-inpainting", run=False)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda weights: weights.update({"ip_adapter.99.to_k_ip.weight": torch.zeros(8, 32)}), "unexpected keys"),
        (lambda weights: weights.update({"image_proj.stray": torch.zeros(1)}), "the projection of the reference needs"),
        (lambda weights: weights.update(stray=torch.zeros(1)), r"unexpected keys: \['stray'\]"),
    ],
    ids=["attention", "projection", "stray"],
)
def test_an_ip_adapter_with_a_weight_left_over_is_found(tiny_models, tmp_path, change, expected):
    folder = with_changed(tiny_models, "ip-adapter", ADAPTER, tmp_path / "adapter", change)
    models = ModelSet(ModelsConfig.model_validate({"profile": "tiny", "ip_adapter": {"model": str(folder)}}))
    with pytest.raises(Exception, match=expected):
        smoke_test(models, "ip-adapter", run=False)


def test_whole_models_pass(tiny_models):
    assert smoke_test(tiny_models, "sd-inpainting", run=False) == "StableDiffusionInpaintPipeline"
    assert smoke_test(tiny_models, "ip-adapter", run=False) == "CLIPVisionModelWithProjection"
