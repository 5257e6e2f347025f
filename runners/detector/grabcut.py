"""image + boxes or points -> **GrabCut** -> silhouettes, without a network: for images that SAM was not trained on.

Rother, Kolmogorov and Blake 2004 (doi:10.1145/1015706.1015720), as OpenCV has it: colours inside and outside, and a cut
between them along edges. A box says where everything else is. A click does not: a few extents about it are tried, and
the outline is taken that lies best on edges. An outline that a small SAM drew says nearly all: what is left is to cut
along the edges that are near it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from composition.images import Box, Image, Mask
from composition.imaging import masks
from composition.imaging.guided import enlarged
from composition.marks import Mark
from runners.detector.queries import SegmentQuery

WORKING_PX = 256
"""Long side at which is cut; the outline's edges are then the image's own."""
ROUNDS = 4
"""Of GrabCut's own iteration."""
EXTENTS = (0.06, 0.1, 0.17, 0.28, 0.45)
"""Half the sides of the squares about a click that are tried, as shares of the long side."""
SEED_SHARE = 0.012
"""Radius of what is surely the thing about a click, as a share of the long side."""
CORE_SHARE, CORE_MOST_PX = 0.045, 3
"""So far within a drawn outline all is surely the thing, as a share of the root of its area, in working pixels: tyres
are a rim that is no wider. Wheels fall below SAM's own overlap from 0.06 on."""
BAND_SHARE = 0.03
"""So far around a drawn outline the thing may be, as a share of the long side."""
BOX_MARGIN = 0.03
"""So far beyond a box, as a share of its sides, a drawn thing may be: a detector's boxes are no better."""
AROUND_PX = 12
"""Working pixels about a drawn outline whose colours are those of everything else."""
LEAST_SHARE = 0.05
"""A smaller share of its box is no silhouette, as the thing has the colours of what is around it: the box is taken."""

Labels = npt.NDArray[np.uint8]


class GrabCutSegmenter:
    """Draws the silhouette of what is in a box or under a click, by colours and edges."""

    @property
    def module(self) -> None:
        """No network."""
        return None

    def segment(self, queries: Sequence[SegmentQuery]) -> list[tuple[Mask, ...]]:
        """Per query one binary mask (H, W; 0/255) for each of its marks, of the image's size; a box at the least."""
        return [tuple(outline(query.image, mark) for mark in query.marks) for query in queries]


def outline(image: Image, mark: Mark) -> Mask:
    """The silhouette (H, W; 0/255) of the one thing that is marked on an image (H, W, 3); never empty for a box."""
    size = height, width = image.shape[0], image.shape[1]
    small = _shrunk(image)
    scaled = mark.scaled(small.shape[1] / width, small.shape[0] / height)
    thing = _clicked(small, scaled) if scaled.box is None else _cut(small, _labels(small, scaled, scaled.box))
    drawn = _of_size(thing, image)
    if mark.box is None:
        return drawn
    boxed = masks.boxes_to_mask([mark.box], size)
    return drawn if np.count_nonzero(drawn) >= LEAST_SHARE * np.count_nonzero(boxed) and drawn.any() else boxed


def sharpened(image: Image, mark: Mark, drawn: Mask) -> Mask:
    """An outline of the one thing that is marked (both H, W; 0/255), cut anew along the image's own edges near it.

    Pixels are taken or left near the outline only, and in the box where there is one. The image is (H, W, 3). An empty
    outline stays empty.
    """
    small = _shrunk(image)
    height, width = small.shape[:2]
    thing = np.asarray(cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA)) >= 128
    around = masks.window(thing.astype(np.uint8), AROUND_PX)
    if around is None:
        return drawn
    labels = _labels_about(thing, mark.scaled(width / image.shape[1], height / image.shape[0]))
    cut = np.zeros_like(thing)
    cut[around] = _cut(np.ascontiguousarray(small[around]), np.ascontiguousarray(labels[around]))
    return _of_size(cut, image)


def _labels_about(thing: npt.NDArray[np.bool_], mark: Mark) -> Labels:
    """What GrabCut is told of an outline: its core is the thing, and what is far from it, or out of the box, is not."""
    labels = np.full(thing.shape, cv2.GC_BGD, np.uint8)
    filled = thing.astype(np.uint8)
    labels[_dilated(filled, round(BAND_SHARE * max(thing.shape)))] = cv2.GC_PR_BGD
    labels[thing] = cv2.GC_PR_FGD
    core = min(max(1, round(CORE_SHARE * math.sqrt(np.count_nonzero(thing)))), CORE_MOST_PX)
    labels[~_dilated(1 - filled, core)] = cv2.GC_FGD
    if mark.box is not None:
        labels[~_inside(labels, mark.box.grown(BOX_MARGIN))] = cv2.GC_BGD
    return _with_clicks(labels, mark)


def _dilated(filled: npt.NDArray[np.uint8], radius: int) -> npt.NDArray[np.bool_]:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray(cv2.dilate(filled, disc)) > 0


