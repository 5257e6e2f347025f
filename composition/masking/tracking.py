"""The region of a clip's next frame, carried by optical flow: detect -> **mask** -> condition, between key frames."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from composition.decision import EditPlan
from composition.images import Box, Mask
from composition.imaging import geometry, masks
from composition.imaging.flow import Flow, carried_mask
from composition.masking.edit_mask import EditMask, grown
from composition.masking.region import Region

LEAST_SURE = 0.6
"""Where the flow is less sure of the thing, on average, the thing is looked for anew."""
MOST_GROWTH = 1.6
"""A thing that has become larger or smaller than by this factor since it was found is looked for anew."""
SAME_THING = 0.4
"""What is found and overlaps less with what was carried without doubt (intersection over union) is another one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Track:
    """The region of a frame, and how it came there.

    Attributes:
        region: before anything is grown.
        found_area: of the thing where it was last found, as a share of the image.
        age: how many frames ago that was.
        doubtful: it is to be looked for anew.
    """

    region: Region
    found_area: float
    age: int = 0
    doubtful: bool = False


def found(region: Region) -> Track:
    """A key frame's."""
    return Track(region=region, found_area=masks.area_fraction(region.thing))


def followed(track: Track, flow: Flow) -> Track | None:
    """The region in the next frame; None: the thing has left the picture."""
    thing = carried_mask(track.region.thing, flow)
    if not thing.any():
        return None
    protected = None if track.region.protected is None else carried_mask(track.region.protected, flow)
    growth = masks.area_fraction(thing) / track.found_area
    doubtful = float(flow.sure[thing > 0].mean()) < LEAST_SURE or not 1 / MOST_GROWTH <= growth <= MOST_GROWTH
    return Track(
        region=replace(track.region, thing=thing, protected=protected),
        found_area=track.found_area,
        age=track.age + 1,
        doubtful=track.doubtful or doubtful,
    )


def agreed(carried: Track, fresh: Track) -> Track:
    """Of what was carried to a key frame and what was found there: another thing is not taken for the one before.

    Of the same one, each part that was protected still is, where it is not seen this time.
    """
    if carried.doubtful:
        return fresh
    if _overlap(carried.region.thing, fresh.region.thing) < SAME_THING:
        return replace(carried, age=0)
    protected = _still_protected(carried.region.protected, fresh.region.protected)
    return replace(fresh, region=replace(fresh.region, protected=protected))


def _still_protected(carried: Mask | None, fresh: Mask | None) -> Mask | None:
    """What is found, with those pieces of what was carried of which nothing is."""
    if carried is None or fresh is None:
        return carried if fresh is None else fresh
    count, pieces = cv2.connectedComponents((carried > 0).astype(np.uint8), connectivity=8)
    seen = np.bincount(pieces[fresh > 0], minlength=count) > 0
    unseen = ~seen
    unseen[0] = False  # what is no piece
    return np.asarray(np.where(unseen[pieces], np.uint8(255), fresh), dtype=np.uint8)


@dataclass(frozen=True, kw_only=True, eq=False)
class Framing:
    """What the model sees of a shot's frames: crops of one size, on canvases of one size."""

    crop: Box | None
    fit: geometry.Fit


def framed(track: Track, plan: EditPlan, native_size: int, framing: Framing | None) -> EditMask:
    """A frame's mask, with a crop of the shot's size that follows the thing.

    Where it has outgrown the shot's crops, or the shot has none yet, the crop is its own.
    """
    mask = grown(track.region, plan, native_size)
    if framing is None:
        return mask
    crop = None if framing.crop is None else _moved(framing.crop, mask.reach)
    if framing.crop is not None and crop is None:
        return mask
    return replace(mask, crop=crop, fit=framing.fit)


def _moved(crop: Box, reach: Mask) -> Box | None:
    """A crop of the same size around what may change; None where that is larger."""
    around = masks.window(reach, 0.0)
    if around is None:
        return crop
    spans = []
    sides = ((around[0], crop.y1 - crop.y0), (around[1], crop.x1 - crop.x0))
    for (span, side), limit in zip(sides, reach.shape, strict=True):
        if span.stop - span.start > side:
            return None
        start = round((span.start + span.stop - side) / 2)
        spans.append(min(max(start, 0), limit - round(side)))
    (y0, x0), (height, width) = spans, (round(crop.y1 - crop.y0), round(crop.x1 - crop.x0))
    return Box(x0=x0, y0=y0, x1=x0 + width, y1=y0 + height)


def _overlap(one: Mask, other: Mask) -> float:
    either = np.count_nonzero((one > 0) | (other > 0))
    return np.count_nonzero((one > 0) & (other > 0)) / either if either else 0.0
