"""A model whose autoencoder has three levels: cells of 4 px, by its own configuration, in the engine and around it."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from benchmarks.stock import StockPipelines
from models_store.pipelines import latent_cell_px
from runners.diffusion.families.stable_diffusion.components import load_components
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings
from tests.integration.runners.diffusion.denoising import denoise_alone, family_of
from tests.integration.runners.diffusion.requests import request

pytestmark = pytest.mark.integration


@pytest.fixture
def fine(paths, tmp_path):
    """The tiny base model with a shallower autoencoder; without what depends on the depth: ControlNets, previews."""
    base = tmp_path / "base"
    shutil.copytree(paths.base, base)
    shutil.rmtree(base / "vae")
    torch.manual_seed(0)
    AutoencoderKL(
        block_out_channels=(4, 4, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=4,
        norm_num_groups=4,
        scaling_factor=0.18215,
    ).save_pretrained(base / "vae")
    return dataclasses.replace(paths, base=base, controlnets={}, taesd=None, ip_adapter=None)


def test_the_engine_and_the_front_read_the_same_cell(fine):
    parts = load_components(fine, StableDiffusionSettings(), torch.device("cpu"), torch.float32)
    assert parts.latent_scale == latent_cell_px(fine.base, what="the test's model") == 4


def test_a_mask_aligned_to_4_px_reaches_the_model_as_it_is_and_equals_the_stock_pipeline(fine):
    mask = np.zeros((64, 64), np.uint8)
    mask[20:44, 12:28] = 255
    one = request(mask=mask, num_inference_steps=3)
    family = family_of(load_components(fine, StableDiffusionSettings(), torch.device("cpu"), torch.float32))
    with torch.inference_mode():
        state = family.encode(one)
    assert state.latents.shape == (1, 4, 16, 16)
    cells = np.zeros((16, 16), np.float32)
    cells[5:11, 3:7] = 1
    assert np.array_equal(state.inpainting[0, 0].numpy(), cells)
    assert torch.equal(denoise_alone(family, one), StockPipelines(fine, torch.float32).latents(one, None))
