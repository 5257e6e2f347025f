"""What follows the fine autoencoder: latents of its cells, painters that begin as the coarse ones, the small LoRA."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel  # noqa: E402

from demo_models.recipes.diffusion import cumulative_alphas, noised  # noqa: E402
from demo_models.recipes.fine_inpainting import FineRecipe  # noqa: E402
from demo_models.recipes.fine_vae import low_band  # noqa: E402
from demo_models.recipes.inpainting import (  # noqa: E402
    ControlledRecipe,
    InpaintingTrainer,
    clip_tokenizer,
    new_text_encoder,
    new_unet,
)
from demo_models.recipes.ip_adapter import encoder_input, patches_of, set_scale  # noqa: E402
from demo_models.recipes.latents import LatentSet, encode_shard  # noqa: E402
from demo_models.recipes.lcm_lora import LcmRecipe, LcmTrainer, boundary, solver_step  # noqa: E402
from demo_models.recipes.masks import pixels_of  # noqa: E402
from demo_models.recipes.shards import Shard, render_shard  # noqa: E402
from demo_models.recipes.taesd import TinyRecipe, TinyTrainer  # noqa: E402
from demo_models.recipes.vae import as_input, edge_loss, peak_ratio_db, rescale, sharp_loss  # noqa: E402
from demo_models.recipes.workdir import weights_folder  # noqa: E402
from demo_models.world.seeds import TRAINING  # noqa: E402


@pytest.fixture(autouse=True)
def work_folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("DEMO_WORKDIR", str(tmp_path))
    clip_tokenizer.cache_clear()
    torch.manual_seed(2)
    return tmp_path


def autoencoder(levels: int) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8,) * levels, norm_num_groups=4, down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels, layers_per_block=1, latent_channels=4,
    )  # fmt: skip


def test_latents_have_the_cells_of_their_autoencoder_and_rows_of_every_shard_are_found(tmp_path):
    for number in range(2):
        render_shard(tmp_path / f"scenes-{number}", TRAINING.start + 2 * number, 2)
        encode_shard(
            Shard.open(tmp_path / f"scenes-{number}"), autoencoder(3), tmp_path / "fine" / f"train-{number:04d}"
        )
    latents = LatentSet(tmp_path / "fine")
    indices, variants = np.array([3, 0, 2]), np.array([0, 1, 2])
    cells = latents.take("cells", indices, variants)
    assert cells.shape == (3, 64, 64)
    assert latents.take("whole", indices, variants).shape == (3, 4, 64, 64)
    assert pixels_of(cells[0]).shape == (256, 256)
    last = np.load(tmp_path / "fine" / "train-0001" / "cells.npy")
    assert np.array_equal(cells[0], last[1, 0])
    assert np.array_equal(cells[2], last[0, 2])


def test_edges_are_missed_by_what_has_none_and_by_what_is_soft():
    stripes = torch.ones(1, 3, 32, 32)
    stripes[..., ::4] = stripes[..., 1::4] = -1
    soft = torch.nn.functional.avg_pool2d(stripes, 3, stride=1, padding=1, count_include_pad=False)
    flat = torch.zeros_like(stripes)
    assert edge_loss(stripes, stripes) == 0
    assert edge_loss(flat, stripes) == pytest.approx(1)
    assert 0.2 < edge_loss(soft, stripes) < 0.9
    assert sharp_loss(stripes, stripes) < sharp_loss(soft, stripes) < sharp_loss(flat, stripes)
    assert peak_ratio_db(flat, stripes) == pytest.approx(6.02, abs=0.01), "every pixel is off by half the range"


def test_rescaling_an_autoencoder_scales_its_latents_and_keeps_its_images():
    model, images = autoencoder(3).eval(), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        before = model.encode(images).latent_dist
        shown = model.decode(before.mean).sample
        after = rescale(model, 4.0).encode(images).latent_dist
        assert torch.allclose(after.mean, 4 * before.mean, atol=1e-5)
        assert torch.allclose(after.std, 4 * before.std, rtol=1e-4)
        assert torch.allclose(model.decode(after.mean).sample, shown, atol=1e-5)


@torch.no_grad()
def test_fine_painters_begin_as_the_coarse_ones_with_every_reference_they_know():
    coarse = InpaintingTrainer.begin(None).eval()
    recipe = ControlledRecipe(scenes=None, latents_folder=Path())  # type: ignore[arg-type]
    recipe.save(coarse, weights_folder("controlled"))
    fine = FineRecipe(scenes=None, latents_folder=Path()).build().eval()  # type: ignore[arg-type]
    latents, masked = torch.randn(2, 2, 4, 32, 32)
    mask = torch.ones(2, 1, 32, 32)
    rest = torch.tensor([600, 40]), torch.randn(2, 77, 128)
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    patches = patches_of(coarse.image_encoder, encoder_input([image, image]))
    for module in (coarse, fine):
        set_scale(module.unet, 0.6)
    expected = coarse.noise(torch.cat([low_band(latents), mask[..., :16, :16], low_band(masked)], 1), *rest, patches)
    predicted = fine.noise(torch.cat([latents, mask, masked], 1), *rest, patches)
    assert torch.allclose(low_band(predicted), expected, atol=2e-2), "the adapter is kept in half precision"
    depth = torch.rand(2, 3, 128, 128)
    steered = fine.noise(torch.cat([latents, mask, masked], 1), *rest, None, ("depth", depth), 0.8)
    assert steered.shape == latents.shape
    FineRecipe(scenes=None, latents_folder=Path()).save(fine, weights_folder("fine"))  # type: ignore[arg-type]
    saved = UNet2DConditionModel.from_pretrained(weights_folder("fine") / "unet").eval()
    assert torch.allclose(
        saved(torch.cat([latents, mask, masked], 1), *rest).sample,
        fine.noise(torch.cat([latents, mask, masked], 1), *rest),
        atol=1e-5,
    )


def test_a_solver_step_with_the_true_noise_goes_along_the_true_path():
    latents, noise = torch.randn(2, 3, 4, 8, 8)
    timesteps, later = torch.tensor([999, 499, 19]), torch.tensor([979, 479, 0])
    stepped = solver_step(noised(latents, noise, timesteps), noise, timesteps, later)
    assert torch.allclose(stepped, noised(latents, noise, later), atol=1e-3)


def test_answers_are_weighted_as_the_stock_scheduler_weights_them():
    from diffusers import LCMScheduler

    for timestep in (0, 19, 499, 999):
        stock = LCMScheduler().get_scalings_for_boundary_condition_discrete(timestep)
        assert [float(part) for part in boundary(torch.tensor([timestep]))] == pytest.approx([float(s) for s in stock])
    assert cumulative_alphas()[0] > 0.99


def test_only_the_lora_is_trained_and_it_is_saved_as_the_service_loads_it(tmp_path):
    from diffusers import StableDiffusionPipeline
    from diffusers.utils import set_adapter_layers

    unet = new_unet()
    plain = {name: tensor.clone() for name, tensor in unet.state_dict().items()}
    module = LcmTrainer(unet, new_text_encoder(len(clip_tokenizer())))
    trained = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
    assert trained
    assert all("lora_" in name for name in trained)
    optimizer = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=1.0)
    ids = torch.zeros(2, 77, dtype=torch.long)
    batch = {
        "whole": torch.randn(2, 4, 16, 16),
        "masked": torch.randn(2, 4, 16, 16),
        "cells": torch.ones(2, 1, 16, 16),
        "timesteps": torch.tensor([900, 300]),
        "input_ids": ids,
        "blank_ids": ids,
    }
    for _ in range(2):
        loss = module(**batch)["loss"]
        loss.backward()
        optimizer.step()
    assert torch.isfinite(loss)
    recipe = LcmRecipe(scenes=None, latents_folder=Path(), painter="fine")  # type: ignore[arg-type]
    with torch.no_grad():
        recipe.save(module, tmp_path / "lora")
        stacked, timesteps, words = torch.randn(1, 9, 16, 16), torch.tensor([500]), torch.randn(1, 77, 128)
        fresh = new_unet()
        fresh.load_state_dict(plain)
        before = fresh(stacked, timesteps, words).sample
        state, alphas = StableDiffusionPipeline.lora_state_dict(tmp_path / "lora", local_files_only=True)
        StableDiffusionPipeline.load_lora_into_unet(state, network_alphas=alphas, unet=fresh, adapter_name="lcm-lora")
        set_adapter_layers(fresh, enabled=True)
        after = fresh(stacked, timesteps, words).sample
        assert torch.allclose(after, module.noise(stacked, timesteps, words), atol=1e-5)
        assert (after - before).abs().max() > 1e-6


@pytest.mark.parametrize(("levels", "cell_px"), [(3, 4), (4, 8)])
def test_the_tiny_autoencoder_reads_and_writes_the_large_ones_cells(tmp_path, levels, cell_px):
    module = TinyTrainer(autoencoder(levels))
    images = as_input(np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8))
    losses = module(images)
    losses["loss"].backward()
    assert all(p.grad is None for p in module.large.parameters())
    recipe = TinyRecipe(scenes=None, held_out=None, large="vae-fine")  # type: ignore[arg-type]
    recipe.save(module, tmp_path / "taesd")
    saved = AutoencoderTiny.from_pretrained(tmp_path / "taesd")
    side = 64 // cell_px
    with torch.no_grad():
        assert saved.decode(torch.zeros(1, 4, side, side)).sample.shape == images.shape
        assert saved.encode(images).latents.shape == (1, 4, side, side)
