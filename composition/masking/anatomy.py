"""One person's measures and shapes from OpenPose keypoints, for the masks of `body`.

Proportions are shares of the stature after Drillis and Contini, "Body Segment Parameters" (1966), as printed in
Winter, "Biomechanics and Motor Control of Human Movement"; widths have clothing added. Foreshortening only makes a
segment look shorter, so of several estimates of one length the longest is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import cv2
import numpy as np
import numpy.typing as npt

from composition.images import Mask, Pose

MIN_SCORE = 0.3
"""A keypoint with a lower score was guessed."""
SHOULDER_WIDTH, TORSO_LENGTH = 0.22, 0.288
UPPER_ARM, FOREARM, THIGH, SHIN = 0.186, 0.146, 0.245, 0.246
HEAD_HEIGHT, HAND = 0.13, 0.108

Point = npt.NDArray[np.float64]
"""(2,): x right, y down, in pixels."""
Points = npt.NDArray[np.float64]
"""(N, 2)."""


class Joint(IntEnum):
    """OpenPose's 18 points, in order."""

    NOSE = 0
    NECK = 1
    RIGHT_SHOULDER = 2
    RIGHT_ELBOW = 3
    RIGHT_WRIST = 4
    LEFT_SHOULDER = 5
    LEFT_ELBOW = 6
    LEFT_WRIST = 7
    RIGHT_HIP = 8
    RIGHT_KNEE = 9
    RIGHT_ANKLE = 10
    LEFT_HIP = 11
    LEFT_KNEE = 12
    LEFT_ANKLE = 13
    RIGHT_EYE = 14
    LEFT_EYE = 15
    RIGHT_EAR = 16
    LEFT_EAR = 17


RIGHT_ARM = (Joint.RIGHT_SHOULDER, Joint.RIGHT_ELBOW, Joint.RIGHT_WRIST)
LEFT_ARM = (Joint.LEFT_SHOULDER, Joint.LEFT_ELBOW, Joint.LEFT_WRIST)
RIGHT_LEG = (Joint.RIGHT_HIP, Joint.RIGHT_KNEE, Joint.RIGHT_ANKLE)
LEFT_LEG = (Joint.LEFT_HIP, Joint.LEFT_KNEE, Joint.LEFT_ANKLE)


@dataclass(frozen=True, kw_only=True, eq=False)
class Disc:
    """A point with a width: shapes are hulls of discs, so a limb is two of them."""

    centre: Point
    radius: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Head:
    """A head's own frame: `eyes` is the middle between the eyes, `up` and `across` are unit vectors, `height` in px."""

    eyes: Point
    up: Point
    height: float

    @property
    def across(self) -> Point:
        return np.array([-self.up[1], self.up[0]])

    @property
    def chin(self) -> Point:
        """The eyes are half-way between chin and crown."""
        return self.at(0.0, -0.5)

    def at(self, across: float, up: float) -> Point:
        """A point given in head heights from the eyes."""
        point: Point = self.eyes + self.height * (across * self.across + up * self.up)
        return point


