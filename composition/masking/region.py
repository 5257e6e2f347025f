"""decode -> route -> **detect -> mask** -> condition: from the words of a target to the pixels to repaint."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from composition.decision import Position, Target
from composition.errors import EmptyMask, NoDetection
from composition.images import Box, Detection, Mask, Pose
from composition.imaging import masks
from composition.masking import body
from composition.pipelines.context import EditContext
from composition.request import OnNoDetection

PERSON = "person"
SUBJECT_LABELS = (PERSON, "dog", "cat", "horse", "bird", "car", "motorcycle", "bus", "truck", "bicycle")
"""What counts as the subject in front of a background, in this order, when the prompt does not name it."""
BOX_MARGIN = 0.1
"""How far a silhouette may reach beyond its detection's box, as a share of the box's sides."""

SIDES = {
    "left": Position.LEFT,
    "middle": Position.MIDDLE,
    "center": Position.MIDDLE,
    "centre": Position.MIDDLE,
    "right": Position.RIGHT,
}
"""Places that are parts of the picture, which no detector finds."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Region:
    """Where to repaint: a binary mask (H, W; 0/255) before dilation, and what was found on the way to it.

    `exact`: the mask is the user's own, to be feathered but not dilated. `outlined`: the thing keeps its shape and
    the mask is its own outline, so it is blended in along it. `protected`: what stays as it is, however far the mask
    grows (a face, hands).
    """

    mask: Mask
    detections: tuple[Detection, ...] = ()
    exact: bool = False
    outlined: bool = False
    protected: Mask | None = None


def people_in(ctx: EditContext) -> tuple[Detection, ...]:
    """The person boxes that the analyzer is sure enough of to estimate a pose in."""
    return tuple(item for item in ctx.signals.objects if item.label == PERSON)


async def detect(ctx: EditContext) -> tuple[Detection, ...]:
    """Find the instances that the decision's target names; none when the user gave a mask or nothing is named."""
    phrase = _phrase_to_detect(ctx)
    if phrase is None or ctx.request.mask is not None:
        return ()
    with ctx.journal.timed("detect"):
        found = await ctx.models.detector.detect(ctx.request.base, phrase)
    ctx.journal.used("grounding-dino")
    return found


def _phrase_to_detect(ctx: EditContext) -> str | None:
    """A named garment is looked for by its name; for one that is yet to be worn, whatever is worn there now."""
    target = ctx.plan.decision.target
    if target.complement:
        return _subject_label(ctx)
    if target.phrase is None and target.region is not None:
        return " . ".join(body.GARMENT_WORDS[target.region])
    return target.phrase or (None if _side(target) else target.place)


def _side(target: Target) -> Position | None:
    """The side of the picture that an insertion names instead of a thing: "on the left", "on the right side"."""
    if target.phrase is not None or target.region is not None:
        return None
    return target.position if target.place in (None, "side") else SIDES.get(target.place)


def _subject_label(ctx: EditContext) -> str:
    """The likeliest subject that the analyzer saw; a person when it saw none."""
    seen = {item.label for item in ctx.signals.objects}
    return next((label for label in SUBJECT_LABELS if label in seen), PERSON)


async def make_region(ctx: EditContext, found: tuple[Detection, ...], poses: Sequence[Pose]) -> Region:
    """Turn detections (and poses, for worn things) into the mask.

    Raises:
        NoDetection: nothing was found and the request says `on_no_detection: error`.
        EmptyMask: the user's mask is empty.
    """
    target = ctx.plan.decision.target
    if ctx.request.mask is not None:
        return Region(mask=masks.ensure_not_empty(masks.binarize(ctx.request.mask)), exact=True)
    with ctx.journal.stage("mask"):
        if target.region is not None:
            return await _worn_region(ctx, found, poses)
        if not found:
            return _nothing_found(ctx)
        if target.complement:
            return await _background(ctx, found)
        if target.phrase is None:
            return Region(mask=masks.boxes_to_mask([found[0].box], _size(ctx)), detections=found[:1])
        chosen = choose(found, position=target.position, plural=target.plural)
        mask, outlined = await _silhouettes(ctx, chosen)
        return Region(mask=mask, detections=chosen, outlined=outlined)


