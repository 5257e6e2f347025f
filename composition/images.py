"""Pixels, and what models see in them.

One convention everywhere: images are RGB uint8 (H, W, 3); masks are uint8 (H, W), 255 = repaint.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Image: TypeAlias = npt.NDArray[np.uint8]
"""RGB uint8, shape (H, W, 3)."""


Mask: TypeAlias = npt.NDArray[np.uint8]
"""uint8, shape (H, W); 255 = repaint, 0 = keep; values between are feathering."""


DepthMap: TypeAlias = npt.NDArray[np.uint8]
"""uint8, shape (H, W); 255 = nearest."""


@dataclass(frozen=True, kw_only=True)
class Box:
    """An axis-aligned box in pixels of the decoded image, x right, y down; x1 and y1 are exclusive."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def area(self) -> float:
        """Square pixels; 0 for an inverted box."""
        return max(0.0, self.x1 - self.x0) * max(0.0, self.y1 - self.y0)

    def grown(self, share: float) -> Box:
        """The box with a share of its sides more on every side."""
        across, down = share * (self.x1 - self.x0), share * (self.y1 - self.y0)
        return Box(x0=self.x0 - across, y0=self.y0 - down, x1=self.x1 + across, y1=self.y1 + down)


@dataclass(frozen=True, kw_only=True)
class Detection:
    """One instance that a detector found; `score` in 0..1."""

    label: str
    score: float
    box: Box


@dataclass(frozen=True, kw_only=True, eq=False)
class Outlines:
    """Silhouettes in the order in which they were asked for: binary masks (0/255) of the image's size.

    `drawn_by` is the model that drew them, as `models_used` names it; "" where nothing was asked.
    """

    masks: tuple[Mask, ...] = ()
    drawn_by: str = ""

    def __iter__(self) -> Iterator[Mask]:
        return iter(self.masks)

    def __len__(self) -> int:
        return len(self.masks)


@dataclass(frozen=True, kw_only=True, eq=False)
class Pose:
    """One person's keypoints; every array is float32 (N, 3) with columns x px, y px, score 0..1.

    `body` has the 18 OpenPose points (nose, neck, right shoulder, elbow, wrist, left shoulder, elbow, wrist,
    right hip, knee, ankle, left hip, knee, ankle, right eye, left eye, right ear, left ear).
    """

    body: npt.NDArray[np.float32]
    feet: npt.NDArray[np.float32]
    face: npt.NDArray[np.float32]
    left_hand: npt.NDArray[np.float32]
    right_hand: npt.NDArray[np.float32]
