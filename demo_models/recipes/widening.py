"""A larger network that begins as the same function (Net2Net: Chen et al. 2016, arXiv:1511.05641)."""

from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor


def doubled(autoencoder: AutoencoderKL) -> AutoencoderKL:
    """Returns an autoencoder of twice the inner channels and the same function.

    Every channel gets a twin beside it, in the same normalisation group. What reads them shares its weight between the
    two at random, so that training drives the twins apart.
    """
    config: dict[str, Any] = {name: value for name, value in autoencoder.config.items() if not name.startswith("_")}
    config["block_out_channels"] = [2 * count for count in config["block_out_channels"]]
    large = AutoencoderKL(**config)
    small, wanted = autoencoder.state_dict(), large.state_dict()
    large.load_state_dict({name: _grown(tensor, wanted[name].shape) for name, tensor in small.items()})
    return large


def _grown(tensor: Tensor, shape: torch.Size) -> Tensor:
    if tensor.shape[0] != shape[0]:
        tensor = tensor.repeat_interleave(2, dim=0)
    if tensor.ndim > 1 and tensor.shape[1] != shape[1]:
        share = torch.rand(tensor.shape)
        tensor = torch.stack([tensor * share, tensor * (1 - share)], dim=2).flatten(1, 2)
    return tensor
