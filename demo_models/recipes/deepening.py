"""Networks for fine latents that begin as those for coarse ones (Net2Net: Chen et al. 2016, arXiv:1511.05641).

Fine latents have four times as many cells; their low band, half the sum of 2 x 2, is a coarse latent (`fine_vae.py`). A
deepened network has one more level around the old ones. It begins by taking the low band, doing what the old network
does, and spreading the result over the cells: the detail of the latents is all that is left to learn.
"""

import re
from typing import Any, Final

import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from torch import Tensor, nn

_LATENTS: Final = 4
_HINT_STD: Final = 0.05
"""Of the last layer of a ControlNet's hint, which has one halving less and learns that layer anew."""


def deepened(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    """Returns a nine-channel UNet of one more level; the noise that it predicts in the low band is the old one's.

    Its detail is predicted to be free of noise. First and last convolutions are wider, so that they reach as far.
    """
    config = _config(unet)
    config["sample_size"] *= 2
    config["up_block_types"] = (*config["up_block_types"], "UpBlock2D")
    config["conv_in_kernel"], config["conv_out_kernel"] = 7, 5
    deep = UNet2DConditionModel(**_deeper_half(config))
    old, last = unet.state_dict(), len(config["up_block_types"]) - 1
    state = {_moved(name): tensor for name, tensor in old.items()}
    state["conv_in.weight"] = _over_pixels(old["conv_in.weight"])
    state["conv_out.weight"], state["conv_out.bias"] = _spread(old["conv_out.weight"]) / 2, old["conv_out.bias"] / 2
    deep.load_state_dict(state, strict=False)
    with torch.no_grad():
        _pass_through(deep.down_blocks[0])
        _pass_through(deep.up_blocks[last])
        _identity(deep.up_blocks[last - 1].upsamplers[0].conv)
    return deep


def deepened_controlnet(network: ControlNetModel) -> ControlNetModel:
    """Returns a ControlNet of one more level, which keeps what the old one makes of time, words and its own features.

    Exact it cannot be: the class fixes its first convolution at 3 x 3 cells, which see a part of the old one's reach,
    and the hint's last halving falls away.
    """
    config = _deeper_half(_config(network))
    config["conditioning_embedding_out_channels"] = tuple(config["conditioning_embedding_out_channels"])[:-1]
    deep = ControlNetModel(**config)
    old, wanted = network.state_dict(), deep.state_dict()
    moved = {_moved(name): tensor for name, tensor in old.items()}
    state = {name: tensor for name, tensor in moved.items() if name in wanted and wanted[name].shape == tensor.shape}
    state["conv_in.weight"] = _near_pixels(old["conv_in.weight"])
    deep.load_state_dict(state, strict=False)
    with torch.no_grad():
        _pass_through(deep.down_blocks[0])
        nn.init.normal_(deep.controlnet_cond_embedding.conv_out.weight, std=_HINT_STD)
    return deep


def _config(network: UNet2DConditionModel | ControlNetModel) -> dict[str, Any]:
    return {name: value for name, value in network.config.items() if not name.startswith("_")}


def _deeper_half(config: dict[str, Any]) -> dict[str, Any]:
    channels, blocks = config["block_out_channels"], config["down_block_types"]
    return {**config, "block_out_channels": (channels[0], *channels), "down_block_types": ("DownBlock2D", *blocks)}


def _moved(name: str) -> str:
    """The name that an old tensor has when a level, with two outputs, lies before the first."""
    name = re.sub(r"^down_blocks\.(\d+)", lambda found: f"down_blocks.{int(found[1]) + 1}", name)
    return re.sub(r"^controlnet_down_blocks\.(\d+)", lambda found: f"controlnet_down_blocks.{int(found[1]) + 2}", name)


def _low_band(weight: Tensor) -> Tensor:
    """What a low band's weights are per pixel: latents count by half; of a mask, the mean is taken."""
    halves = torch.full((weight.shape[1],), 0.5)
    if weight.shape[1] > _LATENTS:
        halves[_LATENTS] = 0.25
    return weight * halves[None, :, None, None]


def _over_pixels(weight: Tensor) -> Tensor:
    """A 3 x 3 convolution of low bands as a 7 x 7 one of pixels, right at the upper left pixel of every 2 x 2."""
    twice = _low_band(weight).repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    return nn.functional.pad(twice, (1, 0, 1, 0))


def _near_pixels(weight: Tensor) -> Tensor:
    """The same on the 3 x 3 nearest pixels: those of a neighbour that are out of reach count as the nearest one."""
    nearest = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 2.0]])  # left, own and right by pixel -1, 0, 1
    return torch.einsum("oiyx,yp,xq->oipq", _low_band(weight), nearest, nearest)


def _spread(weight: Tensor) -> Tensor:
    """A 3 x 3 convolution of cells as one of cells doubled in size, 5 x 5 with gaps."""
    wide = weight.new_zeros((*weight.shape[:2], 5, 5))
    wide[:, :, ::2, ::2] = weight
    return wide


def _pass_through(block: Any) -> None:
    """Has a block hand on its input, or the first half of it where another one is joined to it."""
    for resnet in block.resnets:
        nn.init.zeros_(resnet.conv2.weight)
        nn.init.zeros_(resnet.conv2.bias)
        if resnet.conv_shortcut is not None:
            _identity(resnet.conv_shortcut)
    for sampler in getattr(block, "downsamplers", None) or ():
        _identity(sampler.conv)


def _identity(convolution: Any) -> None:
    middle = convolution.kernel_size[0] // 2
    nn.init.zeros_(convolution.weight)
    nn.init.zeros_(convolution.bias)
    channels = range(convolution.out_channels)
    convolution.weight[channels, channels, middle, middle] = 1
