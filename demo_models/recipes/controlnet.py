"""The ControlNets' parts: the shape that a depth map or a pose asks for, as images, and the networks that read them.

Trained together with the UNet, see inpainting.py.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from numpy.typing import NDArray
from torch import Tensor, nn

from composition.images import Pose
from composition.imaging.skeleton import draw_skeleton
from demo_models.world.canvas import SCENE_PX

DEPTH: Final = "depth"
POSE: Final = "pose"
_NO_POINTS: Final = np.zeros((0, 3), np.float32)


def pose_image(joints: NDArray[np.float32], window: Sequence[int] = (0, 0, SCENE_PX)) -> NDArray[np.uint8]:
    """Draws OpenPose-18 joints (18, 2) in a square window (left, top, side) as the service does it.

    Returns:
        RGB uint8 (256, 256, 3).
    """
    left, top, side = (int(value) for value in window)
    places = (joints - (left, top)) * (SCENE_PX / side)
    body = np.concatenate([places, np.ones((len(joints), 1))], axis=1).astype(np.float32)
    pose = Pose(body=body, feet=_NO_POINTS, face=_NO_POINTS, left_hand=_NO_POINTS, right_hand=_NO_POINTS)
    return draw_skeleton([pose], (SCENE_PX, SCENE_PX))


def depth_image(depth: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Stretches inverse depth (H, W) to the full range, as estimated maps are, RGB uint8 (H, W, 3)."""
    low, high = float(depth.min()), float(depth.max())
    stretched = (depth.astype(np.float32) - low) / max(high - low, 1.0) * 255
    return np.repeat(np.rint(stretched).astype(np.uint8)[..., None], 3, axis=2)


def as_condition(images: list[NDArray[np.uint8]]) -> Tensor:
    """Returns control images as float32 (N, 3, H, W) in 0..1."""
    planes = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
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
