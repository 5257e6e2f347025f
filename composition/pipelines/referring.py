"""mask -> **refer** -> condition: which reference images are painted from, how strongly, and where."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from composition.errors import NoDetection
from composition.images import Detection, Image, Mask
from composition.imaging import masks
from composition.masking.edit_mask import EditMask
from composition.masking.region import silhouettes
from composition.pipelines.context import EditContext
from composition.request import OnNoDetection, Reference

LEAST_INSIDE: Final = 0.5
"""A part of the region is what lies in it with at least this share of its box."""


@dataclass(frozen=True, kw_only=True, eq=False)
class References:
    """Reference images that are taken together: views of one thing.

    Attributes:
        numbers: of the images among the request's references.
        scale: of the IP-Adapter's attention to them.
        place: (H, W; 0/255) where they act, in pixels of the whole image; None: everywhere.
    """

    numbers: tuple[int, ...]
    images: tuple[Image, ...]
    scale: float
    place: Mask | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Placed:
    """One reference and where it acts; `part` is the same for those of one part."""

    number: int
    reference: Reference
    part: Hashable
    place: Mask | None


async def references_of(ctx: EditContext, mask: EditMask) -> tuple[References, ...]:
    """An edit's references, in the order of the first of each.

    Those of one part and one weight are views of one thing. Of one part, weights that come to more than 1 are shares.
    What is for no part acts where no other reference is for one.

    Args:
        ctx: of the edit.
        mask: where it paints: parts are looked for in what it repaints.

    Raises:
        NoDetection: a part was not found and the request says `on_no_detection: error`.
    """
    scale = ctx.plan.ip_adapter_scale
    acting = [(n, one) for n, one in enumerate(ctx.request.references) if one.weight > 0.0]
    if scale == 0.0 or not acting:
        return ()
    named = dict.fromkeys(one.part for _, one in acting if one.part)
    found = {words: await _found(ctx, mask, words) for words in named}
    placed = [_placed(number, one, mask, found) for number, one in acting]
    kept = _without_the_idle(ctx, placed, mask)
    together: dict[tuple[Hashable, float], list[_Placed]] = {}
    for one in kept:
        together.setdefault((one.part, one.reference.weight), []).append(one)
    sums: dict[Hashable, float] = {}
    for part, weight in together:
        sums[part] = sums.get(part, 0.0) + weight
    return tuple(
        References(
            numbers=tuple(one.number for one in views),
            images=tuple(one.reference.image for one in views),
            scale=scale * weight / max(1.0, sums[part]),
            place=views[0].place,
        )
        for (part, weight), views in together.items()
    )


def _placed(number: int, one: Reference, mask: EditMask, found: Mapping[str, Mask]) -> _Placed:
    if one.part_mask is not None:
        drawn = np.minimum(masks.binarize(one.part_mask), mask.repaint)
        return _Placed(number=number, reference=one, part=drawn.tobytes(), place=drawn)
    return _Placed(number=number, reference=one, part=one.part, place=found[one.part] if one.part else None)


def _without_the_idle(ctx: EditContext, placed: Sequence[_Placed], mask: EditMask) -> list[_Placed]:
    """Those that act somewhere; a warning for each of the others. What is for no part gets its place."""
    parts = [one for one in placed if one.place is not None and one.place.any()]
    for one in placed:
        if one.place is not None and not one.place.any():
            part = one.reference.part
            why = f"nothing like '{part}' was found in" if part else "its mask has nothing of"
            ctx.journal.warn(f"reference_images.{one.number} is left out: {why} what is repainted")
    if not parts:
        return [one for one in placed if one.place is None]
    rest = masks.complement(masks.union([one.place for one in parts if one.place is not None]))
    if np.minimum(rest, mask.repaint).any():
        return [one if one.place is not None else _at(one, rest) for one in placed if one in parts or one.place is None]
    for one in placed:
        if one.place is None:
            ctx.journal.warn(f"reference_images.{one.number} is left out: others are for all of what is repainted")
    return parts


def _at(one: _Placed, place: Mask) -> _Placed:
    return _Placed(number=one.number, reference=one.reference, part=one.part, place=place)


async def _found(ctx: EditContext, mask: EditMask, words: str) -> Mask:
    """What the words name of the region (H, W; 0/255); empty where there is nothing of that name.

    Raises:
        NoDetection: there is nothing, and the request wants that to be an error.
    """
    image, journal = ctx.request.base, ctx.journal
    with journal.timed("detect"):
        seen = await ctx.models.detector.detect(image, words)
    journal.used("grounding-dino")
    inside = [item for item in seen if _share_inside(item, mask.repaint) >= LEAST_INSIDE]
    if not inside:
        if ctx.request.options.on_no_detection is OnNoDetection.ERROR:
            raise NoDetection(
                f"nothing like '{words}', which a reference image is for, was found in what is repainted",
                details={"target": words},
            )
        return np.zeros_like(mask.repaint)
    part = masks.boxes_to_mask([item.box for item in inside], image.shape[:2])
    if ctx.plan.refine_mask:
        with journal.timed("refine"):
            outlines = await silhouettes(image, inside, segmenter=ctx.models.segmenter, journal=journal)
        part = outlines if outlines.any() else part
    return np.minimum(part, mask.repaint)


def _share_inside(item: Detection, repaint: Mask) -> float:
    box = masks.boxes_to_mask([item.box], (repaint.shape[0], repaint.shape[1]))
    area = np.count_nonzero(box)
    return float(np.count_nonzero(np.minimum(box, repaint)) / area) if area else 0.0
