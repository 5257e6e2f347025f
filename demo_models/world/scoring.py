"""How an edit is judged against the truth. Pure functions on arrays."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.color import deltaE_ciede2000, rgb2lab

OBJECT_DIFFERENCE: Final = 60
"""Sum of absolute channel differences to the empty scene from which a pixel counts as belonging to an object."""


_NOSE, _EYE, _EAR, _SHOULDER, _ELBOW, _WRIST, _HIP, _KNEE, _ANKLE = (
    *(0.026, 0.025, 0.035, 0.079, 0.072, 0.062, 0.107, 0.087, 0.089),
)
_ARM, _LEG = (_SHOULDER, _ELBOW, _WRIST), (_HIP, _KNEE, _ANKLE)
_SIGMAS: Final = np.array([_NOSE, np.nan, *_ARM, *_ARM, *_LEG, *_LEG, _EYE, _EYE, _EAR, _EAR])
"""COCO's, in OpenPose's order."""
_KEYPOINT_AREA_SHARE: Final = 0.53
"""COCO measures a person by the segment's area: about this share of the box."""

_UNSEEN_LIGHTNESS: Final = 1.0
"""A deviation of lightness (L*) that nobody sees: what is flat within it needs no structure."""
_BAND_SIGMAS_PX: Final = (1.0, 2.0, 4.0, 8.0)
"""Each band of a texture is what one blur takes away from the one before."""


def mean_colour(image: NDArray[np.uint8], region: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Returns the mean RGB (3,), 0..255, of an image (H, W, 3) where the region (H, W) is above 200.

    Raises:
        ValueError: The region is empty.
    """
    inside = region > 200
    if not inside.any():
        raise ValueError("an empty region has no colour")
    return np.asarray(image[inside].mean(axis=0), dtype=np.float64)


def colour_difference(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Returns the CIEDE2000 difference of two RGB colours in 0..255."""
    one, two = (rgb2lab(np.asarray(colour, dtype=np.float64)[None, None] / 255) for colour in (first, second))
    return float(deltaE_ciede2000(one, two).item())


def mean_difference(result: NDArray[np.uint8], truth: NDArray[np.uint8], region: NDArray[np.bool_]) -> float:
    """Returns the mean over the pixels of a region (H, W) of the CIEDE2000 difference of two images."""
    return float(deltaE_ciede2000(_lab(result)[region], _lab(truth)[region]).mean())


def colour_progress(
    before: NDArray[np.uint8], result: NDArray[np.uint8], truth: NDArray[np.uint8], region: NDArray[np.uint8]
) -> float:
    """Returns how far the mean colour of a region has come from ``before`` (0) to ``truth`` (1); may be negative."""
    wanted = mean_colour(truth, region)
    whole = colour_difference(mean_colour(before, region), wanted)
    if whole == 0:
        raise ValueError("before and truth have the same colour")
    return 1 - colour_difference(mean_colour(result, region), wanted) / whole


def object_mask(image: NDArray[np.uint8], empty: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Returns where an image differs from the same scene without its subject."""
    difference = np.abs(image.astype(np.int16) - empty.astype(np.int16)).sum(axis=2)
    return np.asarray(difference > OBJECT_DIFFERENCE)


def intersection_over_union(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Returns the overlap of two masks; two empty masks are equal."""
    union = np.logical_or(first, second).sum()
    return float(np.logical_and(first, second).sum() / union) if union else 1.0


def silhouette_overlap(
    result: NDArray[np.uint8], truth: NDArray[np.uint8], empty: NDArray[np.uint8], window: NDArray[np.bool_]
) -> float:
    """Returns the overlap of the objects seen in two images, inside a window (H, W).

    Both are found by their difference to the empty scene, so what shadows do to one they do to the other.
    """
    return intersection_over_union(object_mask(result, empty) & window, object_mask(truth, empty) & window)


def keypoint_similarity(found: NDArray[np.floating], truth: NDArray[np.floating], area_px: float) -> float:
    """Returns COCO's object keypoint similarity of OpenPose-18 joints (18, 2) of somebody whose box has an area.

    The neck, which COCO does not know, does not count; a joint that was not found (NaN) is wrong.
    """
    distance = ((np.asarray(found, np.float64) - truth) ** 2).sum(axis=1)
    similarity = np.exp(-distance / (2 * area_px * _KEYPOINT_AREA_SHARE * (2 * _SIGMAS) ** 2))
    return float(np.nan_to_num(similarity)[np.isfinite(_SIGMAS)].mean())


def changed_beyond(
    before: NDArray[np.uint8], result: NDArray[np.uint8], shapes: NDArray[np.bool_], reach_px: float
) -> int:
    """Returns the number of pixels that differ although no true shape (H, W) is within ``reach_px`` of them."""
    far = ndimage.distance_transform_edt(~shapes) > reach_px
    return int(((before != result).any(axis=2) & far).sum())


def light_structure(result: NDArray[np.uint8], truth: NDArray[np.uint8], region: NDArray[np.bool_]) -> float:
    """Returns how well light and shade inside a region (H, W) agree, -1..1; a flat fill of a shaded thing is near 0.

    The contrast and structure term of SSIM (Wang et al. 2004, equation 10 with C = C2) of the lightness L*, over the
    region as one window.
    """
    first, second = (_lab(image)[region][:, 0] for image in (result, truth))
    covariance = float(np.mean((first - first.mean()) * (second - second.mean())))
    stable = 2 * _UNSEEN_LIGHTNESS**2
    return (2 * covariance + stable) / float(first.var() + second.var() + stable)


def texture_difference(result: NDArray[np.uint8], truth: NDArray[np.uint8], region: NDArray[np.bool_]) -> float:
    """Returns how unlike the textures of two images are inside a region (H, W), in units of L*a*b*; 0 = alike.

    The sum, over four octaves and three channels, of the differences of their contrasts: veins, grain and checks may
    lie elsewhere, but have to be as coarse and as strong.
    """
    return float(np.abs(_band_contrasts(result, region) - _band_contrasts(truth, region)).sum())


def texture_distance(
    first: NDArray[np.uint8], of_first: NDArray[np.bool_], second: NDArray[np.uint8], of_second: NDArray[np.bool_]
) -> float:
    """Returns how unlike the textures of a region of one image and a region of another are, as `texture_difference`."""
    return float(np.abs(_band_contrasts(first, of_first) - _band_contrasts(second, of_second)).sum())


def _band_contrasts(image: NDArray[np.uint8], region: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Root mean square of every band-passed L*a*b* channel inside the region, (12,); what is outside does not count."""
    weight = region.astype(np.float64)
    channels = list(np.moveaxis(_lab(image), 2, 0))
    contrasts = []
    for sigma in _BAND_SIGMAS_PX:
        total = np.maximum(ndimage.gaussian_filter(weight, sigma), 1e-3)
        blurred = [ndimage.gaussian_filter(channel * weight, sigma) / total for channel in channels]
        contrasts += [float(np.sqrt(np.mean((a - b)[region] ** 2))) for a, b in zip(channels, blurred, strict=True)]
        channels = blurred
    return np.asarray(contrasts)


def _lab(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.asarray(rgb2lab(image.astype(np.float64) / 255), dtype=np.float64)
