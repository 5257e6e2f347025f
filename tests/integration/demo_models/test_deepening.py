"""A network for fine latents begins as the one for coarse latents: on the low band it predicts the same noise."""

import pytest

torch = pytest.importorskip("torch")

from diffusers import ControlNetModel, UNet2DConditionModel  # noqa: E402

from demo_models.recipes.deepening import deepened, deepened_controlnet  # noqa: E402
from demo_models.recipes.fine_vae import low_band, shallower  # noqa: E402
from demo_models.recipes.inpainting import new_unet  # noqa: E402

CELLS = 16


@pytest.fixture
def coarse() -> UNet2DConditionModel:
    torch.manual_seed(1)
    return new_unet().eval()


def spread(coarse: torch.Tensor) -> torch.Tensor:
    """Fine latents without detail whose low band is given."""
    return coarse.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3) / 2


@torch.no_grad()
def test_the_noise_of_the_low_band_is_what_the_coarse_network_predicts(coarse):
    latents, masked = torch.randn(2, 2, 4, 2 * CELLS, 2 * CELLS)
    mask = (torch.rand(2, 1, CELLS, CELLS) > 0.5).float()
    timesteps, words = torch.tensor([700, 30]), torch.randn(2, 77, 128)
    fine = torch.cat([latents, mask.repeat_interleave(2, 2).repeat_interleave(2, 3), masked], dim=1)
    expected = coarse(torch.cat([low_band(latents), mask, low_band(masked)], dim=1), timesteps, words).sample
    deep = deepened(coarse).eval()
    predicted = deep(fine, timesteps, words).sample
    assert deep.config.sample_size == 2 * coarse.config.sample_size
    assert torch.allclose(predicted, spread(expected), atol=1e-4)
    assert torch.allclose(low_band(predicted), expected, atol=1e-4)
    assert expected.std() > 0.05, "a network that predicts nothing would prove nothing"


def test_the_detail_can_be_learnt(coarse):
    deep = deepened(coarse)
    fine = torch.randn(1, 9, 2 * CELLS, 2 * CELLS)
    optimizer = torch.optim.SGD(deep.parameters(), lr=1e-2)
    for _ in range(2):
        predicted = deep(fine, torch.tensor([500]), torch.randn(1, 77, 128)).sample
        (predicted - fine[:, :4]).square().mean().backward()
        optimizer.step()
    resnet = deep.up_blocks[-1].resnets[-1]
    assert resnet.conv1.weight.grad.abs().max() > 0
    assert deep.conv_in.weight.grad[:, :, 0].abs().max() > 0, "pixels that the coarse network did not see"


@torch.no_grad()
def test_a_controlnets_residuals_of_flat_latents_are_those_of_the_coarse_one(coarse):
    network = ControlNetModel.from_unet(coarse, conditioning_channels=3, load_weights_from_unet=False)
    network = ControlNetModel.from_config(
        network.config, in_channels=4, conditioning_embedding_out_channels=(16, 24, 32, 48)
    ).eval()
    for layer in (*network.controlnet_down_blocks, network.controlnet_mid_block):
        torch.nn.init.normal_(layer.weight, std=0.1)
    deep = deepened_controlnet(network).eval()
    for hint in (network.controlnet_cond_embedding, deep.controlnet_cond_embedding):
        torch.nn.init.zeros_(hint.conv_out.weight)
        torch.nn.init.zeros_(hint.conv_out.bias)
    flat = torch.randn(1, 4, 1, 1).expand(1, 4, CELLS, CELLS)
    rest = torch.tensor([400]), torch.randn(1, 77, 128), torch.rand(1, 3, 8 * CELLS, 8 * CELLS)
    old, old_middle = network(flat, *rest, return_dict=False)
    new, new_middle = deep(spread(flat), *rest, return_dict=False)
    assert [tuple(one.shape) for one in new[2:]] == [tuple(one.shape) for one in old]
    assert max(one.abs().max() for one in new[:2]) == 0, "the new level says nothing yet"
    inner = slice(3, -3)  # the border differs by what lies beyond it
    assert torch.allclose(new[2][..., inner, inner], old[0][..., inner, inner], atol=1e-4)
    assert new_middle.shape == old_middle.shape
    assert torch.corrcoef(torch.stack([new_middle.flatten(), old_middle.flatten()]))[0, 1] > 0.9


def test_a_shallower_autoencoder_has_half_the_compression_and_keeps_the_outer_weights():
    from diffusers import AutoencoderKL

    coarse = AutoencoderKL(
        block_out_channels=(8, 12, 16), norm_num_groups=4, down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3, layers_per_block=1,
    )  # fmt: skip
    fine = shallower(coarse)
    images = torch.rand(1, 3, 32, 32)
    assert coarse.encode(images).latent_dist.mean.shape[-1] == 8
    assert fine.encode(images).latent_dist.mean.shape[-1] == 16
    assert torch.equal(fine.encoder.conv_in.weight, coarse.encoder.conv_in.weight)
    outermost = fine.decoder.up_blocks[-1], coarse.decoder.up_blocks[-1]
    assert torch.equal(*(block.resnets[0].conv1.weight for block in outermost))
