"""The model's image back into the photograph: diffuse -> **blend** -> encode.

Everything here works at the image's own size. Colours are compared in CIE L*a*b*, whose distances are even to the
eye. Order in the flow: match_color, keep (keeping.py), sharpen, blend.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.ImageFilter

from composition.images import Image, Mask
from composition.imaging.lab import Lab, to_lab, to_rgb
from composition.imaging.masks import dilate, scale_px, window

RING_WIDTH_PX = 16.0
"""Of the ring in which colours are compared, in pixels of a 512-pixel image."""
GRAIN_PX = 3.0
"""Detail smaller than this, in pixels of a 512-pixel image, differs for other reasons than colour."""
MIN_RING_PIXELS = 64
"""Fewer say nothing about a colour shift."""
MAX_SHIFT = np.array([12.0, 8.0, 8.0], dtype=np.float32)
"""Largest correction of L*, a*, b*: a decoder's shift is a few units, more is content and not ours to undo."""
NEGLIGIBLE_SHIFT = 0.25
"""A smaller shift of every channel cannot be seen, and correcting it would only round."""
MAX_GAIN = 1.25
"""Largest correction of a channel's spread, either way."""
MIN_SPREAD = 3.0
"""A channel's standard deviation in the ring below which its spread is noise."""
MIN_CORRELATION = 0.9
"""Below it the two rings do not show the same thing, and their spreads are not comparable."""


def blend(original: Image, generated: Image, alpha: Mask) -> Image:
    """Cross-fade two images (H, W, 3) by alpha (H, W): 0 is the original and 255 the generated one, bit for bit.

    Between, the value is rounded to the nearest; halves cannot occur with a divisor of 255, so exchanging the
    images and inverting alpha gives the same result.
    """
    blended = original.copy()
    around = window(alpha, 0.0)
    if around is not None:
        weight = alpha[around][..., None].astype(np.uint16)
        mixed = original[around] * (np.uint16(255) - weight) + generated[around] * weight
        blended[around] = (mixed + np.uint16(127)) // np.uint16(255)
    return blended


def match_color(generated: Image, original: Image, mask: Mask) -> Image:
    """Undo the colour shift that the model put on everything, measured where it should have changed nothing.

    In a ring just outside the mask both images should be equal. What differs there per L*a*b* channel in mean
    and, where both show the same structure, in spread is taken back in the mask and its ring. Pixels of the ring
    whose difference is an outlier (a new shadow, a spilled edge) do not count. The region is never made to look
    like its surroundings. Without a ring, as with a mask of everything, nothing is changed.

    The mask is everything that the model was asked to repaint (> 0), feathering included.
    """
    matched = generated.copy()
    width_px = max(2.0, scale_px(RING_WIDTH_PX, mask.shape))
    around = window(mask, width_px)
    if around is None:
        return matched
    ring = (dilate(mask[around], width_px) > 0) & (mask[around] == 0)
    if np.count_nonzero(ring) < MIN_RING_PIXELS:
        return matched
    grain_px = scale_px(GRAIN_PX, mask.shape)
    gain, offset = _shift_between(
        _smoothed(generated[around], ring, grain_px), _smoothed(original[around], ring, grain_px)
    )
    if np.array_equal(gain, np.ones(3)) and np.abs(offset).max() < NEGLIGIBLE_SHIFT:
        return matched
    lab = to_lab(generated[around])
    correction = np.clip(lab * gain + offset - lab, -MAX_SHIFT, MAX_SHIFT)
    matched[around] = to_rgb(lab + correction)
    return matched


def sharpen(image: Image, alpha: Mask) -> Image:
    """Unsharp mask of radius 1 px and amount 0.3 on an image (H, W, 3), faded in by alpha (H, W)."""
    unsharp = PIL.ImageFilter.UnsharpMask(radius=1, percent=30, threshold=0)
    sharpened = np.array(PIL.Image.fromarray(image).filter(unsharp), dtype=np.uint8)
    return blend(image, sharpened, alpha)


def _shift_between(generated: Lab, original: Lab) -> tuple[Lab, Lab]:
    """Gain and offset per channel, float32 (3,), that take the generated ring's pixels (N, 3) to the original's."""
    difference = original - generated
    deviation = np.abs(difference - np.median(difference, axis=0))
    # 1.4826 times the median deviation estimates a normal distribution's sigma; half a unit is rounding noise.
    limit = 3.0 * np.maximum(1.4826 * np.median(deviation, axis=0), 0.5)
    agreeing = (deviation <= limit).all(axis=1)
    if np.count_nonzero(agreeing) < MIN_RING_PIXELS:
        return np.ones(3, np.float32), np.clip(np.median(difference, axis=0), -MAX_SHIFT, MAX_SHIFT)
    source, wanted = generated[agreeing], original[agreeing]
    gain = np.array([_gain(source[:, channel], wanted[:, channel]) for channel in range(3)], dtype=np.float32)
    centre = source.mean(axis=0)
    shift = np.clip(wanted.mean(axis=0) - centre, -MAX_SHIFT, MAX_SHIFT)
    return gain, shift + centre * (1.0 - gain)


def _smoothed(image: Image, ring: npt.NDArray[np.bool_], grain_px: float) -> Lab:
    """The ring's pixels (N, 3) as means of the ring around them: a decoder's grain and blur are no colour shift."""
    size = (2 * round(grain_px) + 1,) * 2
    weight = ring.astype(np.float32)
    total = cv2.boxFilter(image.astype(np.float32) * weight[..., None], cv2.CV_32F, size, normalize=False)
    count = cv2.boxFilter(weight, cv2.CV_32F, size, normalize=False)
    return to_lab(total[ring] / count[ring][:, None])


def _gain(source: npt.NDArray[np.float32], wanted: npt.NDArray[np.float32]) -> float:
    spread, wanted_spread = float(source.std()), float(wanted.std())
    if min(spread, wanted_spread) < MIN_SPREAD:
        return 1.0
    covariance = float(np.mean((source - source.mean()) * (wanted - wanted.mean())))
    if covariance < MIN_CORRELATION * spread * wanted_spread:
        return 1.0
    return float(np.clip(wanted_spread / spread, 1.0 / MAX_GAIN, MAX_GAIN))