def choose(found: tuple[Detection, ...], *, position: Position | None, plural: bool) -> tuple[Detection, ...]:
    """All instances for a plural target, the one at a named position, else the best one (SPEC.md 5.2: top-1).

    Args:
        found: at least one detection, best first.
        position: left, middle or right, by the boxes' centres.
        plural: whether the target names all of them.
    """
    if position is not None:
        ordered = sorted(found, key=lambda item: item.box.x0 + item.box.x1)
        index = {Position.LEFT: 0, Position.MIDDLE: len(ordered) // 2, Position.RIGHT: len(ordered) - 1}[position]
        return (ordered[index],)
    return found if plural else found[:1]


def _size(ctx: EditContext) -> tuple[int, int]:
    height, width = ctx.request.base.shape[:2]
    return height, width


def _full(ctx: EditContext) -> Mask:
    return np.full(_size(ctx), 255, np.uint8)


def _nothing_found(ctx: EditContext) -> Region:
    """SPEC.md 5.2's fallback: the full image, unless a side is named or the request wants an error."""
    target = ctx.plan.decision.target
    if (side := _side(target)) is not None:
        return Region(mask=_third(ctx, side))
    named = target.phrase or target.region or target.place
    if named is None:
        ctx.journal.warn("the prompt names no part of the picture: all of it is repainted")
        return Region(mask=_full(ctx))
    if ctx.plan.on_no_detection is OnNoDetection.ERROR:
        raise NoDetection(f"nothing like '{named}' was found in the picture", details={"target": str(named)})
    ctx.journal.warn(f"nothing like '{named}' was found: all of the picture is repainted")
    return Region(mask=_full(ctx))


def _third(ctx: EditContext, position: Position) -> Mask:
    """The left, middle or right third: where "a lamp on the left" is put."""
    height, width = _size(ctx)
    index = list(Position).index(position)
    box = Box(x0=width * index / 3, y0=0, x1=width * (index + 1) / 3, y1=height)
    return masks.boxes_to_mask([box], (height, width))


async def _silhouettes(ctx: EditContext, chosen: tuple[Detection, ...]) -> tuple[Mask, bool]:
    """SAM's silhouettes when the plan refines masks, else the boxes; and whether they outline what keeps its shape."""
    boxes = masks.boxes_to_mask([item.box for item in chosen], _size(ctx))
    if not ctx.plan.refine_mask:
        return boxes, False
    with ctx.journal.timed("refine"):
        outlines = await ctx.models.segmenter.segment(ctx.request.base, chosen)
        refined = masks.union([_near(outline, item.box) for outline, item in zip(outlines, chosen, strict=True)])
    ctx.journal.used("sam")
    if not refined.any():
        ctx.journal.warn("the refined mask was empty: the box is used")
        return boxes, False
    return refined, ctx.plan.decision.keeps_shape


def _near(outline: Mask, box: Box) -> Mask:
    """The part of a silhouette in and close around its own box: elsewhere it has leaked into something else."""
    margin_x, margin_y = BOX_MARGIN * (box.x1 - box.x0), BOX_MARGIN * (box.y1 - box.y0)
    grown = Box(x0=box.x0 - margin_x, y0=box.y0 - margin_y, x1=box.x1 + margin_x, y1=box.y1 + margin_y)
    return np.minimum(outline, masks.boxes_to_mask([grown], (outline.shape[0], outline.shape[1])))


async def _background(ctx: EditContext, found: tuple[Detection, ...]) -> Region:
    """Everything but the subject; several people are one subject."""
    subject, outlined = await _silhouettes(ctx, found)
    mask = masks.complement(subject)
    if not mask.any():
        raise EmptyMask("the subject fills the picture: no background is left to repaint")
    return Region(mask=mask, detections=found, outlined=outlined)


async def _worn_region(ctx: EditContext, found: tuple[Detection, ...], poses: Sequence[Pose]) -> Region:
    """Garment detections on the wearer, intersected with the body part, never the face or the hands."""
    region = ctx.plan.decision.target.region
    assert region is not None
    people = people_in(ctx)
    wearer = body.main_person(people, ctx.plan.decision.target.position)
    pose = poses[people.index(wearer)] if wearer is not None and len(poses) == len(people) else None
    worn = tuple(item for item in found if wearer is None or _overlap(item.box, wearer.box) > 0.5)
    garment, outlined = await _silhouettes(ctx, worn) if worn else (None, False)
    mask = await asyncio.to_thread(
        body.worn_mask,
        region,
        garment,
        pose,
        wearer.box if wearer is not None else None,
        _size(ctx),
        keeps_shape=outlined,
    )
    if mask is None or not mask.any():
        return _nothing_found(ctx)
    protected = None if pose is None else body.protected_mask(pose, _size(ctx), region)
    return Region(mask=mask, detections=worn, outlined=outlined, protected=protected)


def _overlap(inner: Box, outer: Box) -> float:
    """The share of `inner` that lies in `outer`, 0..1."""
    width = min(inner.x1, outer.x1) - max(inner.x0, outer.x0)
    height = min(inner.y1, outer.y1) - max(inner.y0, outer.y0)
    return max(0.0, width) * max(0.0, height) / inner.area if inner.area else 0.0
