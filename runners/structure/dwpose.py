"""image + person boxes -> crops -> **DWPose** -> SimCC decoding -> keypoints of every person.

The pose net of `yzd-v/DWPose` (Apache-2.0; Yang et al. 2023, arXiv:2307.15880): `input` float32 (N, 3, 384, 288), RGB
normalised as for ImageNet -> `simcc_x` (N, 133, 576) and `simcc_y` (N, 133, 768), where a keypoint is a peak on each
axis at half-pixel steps (SimCC, Li et al. 2022, arXiv:2107.03332). Crops are cut as in its training (mmpose's top-down
recipe).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from composition.images import Box, Image, Pose
from runners.network import Network, Tensor, module_of, run_in_batches
from runners.structure.keypoints import COUNT, to_pose
from runners.structure.queries import PoseQuery

INPUT_HEIGHT, INPUT_WIDTH = 384, 288
PADDING = 1.25
"""A crop's size against the person's box."""
SPLIT_RATIO = 2
"""SimCC bins per pixel of the crop."""
MEAN = np.array([123.675, 116.28, 103.53], np.float32)
STD = np.array([58.395, 57.12, 57.375], np.float32)
MAX_PEOPLE_PER_FORWARD = 16

Affine = npt.NDArray[np.float64]
"""(2, 3), from pixels of the image to pixels of the crop."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Crop:
    """A person cut out: `pixels` float32 (3, 384, 288), normalised; `affine` led there."""

    pixels: Tensor
    affine: Affine


class DwPose:
    """Estimates the pose of people whose boxes are known; its network's outputs are simcc_x, simcc_y, in this order."""

    def __init__(self, network: Network) -> None:
        self._network = network

    @property
    def module(self) -> object:
        return module_of(self._network)

    def estimate(self, queries: Sequence[PoseQuery]) -> list[tuple[Pose, ...]]:
        """One pose per person box and query, in order; all people of all queries share the forwards."""
        crops = [cut_out(query.image, box) for query in queries for box in query.people]
        poses = iter([to_pose(points) for points in self._keypoints(crops)])
        return [tuple(next(poses) for _ in query.people) for query in queries]

    def _keypoints(self, crops: Sequence[Crop]) -> list[Tensor]:
        """(133, 3) per crop, in pixels of its image."""
        found: list[Tensor] = []
        for start in range(0, len(crops), MAX_PEOPLE_PER_FORWARD):
            chunk = crops[start : start + MAX_PEOPLE_PER_FORWARD]
            simcc_x, simcc_y = run_in_batches(self._network, np.stack([crop.pixels for crop in chunk]))
            found += [_read(x, y, crop.affine) for x, y, crop in zip(simcc_x, simcc_y, chunk, strict=True)]
        return found


def cut_out(image: Image, person: Box) -> Crop:
    """Cut a person out: the box widened by `PADDING` and to the net's aspect, black where it leaves the image."""
    width, height = person.x1 - person.x0, person.y1 - person.y0
    aspect = INPUT_WIDTH / INPUT_HEIGHT
    width, height = max(width, height * aspect) * PADDING, max(height, width / aspect) * PADDING
    left, top = (person.x0 + person.x1 - width) / 2, (person.y0 + person.y1 - height) / 2
    across, down = INPUT_WIDTH / width, INPUT_HEIGHT / height
    affine = np.array([[across, 0, -left * across], [0, down, -top * down]])
    crop = cv2.warpAffine(image, affine, (INPUT_WIDTH, INPUT_HEIGHT), flags=cv2.INTER_LINEAR)
    pixels = ((crop.astype(np.float32) - MEAN) / STD).transpose(2, 0, 1)
    return Crop(pixels=np.ascontiguousarray(pixels), affine=affine)


def _read(simcc_x: Tensor, simcc_y: Tensor, affine: Affine) -> Tensor:
    """The peaks (133, 576) and (133, 768) of one crop as x, y, score in its image.

    A score is the lower of the two peaks' heights, in 0..1; at 0 or below there is no keypoint.
    """
    points = np.empty((COUNT, 3), np.float32)
    in_crop = np.stack([simcc_x.argmax(axis=1), simcc_y.argmax(axis=1)], axis=1) / SPLIT_RATIO
    points[:, :2] = (in_crop - affine[:, 2]) / (affine[0, 0], affine[1, 1])
    points[:, 2] = np.clip(np.minimum(simcc_x.max(axis=1), simcc_y.max(axis=1)), 0, 1)
    return points