class Skeleton:
    """A pose with its uncertain keypoints left out."""

    def __init__(self, pose: Pose) -> None:
        self._points = {
            Joint(index): point for index, point in enumerate(_certain_rows(pose.body)) if point is not None
        }
        self.feet = certain(pose.feet)
        self.face = certain(pose.face)
        self.hands = (certain(pose.right_hand), certain(pose.left_hand))
        self.stature = self._measure_stature()
        self.head = self._measure_head()

    def get(self, joint: Joint) -> Point | None:
        return self._points.get(joint)

    def known(self, *joints: Joint) -> Points:
        """Those of the joints that were found, (M, 2)."""
        return np.array([self._points[joint] for joint in joints if joint in self._points]).reshape(-1, 2)

    def middle(self, *joints: Joint) -> Point | None:
        """The mean of those joints that are known; None when none is."""
        found = self.known(*joints)
        return found.mean(axis=0) if len(found) else None

    def _distance(self, first: Point | None, second: Point | None) -> float:
        return 0.0 if first is None or second is None else float(np.linalg.norm(first - second))

    def _between(self, first: Joint, second: Joint) -> float:
        return self._distance(self.get(first), self.get(second))

    def _measure_stature(self) -> float:
        """Body height in pixels as if the person stood upright; 0 when nothing can be measured."""
        trunk = max(
            self._between(Joint.RIGHT_SHOULDER, Joint.LEFT_SHOULDER) / SHOULDER_WIDTH,
            self._distance(self.middle(*_SHOULDERS), self.middle(*_HIPS)) / TORSO_LENGTH,
        )
        if trunk > 0.0:
            return trunk
        return max(
            self._between(limb[part], limb[part + 1]) / share
            for limb, shares in ((RIGHT_ARM, _ARM), (LEFT_ARM, _ARM), (RIGHT_LEG, _LEG), (LEFT_LEG, _LEG))
            for part, share in enumerate(shares)
        )

    def _measure_head(self) -> Head | None:
        right, left = self.get(Joint.RIGHT_EYE), self.get(Joint.LEFT_EYE)
        nose, ears = self.get(Joint.NOSE), self.middle(Joint.RIGHT_EAR, Joint.LEFT_EAR)
        eyes = self.middle(Joint.RIGHT_EYE, Joint.LEFT_EYE)
        if eyes is None and nose is None and ears is None:
            return None
        # Ratios of an adult head: 225 mm high, 63 mm between pupils, 150 mm between ears, 115 mm from ear to nose.
        height = max(
            3.6 * self._distance(right, left),
            1.5 * self._between(Joint.RIGHT_EAR, Joint.LEFT_EAR),
            2.0 * self._between(Joint.RIGHT_EAR, Joint.NOSE),
            2.0 * self._between(Joint.LEFT_EAR, Joint.NOSE),
        )
        height = height or HEAD_HEIGHT * self.stature
        if height <= 0.0:
            return None
        up = self._head_up(right, left, eyes, nose)
        if eyes is None:
            eyes = nose + 0.17 * height * up if nose is not None else ears
        return None if eyes is None else Head(eyes=eyes, up=up, height=height)

    def _head_up(self, right: Point | None, left: Point | None, eyes: Point | None, nose: Point | None) -> Point:
        """Upright to the line between the eyes, pointing away from the nose; else away from the neck; else up."""
        below = nose if nose is not None else self.get(Joint.NECK)
        if right is not None and left is not None and self._distance(right, left) > 1.0:
            line = (left - right) / np.linalg.norm(left - right)
            up = np.array([line[1], -line[0]])
            if below is None:
                return up if up[1] < 0.0 else -up
            return up if np.dot(up, (right + left) / 2 - below) >= 0.0 else -up
        neck, top = self.get(Joint.NECK), eyes if eyes is not None else nose
        length = self._distance(neck, top)
        if neck is None or top is None or length <= 1.0:
            return np.array([0.0, -1.0])
        upward: Point = (top - neck) / length
        return upward


_SHOULDERS = (Joint.RIGHT_SHOULDER, Joint.LEFT_SHOULDER)
_HIPS = (Joint.RIGHT_HIP, Joint.LEFT_HIP)
_ARM, _LEG = (UPPER_ARM, FOREARM), (THIGH, SHIN)


def certain(points: npt.NDArray[np.float32]) -> Points:
    """The x, y columns (M, 2) of those keypoints (N, 3) that were found."""
    found = [point for point in _certain_rows(points) if point is not None]
    return np.array(found, dtype=np.float64).reshape(-1, 2)


def discs(points: Points, radius: float) -> list[Disc]:
    """A disc of `radius` px around each of the points (N, 2)."""
    return [Disc(centre=point, radius=radius) for point in points]


def draw_hull(canvas: Mask, shape: Sequence[Disc]) -> None:
    """Fill the convex hull of the discs with 255 on the canvas (H, W), in place; what lies outside is cut."""
    turn = np.linspace(0.0, 2.0 * np.pi, 32, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    outline = np.concatenate([disc.centre + disc.radius * circle for disc in shape])
    # Far-away points would overflow OpenCV's fixed-point coordinates.
    reach = 4 * max(canvas.shape)
    corners = np.rint(np.clip(outline, -reach, reach)).astype(np.int32)
    cv2.fillConvexPoly(canvas, cv2.convexHull(corners), 255)


def _certain_rows(points: npt.NDArray[np.float32]) -> list[Point | None]:
    return [
        np.array([x, y], dtype=np.float64) if np.isfinite((x, y, score)).all() and score >= MIN_SCORE else None
        for x, y, score in points.tolist()
    ]


def window_around(centre: Point, radius: float, size: tuple[int, ...]) -> tuple[slice, slice] | None:
    """The rows and columns of an image of a size that a disc reaches; None: none."""
    starts = [max(0, int(at - radius)) for at in (centre[1], centre[0])]
    ends = [min(length, int(at + radius) + 2) for at, length in zip((centre[1], centre[0]), size, strict=True)]
    if any(end <= start for start, end in zip(starts, ends, strict=True)):
        return None
    return slice(starts[0], ends[0]), slice(starts[1], ends[1])


def within(centre: Point, radius: float, window: tuple[slice, slice]) -> npt.NDArray[np.bool_]:
    """Which pixels of a window are not farther from a point."""
    rows, columns = np.ogrid[window]
    return np.asarray((columns - centre[0]) ** 2 + (rows - centre[1]) ** 2 <= radius**2)
