"""route -> **detect -> mask** -> condition: the steps to the edit's mask that both pipelines take."""

from __future__ import annotations

from collections.abc import Sequence

from composition.images import Detection, Pose
from composition.masking.edit_mask import EditMask, make_edit_mask
from composition.masking.find import find
from composition.masking.region import Scene
from composition.pipelines.context import EditContext


async def find_target(ctx: EditContext) -> tuple[Detection, ...]:
    """The instances that the prompt names; a user's mask needs none."""
    if ctx.request.mask is not None:
        return ()
    target, objects = ctx.plan.decision.target, ctx.signals.objects
    return await find(ctx.request.base, target, objects, detector=ctx.models.detector, journal=ctx.journal)


async def mask_of(ctx: EditContext, found: Sequence[Detection], poses: Sequence[Pose] = ()) -> EditMask:
    """The edit's mask, from what was found and the poses of everybody that the analyzer saw, if there are any.

    Raises:
        NoDetection, EmptyMask: as `make_edit_mask`.
    """
    scene = Scene(
        image=ctx.request.base,
        user_mask=ctx.request.mask,
        objects=ctx.signals.objects,
        found=found,
        poses=poses,
    )
    return await make_edit_mask(
        scene, ctx.plan, segmenter=ctx.models.segmenter, native_size=ctx.native_size, journal=ctx.journal
    )