def _shrunk(image: Image) -> Image:
    height, width = image.shape[:2]
    shrink = min(1.0, WORKING_PX / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _of_size(thing: npt.NDArray[np.bool_], image: Image) -> Mask:
    """A silhouette of the working size as a mask (H, W; 0/255) of the image's, along the image's own edges."""
    soft = thing.astype(np.float32)
    whole = soft if thing.shape == image.shape[:2] else enlarged(soft, image)
    return np.where(whole >= 0.5, np.uint8(255), np.uint8(0))


def _clicked(image: Image, mark: Mark) -> npt.NDArray[np.bool_]:
    """The extent about the clicks whose outline lies best on edges."""
    edges = _edges(image)
    long_side = max(image.shape[:2])
    xs, ys = zip(*((point.x, point.y) for point in mark.on_thing), strict=True)
    best, best_score = np.zeros(image.shape[:2], bool), -math.inf
    for extent in EXTENTS:
        reach = extent * long_side
        box = Box(x0=min(xs) - reach, y0=min(ys) - reach, x1=max(xs) + reach, y1=max(ys) + reach)
        thing = _held(_cut(image, _labels(image, mark, box)), mark)
        score = _score(thing, box, edges)
        if score > best_score:
            best, best_score = thing, score
    return best


def _labels(image: Image, mark: Mark, box: Box) -> Labels:
    """What GrabCut is told: nothing is outside of the box, the thing is perhaps in the ellipse that fills it."""
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    across = (columns - (box.x0 + box.x1) / 2) / max((box.x1 - box.x0) / 2, 1.0)
    down = (rows - (box.y0 + box.y1) / 2) / max((box.y1 - box.y0) / 2, 1.0)
    labels = np.full(image.shape[:2], cv2.GC_BGD, np.uint8)
    labels[_inside(image, box)] = cv2.GC_PR_BGD
    labels[across**2 + down**2 <= 1.0] = cv2.GC_PR_FGD
    return _with_clicks(labels, mark)


def _with_clicks(labels: Labels, mark: Mark) -> Labels:
    """The labels with what the clicks say, about each of them."""
    rows, columns = (axis + 0.5 for axis in np.ogrid[: labels.shape[0], : labels.shape[1]])
    radius = max(1.0, SEED_SHARE * max(labels.shape))
    for point in mark.points:
        near = (columns - point.x) ** 2 + (rows - point.y) ** 2 <= radius**2
        labels[near] = cv2.GC_FGD if point.label == 1 else cv2.GC_BGD
    return labels


def _inside(image: npt.NDArray[Any], box: Box) -> npt.NDArray[np.bool_]:
    """The pixels of an image's first two axes that a box reaches into; none where it has no area."""
    inside = np.zeros(image.shape[:2], bool)
    left, top = max(0, math.floor(box.x0)), max(0, math.floor(box.y0))
    inside[top : math.ceil(max(box.y1, 0)), left : math.ceil(max(box.x1, 0))] = True
    return inside


def _cut(image: Image, labels: Labels) -> npt.NDArray[np.bool_]:
    sure = np.isin(labels, (cv2.GC_BGD, cv2.GC_PR_BGD))
    if sure.all() or not sure.any():  # there is nothing to tell the thing from
        return np.logical_not(sure)
    cv2.setRNGSeed(0)  # its k-means draws from OpenCV's generator: the same image has the same outline
    inside, outside = np.zeros((2, 1, 65))
    cv2.grabCut(image, labels, None, inside, outside, ROUNDS, cv2.GC_INIT_WITH_MASK)
    return np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD))


def _held(thing: npt.NDArray[np.bool_], mark: Mark) -> npt.NDArray[np.bool_]:
    """The pieces that a click lies on."""
    _, pieces = cv2.connectedComponents(thing.astype(np.uint8), connectivity=4)
    clicked = {int(pieces[int(point.y), int(point.x)]) for point in mark.on_thing} - {0}
    return np.isin(pieces, list(clicked))


def _edges(image: Image) -> npt.NDArray[np.float32]:
    """How strongly colours change at each pixel, in L*a*b*, float32 (H, W)."""
    lab = cv2.cvtColor(image.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB)
    soft = cv2.GaussianBlur(lab, (0, 0), 1.0)
    steps = [cv2.Sobel(soft, cv2.CV_32F, *way, ksize=3) for way in ((1, 0), (0, 1))]
    return np.asarray(np.sqrt(np.square(steps).sum(axis=(0, 3))), np.float32)


def _score(thing: npt.NDArray[np.bool_], box: Box, edges: npt.NDArray[np.float32]) -> float:
    """The mean strength of the edges under an outline; what lies along its box or the image's border has none."""
    rim = thing & (cv2.erode(thing.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1) == 0)
    if not rim.any():
        return -math.inf
    inner = _inside(thing, Box(x0=box.x0 + 2, y0=box.y0 + 2, x1=box.x1 - 2, y1=box.y1 - 2))
    return float((edges * (rim & inner)).sum() / rim.sum())
