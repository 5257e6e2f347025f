"""image + person boxes -> **OpenPose** -> keypoints: the configured alternative to DWPose.

Runs the OpenPose networks of controlnet-aux. That code carries CMU's notice "for non-commercial use only", so it is
imported only when `models.structure.pose_estimator` is `openpose`; see docs/licences.md. OpenPose finds everybody in
the image by itself; a person box is given the pose that has the most keypoints in it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from composition.images import Box, Image, Pose
from runners.network import Tensor
from runners.structure.queries import PoseQuery

if TYPE_CHECKING:
    import torch

LONG_SIDE_PX = 768
"""OpenPose builds float64 maps of the image's size: 57 channels, 270 MB at this size, 1.9 GB at 2048 x 2048."""


class OpenPose:
    """Estimates the pose of people whose boxes are known.

    The detector is controlnet_aux's OpenposeDetector, or anything with its `detect_poses`.
    """

    def __init__(self, detector: Any) -> None:
        self._detector = detector

    @classmethod
    def load(cls, folder: Path, device: torch.device) -> OpenPose:
        """From a folder with body_pose_model.pth, hand_pose_model.pth and facenet.pth."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # controlnet-aux uses names that scipy has moved
            from controlnet_aux.open_pose import OpenposeDetector
        return cls(OpenposeDetector.from_pretrained(str(folder), local_files_only=True).to(device))

    @property
    def module(self) -> object:
        """None: controlnet-aux's detector is several networks, which stay where they are."""
        return None

    def estimate(self, queries: Sequence[PoseQuery]) -> list[tuple[Pose, ...]]:
        """One pose per person box and query, in order; a box without a pose gets one whose scores are all 0."""
        return [self._estimate(query) for query in queries]

    def _estimate(self, query: PoseQuery) -> tuple[Pose, ...]:
        if not query.people:
            return ()
        height, width = query.image.shape[:2]
        found = self._detector.detect_poses(_shrink(query.image), include_hand=True, include_face=True)
        return assign([_to_pose(result, height, width) for result in found], query.people)


def assign(poses: Sequence[Pose], people: Sequence[Box]) -> tuple[Pose, ...]:
    """Give every box a pose, the best fitting pairs first, no pose twice."""
    fits = [
        (-_points_inside(pose, box), person, index)
        for person, box in enumerate(people)
        for index, pose in enumerate(poses)
        if _points_inside(pose, box)
    ]
    given: dict[int, int] = {}
    for _, person, index in sorted(fits):
        if person not in given and index not in given.values():
            given[person] = index
    return tuple(poses[given[person]] if person in given else _nobody() for person in range(len(people)))


def _points_inside(pose: Pose, box: Box) -> int:
    x, y, score = pose.body.T
    return int(((score > 0) & (x >= box.x0) & (x < box.x1) & (y >= box.y0) & (y < box.y1)).sum())


def _shrink(image: Image) -> Image:
    height, width = image.shape[:2]
    ratio = min(1.0, LONG_SIDE_PX / max(height, width))
    if ratio == 1.0:
        return image
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _to_pose(result: Any, height: int, width: int) -> Pose:
    """A controlnet_aux PoseResult (coordinates as fractions of the image, absent points None or negative)."""
    listed = {
        "body": result.body.keypoints,
        "left_hand": result.left_hand,
        "right_hand": result.right_hand,
        "face": result.face,
    }
    parts = {name: _to_points(keypoints, height, width) for name, keypoints in listed.items()}
    return Pose(feet=np.zeros((0, 3), np.float32), **parts)


def _to_points(keypoints: Sequence[Any] | None, height: int, width: int) -> Tensor:
    """(N, 3) in pixels; an absent point has score 0. None (a part that was not found) gives (0, 3)."""
    points = np.zeros((len(keypoints or ()), 3), np.float32)
    for row, keypoint in zip(points, keypoints or (), strict=True):
        if keypoint is not None and keypoint.x >= 0 and keypoint.y >= 0:
            row[:] = keypoint.x * width, keypoint.y * height, 1.0
    return points


def _nobody() -> Pose:
    nothing = np.zeros((0, 3), np.float32)
    return Pose(body=np.zeros((18, 3), np.float32), feet=nothing, face=nothing, left_hand=nothing, right_hand=nothing)
