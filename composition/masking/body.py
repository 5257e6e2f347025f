"""Where a worn thing goes: detect -> **mask** -> condition.

A garment's detection says what is worn now, the pose says where the body part is. The mask is what both agree on,
without the face and the hands. Regions are hulls around keypoints with the width of a clothed limb (`body_shapes`).
"""

from __future__ import annotations

import numpy as np

from composition.decision import BodyRegion
from composition.images import Box, Image, Mask, Pose
from composition.imaging.masks import boxes_to_mask
from composition.masking.anatomy import LEFT_ARM, RIGHT_ARM, Skeleton
from composition.masking.body_shapes import draw_face, draw_hand, draw_limbs, draw_region, ends_at_wrist, knows_hand
from composition.masking.skin import Skin

MIN_AGREEMENT = 0.05
"""A garment detection that covers less of the region than this belongs to something else."""
WHOLE_BONE = 0.9
"""An outline that holds less of a bone lacks the limb, or its end."""


def region_mask(region: BodyRegion, pose: Pose, size: tuple[int, int]) -> Mask | None:
    """The body part with room for clothing, 0 or 255, of `size` (height, width).

    None when the keypoints that place it are missing or all of it lies outside the image. Parts that the image
    cuts off (hips below a portrait's edge, feet) are continued by proportion.
    """
    canvas = np.zeros(size, np.uint8)
    if not draw_region(region, canvas, Skeleton(pose)):
        return None
    return canvas if canvas.any() else None


def protected_mask(
    pose: Pose, size: tuple[int, int], region: BodyRegion, image: Image | None = None, garment: Mask | None = None
) -> Mask:
    """Face and hands, 255, of `size` (height, width): what a garment on `region` never covers.

    Glasses may cover the eyes' band and a hat what is above the brows; the rest of the face stays protected. Hands
    whose fingers the pose lacks are looked for in the image (height, width, 3), if it is given, by the face's colour.
    Where that does not tell, a hand is guessed, unless the outline of a garment (height, width; > 0) ends before it:
    a guess would take the cuff off the sleeve.
    """
    skeleton = Skeleton(pose)
    canvas = np.zeros(size, np.uint8)
    draw_face(canvas, skeleton)
    if region in (BodyRegion.EYES, BodyRegion.HEAD):
        own = np.zeros(size, np.uint8)
        draw_region(region, own, skeleton)
        canvas[own > 0] = 0
    known = all(knows_hand(fingers) for fingers in skeleton.hands)
    skin = None if image is None or known else Skin.of(image, skeleton)
    for arm, fingers in zip((RIGHT_ARM, LEFT_ARM), skeleton.hands, strict=True):
        wrist = skeleton.get(arm[2])
        if wrist is not None and not knows_hand(fingers):
            if skin is not None and skin.draw_hand(canvas, wrist, skeleton.stature):
                continue
            if garment is not None and ends_at_wrist(garment, skeleton, arm):
                continue
        draw_hand(canvas, skeleton, arm, fingers)
    return canvas


def limbs_left_out(outline: Mask, pose: Pose) -> Mask:
    """A person's limbs (H, W; 0/255) that an outline (H, W; 0/255) lacks, or whose ends it lacks."""

    def is_lacking(bone: Mask) -> bool:
        return bool((outline[bone > 0] > 0).mean() < WHOLE_BONE)

    canvas = np.zeros_like(outline)
    draw_limbs(canvas, Skeleton(pose), is_lacking)
    return canvas


def worn_mask(
    region: BodyRegion,
    garment_mask: Mask | None,
    pose: Pose | None,
    person_box: Box | None,
    size: tuple[int, int],
    *,
    keeps_shape: bool = False,
    protected: Mask | None = None,
) -> Mask | None:
    """What is repainted for a thing worn on `region`: 0 or 255, of `size` (height, width).

    Args:
        region: the body part that it covers.
        garment_mask: what the garment detections cover (> 0), of all people; None when nothing was found.
        pose: of the person meant; None when there is none.
        person_box: of the same person; a garment outside it is somebody else's.
        size: of the image.
        keeps_shape: the garment that is there stays and only its look changes: it is the garment's mask that counts,
            however far beyond the body part it goes.
        protected: the pose's `protected_mask`, where it is known already; None: that of the pose alone.

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
    if protected is None and pose is not None:
        protected = protected_mask(pose, size, region)
    if protected is not None:
        chosen[protected > 0] = 0
    return chosen if chosen.any() else None


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
