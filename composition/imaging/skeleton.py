"""pose -> **condition**: people's keypoints drawn as the image that the pose ControlNet was trained on.

The convention is OpenPose's as drawn for `control_v11p_sd15_openpose` (lllyasviel/ControlNet-v1-1): black ground, limbs
as ellipses at 60 % brightness with dots at the joints, hands as thin lines, the face as white dots; feet are not drawn.
Limb and joint number n of 18 has the hue n/18, finger bone n of 20 the hue n/20.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from composition.images import Image, Pose

VISIBLE_SCORE: Final = 0.3
"""A keypoint with a lower score is not drawn, as in DWPose."""
LIMB_HALF_WIDTH_PX: Final = 4
JOINT_RADIUS_PX: Final = 4
FACE_RADIUS_PX: Final = 3
FINGER_WIDTH_PX: Final = 2
LIMB_BRIGHTNESS: Final = 0.6
FINGERTIP_COLOUR: Final = (0.0, 0.0, 255.0)
FACE_COLOUR: Final = (255.0, 255.0, 255.0)

LIMBS: Final = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13),
    (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
"""Pairs of OpenPose-18 points, in drawing order."""
FINGER_BONES: Final = tuple(
    (0 if joint == 0 else 4 * finger + joint, 4 * finger + joint + 1) for finger in range(5) for joint in range(4)
)
"""Pairs of hand points: the wrist, then four points per finger from the thumb on."""

Colour = tuple[float, float, float]
Keypoints = npt.NDArray[np.float32]


def rainbow(count: int) -> tuple[Colour, ...]:
    """`count` RGB colours (0..255) of full saturation, evenly spaced in hue from red on."""
    hues = (colorsys.hsv_to_rgb(index / count, 1.0, 1.0) for index in range(count))
    return tuple((red * 255, green * 255, blue * 255) for red, green, blue in hues)


_BODY_COLOURS = tuple(tuple(float(round(value)) for value in colour) for colour in rainbow(18))
_FINGER_COLOURS = rainbow(20)


def draw_skeleton(poses: Sequence[Pose], size: tuple[int, int]) -> Image:
    """Draw people for the pose ControlNet, black when there is nobody; any array of a pose may be empty.

    Line widths are those of the model's scale, so draw at model size: `size` is (height, width) in pixels, which the
    keypoints are in.
    """
    canvas = np.zeros((*size, 3), np.uint8)
    for limb, colour in zip(LIMBS, _BODY_COLOURS, strict=False):
        for pose in poses:
            _draw_limb(canvas, pose.body, limb, colour)
    canvas = (canvas * LIMB_BRIGHTNESS).astype(np.uint8)
    for joint, colour in enumerate(_BODY_COLOURS):
        for pose in poses:
            _draw_dots(canvas, pose.body[joint : joint + 1], JOINT_RADIUS_PX, colour)
    for hand in [pose.left_hand for pose in poses] + [pose.right_hand for pose in poses]:
        _draw_hand(canvas, hand)
    for pose in poses:
        _draw_dots(canvas, pose.face, FACE_RADIUS_PX, FACE_COLOUR)
    return canvas


def _visible(points: Keypoints) -> npt.NDArray[np.bool_]:
    seen: npt.NDArray[np.bool_] = np.isfinite(points).all(axis=1) & (points[:, 2] > VISIBLE_SCORE)
    return seen


def _draw_limb(canvas: Image, body: Keypoints, limb: tuple[int, int], colour: Sequence[float]) -> None:
    """A filled ellipse whose long axis runs from joint to joint, nothing unless both are visible."""
    ends = body[list(limb)] if len(body) else np.zeros((0, 3), np.float32)
    if len(ends) != 2 or not _visible(ends).all():
        return
    (x0, y0), (x1, y1) = ends[:, :2].astype(float)
    centre = (int((x0 + x1) / 2), int((y0 + y1) / 2))
    half_length = int(math.hypot(x0 - x1, y0 - y1) / 2)
    angle = int(math.degrees(math.atan2(y0 - y1, x0 - x1)))
    outline = cv2.ellipse2Poly(centre, (half_length, LIMB_HALF_WIDTH_PX), angle, 0, 360, 1)
    cv2.fillConvexPoly(canvas, outline, colour)


def _draw_hand(canvas: Image, hand: Keypoints) -> None:
    if not len(hand):
        return
    seen = _visible(hand)
    for (start, end), colour in zip(FINGER_BONES, _FINGER_COLOURS, strict=True):
        if seen[start] and seen[end]:
            cv2.line(canvas, _pixel(hand[start]), _pixel(hand[end]), colour, FINGER_WIDTH_PX)
    _draw_dots(canvas, hand, JOINT_RADIUS_PX, FINGERTIP_COLOUR)


def _draw_dots(canvas: Image, points: Keypoints, radius_px: int, colour: Sequence[float]) -> None:
    for point in points[_visible(points)]:
        cv2.circle(canvas, _pixel(point), radius_px, colour, thickness=-1)


def _pixel(point: Keypoints) -> tuple[int, int]:
    return int(point[0]), int(point[1])
