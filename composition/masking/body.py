"""Where a worn thing goes: detect -> **mask** -> condition.

A garment's detection says what is worn now, the pose says where the body part is. The mask is what both agree on,
without the face and the hands. Regions are hulls around keypoints with the width of a clothed limb (`body_shapes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from composition.decision import BodyRegion, Position
from composition.images import Box, Detection, Mask, Pose
from composition.imaging.masks import boxes_to_mask
from composition.masking.anatomy import LEFT_ARM, RIGHT_ARM, Skeleton
from composition.masking.body_shapes import draw_face, draw_hand, draw_region

GARMENT_WORDS: Mapping[BodyRegion, tuple[str, ...]] = {
    BodyRegion.UPPER: ("shirt", "t-shirt", "top", "blouse", "sweater", "hoodie", "jacket", "coat", "vest"),
    BodyRegion.LOWER: ("trousers", "jeans", "pants", "shorts", "skirt", "leggings"),
    BodyRegion.FULL: ("dress", "suit", "coat", "jumpsuit", "gown", "shirt", "jacket", "trousers", "skirt"),
    BodyRegion.FEET: ("shoes", "sneakers", "boots", "sandals", "socks"),
    BodyRegion.HEAD: ("hat", "cap", "helmet", "beanie", "headband"),
    BodyRegion.EYES: ("glasses", "sunglasses", "goggles"),
    BodyRegion.NECK: ("scarf", "tie", "bow tie", "necklace"),
}
"""What may already be worn on a region: the words that the detector is asked for."""

BACKGROUND_SHARE = 0.1
"""Of people smaller than this share of the largest one's area, none is meant by "the man on the left"."""
MIN_AGREEMENT = 0.05
"""A garment detection that covers less of the region than this belongs to something else."""


def region_mask(region: BodyRegion, pose: Pose, size: tuple[int, int]) -> Mask | None:
    """The body part with room for clothing, 0 or 255, of `size` (height, width).

    None when the keypoints that place it are missing or all of it lies outside the picture. Parts that the picture
    cuts off (hips below a portrait's edge, feet) are continued by proportion.
    """
    canvas = np.zeros(size, np.uint8)
    if not draw_region(region, canvas, Skeleton(pose)):
        return None
    return canvas if canvas.any() else None


def protected_mask(pose: Pose, size: tuple[int, int], region: BodyRegion) -> Mask:
    """Face and hands, 255, of `size` (height, width): what a garment on `region` never covers.

    Glasses may cover the eyes' band and a hat what is above the brows; the rest of the face stays protected.
    """
    skeleton = Skeleton(pose)
    canvas = np.zeros(size, np.uint8)
    draw_face(canvas, skeleton)
    if region in (BodyRegion.EYES, BodyRegion.HEAD):
        own = np.zeros(size, np.uint8)
        draw_region(region, own, skeleton)
        canvas[own > 0] = 0
    for arm, fingers in zip((RIGHT_ARM, LEFT_ARM), skeleton.hands, strict=True):
        draw_hand(canvas, skeleton, arm, fingers)
    return canvas


def worn_mask(
    region: BodyRegion,
    garment_mask: Mask | None,
    pose: Pose | None,
    person_box: Box | None,
    size: tuple[int, int],
    *,
    keeps_shape: bool = False,
) -> Mask | None:
    """What is repainted for a thing worn on `region`: 0 or 255, of `size` (height, width).

    Args:
        region: the body part that it covers.
        garment_mask: what the garment detections cover (> 0), of all people; None when nothing was found.
        pose: of the person meant; None when there is none.
        person_box: of the same person; a garment outside it is somebody else's.
        size: of the picture.
        keeps_shape: the garment that is there stays and only its look changes: it is the garment's mask that counts,
            however far beyond the body part it goes.

    Returns:
        Garment and body part where they agree; the body part alone when the garment is missing or elsewhere; the
        garment alone when the pose does not show the body part. Face and hands are left out wherever a pose shows
        them. None when neither is known.
    """
    garment = _garment_of(garment_mask, person_box, size)
    part = None if pose is None else region_mask(region, pose, size)
    chosen = garment if keeps_shape and garment is not None else _agreed(garment, part)
    if chosen is None:
        return None
    if pose is not None:
        chosen[protected_mask(pose, size, region) > 0] = 0
    return chosen if chosen.any() else None


def main_person(detections: Iterable[Detection], position: Position | None) -> Detection | None:
    """The person that an edit is about: the largest, or the one at `position` among those in the foreground.

    Detections with another label than "person" do not count. In the middle of an even number is the larger of
    the two middle ones.
    """
    people = [item for item in detections if item.label == "person" and item.box.area > 0.0]
    if not people:
        return None
    largest = max(people, key=lambda item: item.box.area)
    if position is None:
        return largest
    foreground = [item for item in people if item.box.area >= BACKGROUND_SHARE * largest.box.area]
    row = sorted(foreground, key=lambda item: item.box.x0 + item.box.x1)
    if position is Position.LEFT:
        return row[0]
    if position is Position.RIGHT:
        return row[-1]
    return max(row[(len(row) - 1) // 2 : len(row) // 2 + 1], key=lambda item: item.box.area)


def _garment_of(garment_mask: Mask | None, person_box: Box | None, size: tuple[int, int]) -> Mask | None:
    if garment_mask is None:
        return None
    garment = np.where(garment_mask > 0, np.uint8(255), np.uint8(0))
    if person_box is not None:
        garment &= boxes_to_mask([person_box], size)
    return garment if garment.any() else None


def _agreed(garment: Mask | None, part: Mask | None) -> Mask | None:
    if garment is None or part is None:
        return part if garment is None else garment
    shared: Mask = garment & part
    return shared if np.count_nonzero(shared) >= MIN_AGREEMENT * np.count_nonzero(part) else part
