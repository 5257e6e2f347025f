"""The ControlNets' parts: the shape that a depth map or a pose asks for, as pictures, and the networks that read them.

Trained together with the UNet, see inpainting.py.
"""

from pathlib import Path
from typing import Final

import numpy as np
import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor, nn

DEPTH: Final = "depth"
POSE: Final = "pose"
_LIMBS: Final = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13),
    (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
_LIMB_DIMMING: Final = 0.6
_HUES: Final = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0), (0, 255, 85),
    (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255), (170, 0, 255),
    (255, 0, 255), (255, 0, 170), (255, 0, 85),
)  # fmt: skip
"""The colours in which ControlNet's pose pictures show joints; limbs have them dimmed."""


def pose_picture(joints: NDArray[np.float32], side: int = 256) -> NDArray[np.uint8]:
    """Draws OpenPose-18 joints (18, 2) in the colours that ControlNet expects, RGB uint8 (256, 256, 3)."""
    picture = Image.new("RGB", (side, side))
    pen = ImageDraw.Draw(picture)
    for (first, second), hue in zip(_LIMBS, _HUES, strict=False):
        line = [tuple(float(value) for value in joints[end]) for end in (first, second)]
        pen.line(line, fill=tuple(int(value * _LIMB_DIMMING) for value in hue), width=4)
    for (x, y), hue in zip(joints.tolist(), _HUES, strict=True):
        pen.ellipse((x - 2, y - 2, x + 2, y + 2), fill=hue)
    return np.asarray(picture)


def depth_picture(depth: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Stretches inverse depth (H, W) to the full range, as estimated maps are, RGB uint8 (H, W, 3)."""
    low, high = float(depth.min()), float(depth.max())
    stretched = (depth.astype(np.float32) - low) / max(high - low, 1.0) * 255
    return np.repeat(np.rint(stretched).astype(np.uint8)[..., None], 3, axis=2)


def as_condition(pictures: list[NDArray[np.uint8]]) -> Tensor:
    """Returns control pictures as float32 (N, 3, H, W) in 0..1."""
    planes = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
    return planes.contiguous(memory_format=torch.channels_last)


def new_controlnet(unet: UNet2DConditionModel, start: Path | None) -> ControlNetModel:
    """Returns an earlier ControlNet, or one that starts as a copy of the UNet's first half.

    The published recipe starts hint and outputs at zero; with so few steps nothing would move: the hint starts alive.
    """
    if start is not None:
        earlier: ControlNetModel = ControlNetModel.from_pretrained(start, torch_dtype=torch.float32)
        return earlier.to(memory_format=torch.channels_last)
    network = ControlNetModel.from_unet(unet, conditioning_channels=3, load_weights_from_unet=False)
    network = ControlNetModel.from_config(
        network.config, in_channels=4, conditioning_embedding_out_channels=(16, 24, 32, 48)
    )
    own, theirs = network.state_dict(), unet.state_dict()
    copied = {name: tensor for name, tensor in theirs.items() if name in own and own[name].shape == tensor.shape}
    copied["conv_in.weight"] = theirs["conv_in.weight"][:, :4].clone()
    network.load_state_dict(copied, strict=False)
    nn.init.normal_(network.controlnet_cond_embedding.conv_out.weight, std=0.05)
    return network.to(memory_format=torch.channels_last)
