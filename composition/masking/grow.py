"""What an edit changes around its thing: detect -> **mask** -> condition.

A thing's own mask is dilated for context and gets a soft rim; a thing that keeps its shape is blended in along its
outline instead; what is protected is taken out again; and a small mask is painted from a crop. All masks have the
size of the whole image (H, W).
"""

from __future__ import annotations

import numpy as np

from composition.decision import EditPlan
from composition.images import Box, Mask
from composition.imaging import geometry, masks
from composition.request import Crop, MaskFeather

FIT_MULTIPLE_PX = 64
LEAST_BLUR_PX = 4
"""A smaller one leaves no pixel half-way, at whatever size the image is below 1024 pixels."""
SEAM_DILATION_PX, SEAM_BLUR_PX = 3, 10
"""How far beyond its outline a thing that keeps its shape is blended in, and how softly what is protected is spared, in
pixels of a 512-pixel image."""


def dilated(mask: Mask, dilation_px: float) -> Mask:
    """The mask (0/255) with room around; `dilation_px` in pixels of a 512-pixel image."""
    return masks.dilate(mask, masks.scale_px(dilation_px, _size(mask)))


def feathered(mask: Mask, blur_px: float) -> Mask:
    """The mask with its soft rim outside of it, 0..255; `blur_px` in pixels of a 512-pixel image."""
    return masks.feather(mask, masks.scale_px(blur_px, _size(mask)))


def softened(mask: Mask, plan: EditPlan, *, exact: bool) -> Mask:
    """The blend's weights, 0..255: the mask with its soft rim, inside of it or around it as the plan says.

    Args:
        mask: (0/255), before dilation.
        plan: says how far it is dilated, how soft its rim is and where that lies.
        exact: it is the user's own. Any other is grown at least by its rim: the thing itself is repainted fully.
    """
    if plan.mask_feather is MaskFeather.OUT:
        return feathered(mask if exact else dilated(mask, plan.mask_dilation_px), plan.mask_blur_px)
    grown = mask if exact else dilated(mask, max(plan.mask_dilation_px, plan.mask_blur_px // 2))
    return masks.feather_inwards(grown, masks.scale_px(plan.mask_blur_px, _size(mask)))


def along_outline(thing: Mask, plan: EditPlan) -> Mask:
    """The blend's weights, 0..255, of a thing whose outline stays: around it nothing was to change."""
    outline = dilated(thing, min(SEAM_DILATION_PX, plan.mask_dilation_px))
    return feathered(outline, min(SEAM_BLUR_PX, plan.mask_blur_px))


def without(mask: Mask, protected: Mask) -> Mask:
    """The mask (0/255) with 0 on every protected pixel (> 0)."""
    return np.where(protected > 0, np.uint8(0), mask)


def spared(alpha: Mask, protected: Mask) -> Mask:
    """The blend's weights with 0 on every protected pixel (> 0) and a soft rim around."""
    return masks.spare(alpha, protected, masks.scale_px(SEAM_BLUR_PX, _size(alpha)))


def crop_and_fit(
    reach: Mask, crop: Crop, native_size: int, context: float = geometry.CONTEXT
) -> tuple[Box | None, geometry.Fit]:
    """The part of the image that the model sees (None = all of it), and how that lies in the model's canvas.

    Args:
        reach: everything that may change (> 0).
        crop: whether a small mask is to be painted from its neighbourhood.
        native_size: the model's own image size, in pixels.
        context: how many times as long as the mask a crop is, at least.
    """
    size = _size(reach)
    box = None
    if crop is Crop.AUTO:
        box = geometry.crop_box(reach, native_size=native_size, size=size, context=context)
    if box is None:
        return None, geometry.fit(size, native_size=native_size, multiple=FIT_MULTIPLE_PX)
    model_side = geometry.crop_native_size(box, size=size, native_size=native_size, multiple=FIT_MULTIPLE_PX)
    view = (int(box.y1 - box.y0), int(box.x1 - box.x0))
    return box, geometry.fit(view, native_size=model_side, multiple=FIT_MULTIPLE_PX)


def _size(mask: Mask) -> tuple[int, int]:
    return mask.shape[0], mask.shape[1]
