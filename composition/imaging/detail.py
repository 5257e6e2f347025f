"""The photograph's own detail in a new colour: diffuse -> **blend**, for edits that change colour only.

What a model paints has passed its autoencoder: folds, spokes and edges come back soft, and a large photograph was
painted at a fraction of its size. Where only the colour changes, all that detail is in the original. A guided filter
(He, Sun and Tang 2010; at reduced size, He and Sun 2015, arXiv:1505.00996) says for every small window how the
generated colours follow from the original ones, as an affine map of RGB, and that map is applied to the original.
Where the generated image does not follow the original (a pattern that was painted over), the map is a constant. What
the maps miss of the generated image's broad colours is added in the end.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from composition.images import Image, Mask
from composition.imaging.masks import REFERENCE_SIZE_PX, scale_px, window

WINDOW_PX = 64.0
"""Side of the windows, in pixels of a 512-pixel image."""
EPSILON = 1e-4
"""Contrast (squared, of RGB in 0..1) below which the original says nothing: a deviation of 2.5 of 255."""
BROAD_PX = 8.0
"""Deviation of the Gaussian that tells broad colours from detail, in pixels of a 512-pixel image."""
_ELSEWHERE = 1e-4
"""Weight of pixels outside the thing: they only count where a window has no others."""

Plane = npt.NDArray[np.float32]


def keep_detail(generated: Image, original: Image, mask: Mask) -> Image:
    """The generated colours with the original's detail; the generated image itself wherever the mask is 0.

    The mask is the thing that changes colour (> 0): how its colours change is learnt inside it only.
    """
    side_px = scale_px(WINDOW_PX, mask.shape)
    around = window(mask, side_px)
    if around is None:
        return generated.copy()
    guide, target, weight = _unit(original[around]), _unit(generated[around]), (mask[around] > 0).astype(np.float32)
    shrink = min(1.0, REFERENCE_SIZE_PX / max(mask.shape))
    small = [_resized(plane, shrink) for plane in (guide, target, weight)]
    gain, offset = _affine_maps(small[0], small[1], small[2] + np.float32(_ELSEWHERE), side_px * shrink)
    height, width = weight.shape
    gain, offset = (cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in (gain, offset))
    mapped = np.einsum("hwi,hwij->hwj", guide, gain.reshape(height, width, 3, 3)) + offset
    sigma_px = scale_px(BROAD_PX, mask.shape) * shrink
    missing = _broad(_resized(target - mapped, shrink), small[2] + np.float32(_ELSEWHERE), sigma_px)
    mapped += cv2.resize(missing, (width, height), interpolation=cv2.INTER_LINEAR)
    inside = mask[around] > 0
    kept = generated.copy()
    kept[around][inside] = np.rint(np.clip(mapped[inside], 0.0, 1.0) * 255.0).astype(np.uint8)
    return kept


def _broad(planes: Plane, weight: Plane, sigma_px: float) -> Plane:
    """The planes (H, W, 3) without detail, learnt where the weight (H, W) is."""
    total = cv2.GaussianBlur(weight, (0, 0), sigma_px)
    averaged = cv2.GaussianBlur(planes * weight[..., None], (0, 0), sigma_px) / total[..., None]
    return np.asarray(averaged, dtype=np.float32)


def _affine_maps(guide: Plane, target: Plane, weight: Plane, side_px: float) -> tuple[Plane, Plane]:
    """Gain (H, W, 9) and offset (H, W, 3) that take the guide to the target, weighted least squares per window."""
    kernel = (2 * int(side_px / 4) + 1,) * 2  # the maps are averaged over windows once more: half the reach each
    total = cv2.blur(weight, kernel)

    def mean(planes: Plane) -> Plane:
        averaged = cv2.blur(planes * weight[..., None], kernel) / total[..., None]
        return np.asarray(averaged, dtype=np.float32)

    height, width = weight.shape
    mean_guide, mean_target = mean(guide), mean(target)
    products = (guide[..., :, None] * np.concatenate([guide, target], axis=-1)[..., None, :]).reshape(height, width, 18)
    expected = np.concatenate([mean(products[..., :9]), mean(products[..., 9:])], axis=-1).reshape(height, width, 3, 6)
    both = np.concatenate([mean_guide, mean_target], axis=-1)
    covariance = expected - mean_guide[..., :, None] * both[..., None, :]
    spread = covariance[..., :3] + np.float32(EPSILON) * np.eye(3, dtype=np.float32)
    gain = np.linalg.solve(spread, covariance[..., 3:])
    offset = mean_target - np.einsum("hwi,hwij->hwj", mean_guide, gain)
    return mean(gain.reshape(height, width, 9)), mean(offset)


def _unit(image: Image) -> Plane:
    return np.asarray(image, dtype=np.float32) / np.float32(255.0)


def _resized(plane: Plane, share: float) -> Plane:
    size = (max(1, round(plane.shape[1] * share)), max(1, round(plane.shape[0] * share)))
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
