"""A doubled autoencoder starts as the same function, and its twins do not stay twins."""

import torch
from diffusers import AutoencoderKL

from demo_models.recipes.widening import doubled

SMALL = {
    "block_out_channels": (8, 16),
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "mid_block_add_attention": False,
}


def test_it_has_twice_the_channels_and_computes_the_same():
    torch.manual_seed(0)
    small = AutoencoderKL(**SMALL).eval()
    large = doubled(small).eval()
    assert tuple(large.config.block_out_channels) == (16, 32)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        latents = small.encode(images).latent_dist.mean
        assert torch.allclose(large.encode(images).latent_dist.mean, latents, atol=1e-4)
        assert torch.allclose(large.decode(latents).sample, small.decode(latents).sample, atol=1e-4)


def test_twins_get_gradients_of_their_own():
    torch.manual_seed(0)
    large = doubled(AutoencoderKL(**SMALL))
    large.decode(torch.randn(1, 4, 16, 16)).sample.square().sum().backward()
    gradient = large.decoder.conv_in.weight.grad
    assert not torch.allclose(gradient[0], gradient[1], rtol=0.1)
