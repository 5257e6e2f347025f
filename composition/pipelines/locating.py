"""route -> **detect -> mask** -> condition: the steps to the edit's mask that both pipelines take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Self

from composition.images import DepthMap, Detection, Pose
from composition.masking.edit_mask import EditMask, make_edit_mask
from composition.masking.find import find, find_protected, people_in
from composition.masking.region import Questions, Scene
from composition.pipelines.context import EditContext
from composition.pipelines.parallel import together
from composition.pipelines.planning import for_unknown, minds_kind
from composition.pipelines.referring import References, references_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What the detector found: the instances of the target, and of what is protected by its phrase."""

    target: tuple[Detection, ...] = ()
    protected: Mapping[str, tuple[Detection, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Structure:
    """What the ControlNets are to preserve, in pixels of the whole image, as far as any of them needs it."""

    poses: Sequence[Pose] = ()
    depth: DepthMap | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Located:
    """An edit with its mask, the structure that it preserves and its references: all that painting needs."""

    ctx: EditContext
    mask: EditMask
    structure: Structure = Structure()
    references: tuple[References, ...] = ()

    @classmethod
    def at(cls, ctx: EditContext, mask: EditMask, structure: Structure | None = None) -> Self:
        """An edit where it was found, with the plan for what was found there."""
        plan = ctx.plan
        if not mask.known and minds_kind(plan):
            if not plan.keep_light:
                ctx.journal.warn("the models do not know images of this kind: of the new look only its colour is taken")
            plan = for_unknown(plan, ctx.request.options)
        return cls(ctx=replace(ctx, plan=plan), mask=mask, structure=structure or Structure())


async def with_references(edit: Located) -> Located:
    """The edit with the references that act where it is. Raises: as `references_of`."""
    return replace(edit, references=await references_of(edit.ctx, edit.mask))


@dataclass(frozen=True, kw_only=True, eq=False)
class Undone:
    """One of several edits that nothing in the image is meant by: the others are made without it."""

    ctx: EditContext


async def find_target(ctx: EditContext) -> Found:
    """The instances that the prompt names, for the edit or for what may not change; a user's region needs none."""
    if ctx.request.mask is not None or ctx.request.options.mark is not None:
        return Found()
    target, image = ctx.plan.decision.target, ctx.request.base
    detector, journal = ctx.models.detector, ctx.journal
    found, protected = await together(
        find(image, target, ctx.signals.objects, detector=detector, journal=journal),
        find_protected(image, target, detector=detector, journal=journal),
    )
    return Found(target=found, protected=protected)


async def objects_in(ctx: EditContext) -> Sequence[Detection]:
    """What the analyzer sees; where the route was decided without it, it is asked now."""
    if ctx.signals.looked:
        return ctx.signals.objects
    with ctx.journal.timed("analyze"):
        objects = await ctx.models.analyzer.detect_objects(ctx.request.base)
    ctx.journal.used("yolox")
    return objects


async def depth_of(ctx: EditContext) -> DepthMap:
    """The photograph's depth; a second question is answered by the cache."""
    with ctx.journal.timed("depth"):
        depth = await ctx.models.depth.estimate_depth(ctx.request.base)
    ctx.journal.used("depth-anything")
    return depth


async def poses_of(ctx: EditContext, people: Sequence[Detection]) -> tuple[Pose, ...]:
    """The poses of some people of the photograph, in their order."""
    with ctx.journal.timed("pose"):
        poses = await ctx.models.pose.estimate_pose(ctx.request.base, people)
    ctx.journal.used("dwpose")
    return poses


async def mask_of(ctx: EditContext, found: Found, poses: Sequence[Pose] = ()) -> EditMask:
    """The edit's mask, from what was found and the poses of everybody that the analyzer saw, if there are any.

    Raises:
        NoDetection, EmptyMask: as `make_edit_mask`.
    """

    async def poses_among(people: Sequence[Detection]) -> Sequence[Pose]:
        """Those of who stands in front; of everybody that the analyzer saw they may be known."""
        known = dict(zip(people_in(ctx.signals.objects), poses, strict=False))
        return [known[one] for one in people] if set(people) <= set(known) else await poses_of(ctx, people)

    known = not minds_kind(ctx.plan) or await ctx.models.analyzer.knows(ctx.request.base)
    scene = Scene(
        image=ctx.request.base,
        user_mask=ctx.request.mask,
        mark=ctx.request.options.mark,
        objects=ctx.signals.objects,
        found=found.target,
        protected=found.protected,
        poses=poses,
        ask=Questions(objects=partial(objects_in, ctx), depth=partial(depth_of, ctx), poses=poses_among),
        known=known,
    )
    return await make_edit_mask(
        scene, ctx.plan, segmenter=ctx.models.segmenter, native_size=ctx.native_size, journal=ctx.journal
    )
