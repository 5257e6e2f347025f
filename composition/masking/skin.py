"""Where a person's hands are, by the colour of the face: detect -> **mask** -> condition.

A pose without fingers says where the wrists are, and not where the hands go from there: over a folded arm they lie
beside the forearm's line. In a photograph in colour the face says what skin looks like under this light.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from composition.images import Image, Mask
from composition.imaging.lab import Lab, to_lab
from composition.masking.anatomy import Disc, Joint, Point, Skeleton, discs, draw_hull, window_around, within
from composition.masking.body_shapes import draw_face

CHEEKS = ((-0.15, -0.12), (0.15, -0.12), (0.0, -0.2), (0.0, -0.05))
"""In the head's frame, below the eyes and above the mouth: bare skin, bearded or not."""
LEAST_CHROMA = 6.0
"""Skin with less of it is in a photograph without colours."""
SAME_HUE, SAME_LIGHT = 14.0, 30.0
"""Differences of a* and b*, and of L*, up to which a pixel is surely of the face's skin."""
LOOSER = 1.6
"""So many times as far it may be where it touches such skin: fingers in their own shade."""
WORN = 0.3
"""Of the trunk having the skin's colour, that tells no hand from a sleeve."""
SURE_SHARE = 0.3
"""Of a hand's pixels that are surely skin."""
REACH = 0.12
"""How far from the wrist a hand's pixels are, as a share of the stature; a hand is `anatomy.HAND` long."""
SMALLEST, LARGEST = 0.00015, 0.008
"""Area of a hand as shares of the squared stature: half hidden in a sleeve, and with the fingers spread. More than that
of skin's colour is a bare arm, or a wall."""
GAP, MARGIN = 0.02, 0.015
"""Of the stature: what a watch or a shade between fingers hides of a hand, and what its edge needs."""
_LEAST_PIXELS = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class Skin:
    """The colour of one person's face, L*a*b* (3,), in an image (H, W, 3), with the face (H, W), > 0."""

    image: Image
    colour: npt.NDArray[np.float32]
    face: Mask

    @classmethod
    def of(cls, image: Image, body: Skeleton) -> Skin | None:
        """None where the face is not seen, the image has no colours, or what is worn has those of the face."""
        if body.head is None or body.stature <= 0.0:
            return None
        cheeks, face = np.zeros(image.shape[:2], np.uint8), np.zeros(image.shape[:2], np.uint8)
        corners = [body.head.at(across, up) for across, up in CHEEKS]
        draw_hull(cheeks, [Disc(centre=corner, radius=0.05 * body.head.height) for corner in corners])
        seen = image[cheeks > 0]
        if len(seen) < _LEAST_PIXELS:
            return None
        colour = np.median(to_lab(seen), axis=0)
        if np.hypot(colour[1], colour[2]) < LEAST_CHROMA:
            return None
        draw_face(face, body)
        skin = cls(image=image, colour=colour.astype(np.float32), face=face)
        return None if skin._is_worn(body) else skin

    def _is_worn(self, body: Skeleton) -> bool:
        """Whether the trunk has the skin's colour, so that a sleeve may have it."""
        trunk = np.zeros(self.image.shape[:2], np.uint8)
        corners = body.known(Joint.RIGHT_SHOULDER, Joint.LEFT_SHOULDER, Joint.RIGHT_HIP, Joint.LEFT_HIP)
        if len(corners):
            draw_hull(trunk, discs(corners, 0.02 * body.stature))
        seen = self.image[(trunk > 0) & (self.face == 0)]
        return bool(len(seen)) and float(self._surely(to_lab(seen)).mean()) > WORN

    def _surely(self, lab: Lab, looser: float = 1.0) -> npt.NDArray[np.bool_]:
        """Which colours (..., 3) are those of the skin, in somewhat other light."""
        apart = np.abs(lab - self.colour)
        hue = np.hypot(apart[..., 1], apart[..., 2])
        return np.asarray((hue < looser * SAME_HUE) & (apart[..., 0] < looser * SAME_LIGHT))

    def draw_hand(self, canvas: Mask, wrist: Point, stature: float) -> bool:
        """Draw the hand at a wrist with 255 on the canvas (H, W); False where no colour tells it."""
        window = window_around(wrist, REACH * stature, canvas.shape[:2])
        if window is None:
            return False
        lab = to_lab(self.image[window])
        near = within(wrist, REACH * stature, window) & (self.face[window] == 0)
        sure, perhaps = near & self._surely(lab), near & self._surely(lab, LOOSER)
        opened = cv2.morphologyEx(perhaps.astype(np.uint8), cv2.MORPH_OPEN, _round(0.003 * stature))
        count, numbers = cv2.connectedComponents(opened)
        pieces = [numbers == number for number in range(1, count)]
        unit = stature * stature
        held = [p for p in pieces if np.count_nonzero(p) >= SMALLEST * unit and sure[p].mean() > SURE_SHARE]
        if not held or sum(np.count_nonzero(piece) for piece in held) > LARGEST * unit:
            return False
        hand = np.any(held, axis=0).astype(np.uint8) * np.uint8(255)
        room = max(1, round(GAP * stature))
        padded = cv2.copyMakeBorder(hand, room, room, room, room, cv2.BORDER_CONSTANT)
        closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, _round(GAP * stature))
        grown = np.asarray(cv2.dilate(closed, _round(MARGIN * stature)), np.uint8)
        _lay(canvas, grown, window[0].start - room, window[1].start - room)
        return True


def _round(radius: float) -> Mask:
    side = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def _lay(canvas: Mask, piece: npt.NDArray[np.uint8], top: int, left: int) -> None:
    """A piece (h, w) on the canvas (H, W) from a row and a column on, which may lie outside."""
    rows, columns = slice(max(0, top), top + piece.shape[0]), slice(max(0, left), left + piece.shape[1])
    part = canvas[rows, columns]
    inside = piece[max(0, -top) : max(0, -top) + part.shape[0], max(0, -left) : max(0, -left) + part.shape[1]]
    np.maximum(part, inside, out=part)
