"""detect -> **mask** -> condition: the pixels of the thing itself, before anything is grown."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from composition.decision import BodyRegion, EditPlan, Position
from composition.errors import EmptyMask, NoDetection
from composition.images import Box, DepthMap, Detection, Image, Mask, Pose
from composition.imaging import masks
from composition.journal import Journal
from composition.marks import Mark
from composition.masking import body, occlusion
from composition.masking.find import PERSON, people_in, side_of
from composition.masking.protect import protected_mask
from composition.masking.select import are_people, select
from composition.ports.vision import Segmenter
from composition.request import OnNoDetection

BOX_MARGIN = 0.1
"""How far a silhouette may reach beyond its detection's box, as a share of the box's sides."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Questions:
    """What is asked about the photograph where something may stand in front of the thing, and only there.

    Attributes:
        objects: what the analyzer sees, asked of it where the route needed none of that.
        depth: the photograph's.
        poses: of some people, in their order.
    """

    objects: Callable[[], Awaitable[Sequence[Detection]]]
    depth: Callable[[], Awaitable[DepthMap]]
    poses: Callable[[Sequence[Detection]], Awaitable[Sequence[Pose]]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """A photograph and all that is known of it when the mask is made.

    Attributes:
        image: (H, W, 3).
        user_mask: (H, W), the user's own; it overrides all else.
        mark: what the user pointed at; it overrides everything that is found.
        objects: what the analyzer saw.
        found: the instances of what the target names, best first.
        protected: the instances of everything that may not change, by its phrase.
        poses: of the people among `objects`, in their order; empty when no pose was estimated.
        ask: see `Questions`; None: nothing stands in front of the thing.
        known: see `Region`.
    """

    image: Image
    user_mask: Mask | None = None
    mark: Mark | None = None
    objects: Sequence[Detection] = ()
    found: Sequence[Detection] = ()
    protected: Mapping[str, Sequence[Detection]] = field(default_factory=dict)
    poses: Sequence[Pose] = ()
    ask: Questions | None = None
    known: bool = True

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.image.shape[0], self.image.shape[1]


@dataclass(frozen=True, kw_only=True, eq=False)
class Region:
    """The thing itself: a binary mask (H, W; 0/255) before dilation, and what was found on the way to it.

    Attributes:
        thing: its pixels.
        detections: the instances that it was made from.
        exact: the mask or the box is the user's own, to be feathered but not dilated.
        outlined: the thing keeps its shape and the mask is its own outline, so it is blended in along it.
        known: whether the profile's models were made for images of this kind, as far as that was asked.
        protected: (H, W), > 0 stays as it is, however far the mask grows: a face, hands, what the prompt
            keeps. None: nothing is.
    """

    thing: Mask
    detections: tuple[Detection, ...] = ()
    exact: bool = False
    outlined: bool = False
    known: bool = True
    protected: Mask | None = None


async def make_region(scene: Scene, plan: EditPlan, *, segmenter: Segmenter, journal: Journal) -> Region:
    """What the edit is about, from all that is known, without what stands in front of it.

    Raises:
        NoDetection: nothing was found and the request says `on_no_detection: error`.
        EmptyMask: the user's mask is empty, there is nothing where the user points, or the subject or what is
            protected leaves nothing to repaint.
    """
    region = replace(await _region(scene, plan, segmenter, journal), known=scene.known)
    if plan.spares_front and scene.ask is not None and not region.outlined:
        objects = occlusion.over(region.thing, region.detections, await scene.ask.objects())
        if objects:
            return await _behind(region, scene.image, objects, scene.ask, segmenter, journal)
    return region


async def _region(scene: Scene, plan: EditPlan, segmenter: Segmenter, journal: Journal) -> Region:
    target = plan.decision.target
    if scene.user_mask is not None or scene.mark is not None:
        if target.protected:
            source = "mask_image" if scene.user_mask is not None else "what is pointed at"
            journal.warn(f"{source} alone says what is repainted: not protected from it: {', '.join(target.protected)}")
        if scene.user_mask is not None:
            return Region(thing=masks.ensure_not_empty(masks.binarize(scene.user_mask)), exact=True)
    if scene.mark is not None:
        return await _marked(scene.mark, scene, plan, segmenter, journal)
    if target.rest:
        region = _everything(scene, plan)
    elif target.region is not None:
        region = await _worn(scene, plan, segmenter, journal)
    else:
        region = await _named(scene, plan, segmenter, journal)
    return await _protecting(region, scene, plan, segmenter, journal) if target.protected else region


async def _marked(mark: Mark, scene: Scene, plan: EditPlan, segmenter: Segmenter, journal: Journal) -> Region:
    """The thing that the user points at, or the box itself where the plan does not refine masks."""
    drawn = None if mark.box is None else Region(thing=masks.boxes_to_mask([mark.box], scene.size), exact=True)
    if drawn is not None and not plan.refine_mask:
        return drawn
    with journal.timed("refine"):
        outlines = await segmenter.segment_marked(scene.image, mark)
    journal.used(outlines.drawn_by)
    (outline,) = outlines
    if mark.box is not None and not mark.points:
        outline = _near(outline, mark.box)
    if outline.any():
        if mark.on_thing and not any(outline[int(point.y), int(point.x)] for point in mark.on_thing):
            journal.warn("the silhouette that SAM drew holds none of the points")
        return Region(thing=outline, outlined=plan.decision.keeps_shape)
    if drawn is None:
        raise EmptyMask("SAM sees no thing where the points are: move them, or send a box")
    journal.warn("the refined mask was empty: the box is used")
    return drawn


async def _named(scene: Scene, plan: EditPlan, segmenter: Segmenter, journal: Journal) -> Region:
    """The thing that the target's phrase or place names, or all but the subject."""
    target = plan.decision.target
    # Several subjects before a background are one subject; something is put on one place only.
    several = target.complement or (target.plural and target.phrase is not None)
    people = are_people(scene.found, scene.objects)
    chosen = select(scene.found, position=target.position, plural=several, people=people)
    if not chosen:
        return _nothing_found(scene, plan, journal)
    if target.phrase is None and not target.complement:
        return Region(thing=_boxes(chosen, scene), detections=chosen)
    shape = await _silhouettes(chosen, scene, plan, segmenter, journal)
    thing = shape.mask
    if target.complement:
        thing = masks.complement(thing)
        if not thing.any():
            raise EmptyMask("the subject fills the image: no background is left to repaint")
    return Region(thing=thing, detections=chosen, outlined=shape.outlined)


async def _behind(
    region: Region, image: Image, objects: Sequence[Detection], ask: Questions, segmenter: Segmenter, journal: Journal
) -> Region:
    """The region without what stands in front of the thing, of some objects over it."""
    count, asked = len(region.detections), [*region.detections, *objects]
    with journal.timed("refine"):
        drawn = await segmenter.segment(image, asked)
    journal.used(drawn.drawn_by)
    outlines = [masks.solid(_near(outline, item.box)) for outline, item in zip(drawn, asked, strict=True)]
    own = masks.union(outlines[:count]) if count else None
    places = occlusion.in_front(region.thing, own, outlines[count:], await ask.depth())
    if not places:
        return region
    people = [place for place in places if objects[place].label == PERSON]
    poses = dict(zip(people, await ask.poses([objects[place] for place in people]), strict=True)) if people else {}
    front = occlusion.kept([(outlines[count + place], poses.get(place)) for place in places])
    hidden = masks.area_fraction(np.minimum(front, region.thing)) / masks.area_fraction(region.thing)
    journal.kept.update(in_front=round(hidden, 2))
    if region.exact:
        journal.warn("something in front of what is repainted is kept: occlusion off repaints all of the mask")
    return _sparing(region, front)


def _everything(scene: Scene, plan: EditPlan) -> Region:
    """All of the image, of which what is protected is taken out later."""
    found = tuple(item for instances in scene.protected.values() for item in instances)
    if not found and plan.on_no_detection is OnNoDetection.ERROR:
        named = ", ".join(plan.decision.target.protected)
        raise NoDetection(f"nothing like '{named}' was found in the image", details={"target": named})
    return Region(thing=np.full(scene.size, 255, np.uint8), detections=found)


async def _protecting(region: Region, scene: Scene, plan: EditPlan, segmenter: Segmenter, journal: Journal) -> Region:
    """The region without what may not change."""
    target = plan.decision.target
    outlines = {
        phrase: await _outlines(instances, scene, plan, segmenter, journal)
        for phrase, instances in scene.protected.items()
        if instances
    }
    kept = protected_mask(region.thing, target.protected, outlines, rest=target.rest, journal=journal)
    if kept is None:
        return region
    return _sparing(region, kept)


def _sparing(region: Region, kept: Mask) -> Region:
    """The region without what keeps its pixels (> 0). Raises: EmptyMask."""
    thing = np.where(kept > 0, np.uint8(0), region.thing)
    if not thing.any():
        raise EmptyMask("what is protected leaves nothing to repaint")
    protected = kept if region.protected is None else np.maximum(kept, region.protected)
    return replace(region, thing=thing, protected=protected)


async def _worn(scene: Scene, plan: EditPlan, segmenter: Segmenter, journal: Journal) -> Region:
    """Garment detections on the wearer, intersected with the body part, never the face or the hands."""
    region, position = plan.decision.target.region, plan.decision.target.position
    assert region is not None
    people = people_in(scene.objects)
    wearer = next(iter(select(people, position=position, people=True)), None)
    pose = scene.poses[people.index(wearer)] if wearer is not None and len(scene.poses) == len(people) else None
    if wearer is None:  # a shirt on a hanger: every box is taken for a part of it, unless one of several is named
        garments = select(scene.found, position=position, plural=True)
    else:
        garments = tuple(item for item in scene.found if _overlap(item.box, wearer.box) > 0.5)
    garment = await _silhouettes(garments, scene, plan, segmenter, journal) if garments else None
    if garment is None and pose is not None and plan.decision.keeps_shape and plan.refine_mask:
        garment = await _unseen(region, pose, scene, plan, segmenter, journal)
    sleeves = garment.mask if garment is not None and garment.outlined and garments else None
    protected = None
    if pose is not None:
        protected = await asyncio.to_thread(body.protected_mask, pose, scene.size, region, scene.image, sleeves)
    thing = await asyncio.to_thread(
        body.worn_mask,
        region,
        None if garment is None else garment.mask,
        pose,
        wearer.box if wearer is not None else None,
        scene.size,
        keeps_shape=sleeves is not None,
        protected=protected,
    )
    if thing is None or not thing.any():
        return _nothing_found(scene, plan, journal)
    return Region(
        thing=thing,
        detections=garments,
        outlined=garment is not None and garment.outlined,
        protected=protected,
    )


async def _unseen(
    region: BodyRegion, pose: Pose, scene: Scene, plan: EditPlan, segmenter: Segmenter, journal: Journal
) -> _Shape | None:
    """The outline of a garment that the detector does not know, where the body part is that it is worn on."""
    part = await asyncio.to_thread(body.region_mask, region, pose, scene.size)
    around = None if part is None else masks.window(part, -1.0)  # it adds a pixel of its own
    if around is None:
        return None
    rows, columns = around
    box = Box(x0=float(columns.start), y0=float(rows.start), x1=float(columns.stop), y1=float(rows.stop))
    seen = Detection(label=region.value, score=1.0, box=box)
    return await _silhouettes([seen], scene, plan, segmenter, journal)


def _nothing_found(scene: Scene, plan: EditPlan, journal: Journal) -> Region:
    """SPEC.md 5.2's fallback: the full image, unless a side is named or the request wants an error."""
    target = plan.decision.target
    if (side := side_of(target)) is not None:
        return Region(thing=_third(scene, side))
    named = target.phrase or target.region or target.place
    if named is None:
        journal.warn("the prompt names no part of the image: all of it is repainted")
    elif plan.on_no_detection is OnNoDetection.ERROR:
        raise NoDetection(f"nothing like '{named}' was found in the image", details={"target": str(named)})
    else:
        journal.warn(f"nothing like '{named}' was found: all of the image is repainted")
    return Region(thing=np.full(scene.size, 255, np.uint8))


def _third(scene: Scene, position: Position) -> Mask:
    """The left, middle or right third: where "a lamp on the left" is put."""
    height, width = scene.size
    index = list(Position).index(position)
    box = Box(x0=width * index / 3, y0=0, x1=width * (index + 1) / 3, y1=height)
    return masks.boxes_to_mask([box], scene.size)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Shape:
    """The pixels of instances (H, W; 0/255), and whether they outline what keeps its shape."""

    mask: Mask
    outlined: bool = False


async def _silhouettes(
    chosen: Sequence[Detection], scene: Scene, plan: EditPlan, segmenter: Segmenter, journal: Journal
) -> _Shape:
    """SAM's silhouettes when the plan refines masks, else the boxes."""
    if not plan.refine_mask:
        return _Shape(mask=_boxes(chosen, scene))
    with journal.timed("refine"):
        refined = await silhouettes(scene.image, chosen, segmenter=segmenter, journal=journal)
    if not refined.any():
        journal.warn("the refined mask was empty: the box is used")
        return _Shape(mask=_boxes(chosen, scene))
    return _Shape(mask=refined, outlined=plan.decision.keeps_shape)


async def silhouettes(image: Image, chosen: Sequence[Detection], *, segmenter: Segmenter, journal: Journal) -> Mask:
    """SAM's silhouettes of all instances (H, W; 0/255), solid, each in and close around its box; one call."""
    outlines = await segmenter.segment(image, chosen)
    journal.used(outlines.drawn_by)
    shapes = [masks.solid(_near(outline, item.box)) for outline, item in zip(outlines, chosen, strict=True)]
    return masks.union(shapes)


async def _outlines(
    instances: Sequence[Detection], scene: Scene, plan: EditPlan, segmenter: Segmenter, journal: Journal
) -> list[Mask]:
    """The silhouette of each instance where the plan refines masks, else its box."""
    boxes = [_boxes([item], scene) for item in instances]
    if not plan.refine_mask:
        return boxes
    with journal.timed("refine"):
        outlines = await segmenter.segment(scene.image, instances)
    journal.used(outlines.drawn_by)
    refined = [_near(outline, item.box) for outline, item in zip(outlines, instances, strict=True)]
    return [outline if outline.any() else box for outline, box in zip(refined, boxes, strict=True)]


def _boxes(chosen: Sequence[Detection], scene: Scene) -> Mask:
    return masks.boxes_to_mask([item.box for item in chosen], scene.size)


def _near(outline: Mask, box: Box) -> Mask:
    """The part of a silhouette in and close around its own box: elsewhere it has leaked into something else."""
    around = masks.boxes_to_mask([box.grown(BOX_MARGIN)], (outline.shape[0], outline.shape[1]))
    return np.minimum(outline, around)


def _overlap(inner: Box, outer: Box) -> float:
    """The share of `inner` that lies in `outer`, 0..1."""
    width = min(inner.x1, outer.x1) - max(inner.x0, outer.x0)
    height = min(inner.y1, outer.y1) - max(inner.y0, outer.y0)
    return max(0.0, width) * max(0.0, height) / inner.area if inner.area else 0.0
