"""image + person boxes -> square crops -> **MoveNet** -> 17 points -> keypoints of every person.

MoveNet Thunder (Google, Apache-2.0), a single-person network: float32 (1, 256, 256, 3), RGB in 0..255 -> (1, 1, 17, 3),
COCO's body points as y, x (shares of the crop) and score. It knows no feet, face or hands: those points have score 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from composition.images import Box, Image, Pose
from runners.network import Network, Tensor, module_of, run_in_batches
from runners.structure.keypoints import COUNT, to_pose
from runners.structure.queries import PoseQuery

SIDE_PX = 256
PADDING = 1.25
"""A crop's side against the longer side of the person's box."""
SCORE_FACTOR = 1.5
"""Its authors take a point for seen from 0.2 on, the edit's masks and skeletons from 0.3."""
BODY_POINTS = 17
"""The first of COCO-WholeBody's."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SquareCrop:
    """A person cut out: `pixels` (256, 256, 3), and where in the image the square of side `side_px` is."""

    pixels: Image
    left: float
    top: float
    side_px: float


class MoveNet:
    """Estimates the pose of people whose boxes are known."""

    def __init__(self, network: Network) -> None:
        self._network = network

    @property
    def module(self) -> object:
        return module_of(self._network)

    def estimate(self, queries: Sequence[PoseQuery]) -> list[tuple[Pose, ...]]:
        """One pose per person box and query, in order."""
        crops = [cut_square(query.image, box) for query in queries for box in query.people]
        if not crops:
            return [() for _ in queries]
        batch = np.stack([crop.pixels for crop in crops]).astype(np.float32)
        (found,) = run_in_batches(self._network, batch)
        poses = iter([_read(points[0], crop) for points, crop in zip(found, crops, strict=True)])
        return [tuple(next(poses) for _ in query.people) for query in queries]


def cut_square(image: Image, person: Box) -> SquareCrop:
    """Cut a person out: a square around the box with room, black where it leaves the image."""
    half = max(1, math.ceil(PADDING * max(person.x1 - person.x0, person.y1 - person.y0) / 2))
    left, top = round((person.x0 + person.x1) / 2) - half, round((person.y0 + person.y1) / 2) - half
    square = np.zeros((2 * half, 2 * half, 3), np.uint8)
    height, width = image.shape[:2]
    rows, columns = slice(max(0, top), min(height, top + 2 * half)), slice(max(0, left), min(width, left + 2 * half))
    inside = image[rows, columns]
    square[rows.start - top :, columns.start - left :][: inside.shape[0], : inside.shape[1]] = inside
    way = cv2.INTER_AREA if 2 * half > SIDE_PX else cv2.INTER_LINEAR
    pixels = np.asarray(cv2.resize(square, (SIDE_PX, SIDE_PX), interpolation=way), np.uint8)
    return SquareCrop(pixels=pixels, left=left, top=top, side_px=2 * half)


def _read(points: Tensor, crop: SquareCrop) -> Pose:
    """One crop's points (17, 3): y, x, score."""
    whole = np.zeros((COUNT, 3), np.float32)
    whole[:BODY_POINTS, 0] = crop.left + points[:, 1] * crop.side_px
    whole[:BODY_POINTS, 1] = crop.top + points[:, 0] * crop.side_px
    whole[:BODY_POINTS, 2] = np.clip(SCORE_FACTOR * points[:, 2], 0, 1)
    return to_pose(whole)
