"""The quality path: detection, pose and depth side by side, then diffusion under ControlNet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from composition.controls import CONTROLS, Need
from composition.images import DepthMap, Pose
from composition.masking.edit_mask import EditMask
from composition.masking.find import people_in
from composition.pipelines.context import EditContext
from composition.pipelines.locating import Located, Structure, depth_of, find_target, mask_of, poses_of
from composition.pipelines.parallel import together
from composition.request import ControlType


async def locate(ctx: EditContext) -> EditMask:
    """Find what to repaint; a pose helps to find a worn thing."""
    mask, _ = await _locate_with_poses(ctx)
    return mask


async def prepare(ctx: EditContext) -> Located:
    """Find it, and the structure that the controls with a scale in the plan preserve."""
    (mask, poses), depth = await together(_locate_with_poses(ctx), _estimate_depth(ctx))
    return Located.at(ctx, mask, Structure(poses=poses, depth=depth))


async def structure_of(ctx: EditContext) -> Structure:
    """What the controls preserve, where the mask is known already."""
    poses, depth = await together(_estimate_poses(ctx), _estimate_depth(ctx))
    return Structure(poses=poses, depth=depth)


async def _locate_with_poses(ctx: EditContext) -> tuple[EditMask, Sequence[Pose]]:
    with ctx.journal.stage("detect"):
        found, poses = await together(find_target(ctx), _estimate_poses(ctx))
    return await mask_of(ctx, found, poses), poses


async def _estimate_poses(ctx: EditContext) -> tuple[Pose, ...]:
    """The poses of everybody in the image, for a pose control and the mask; nobody costs no model call.

    The mask of a worn thing needs them also where the user's scale has switched the control off.
    """
    if not _needed(ctx.plan.decision.controls, Need.POSES):
        return ()
    people = people_in(ctx.signals.objects)
    if not people:
        if _needed(ctx.plan.controls, Need.POSES):
            ctx.journal.warn("no person was found: the pose control is empty")
        return ()
    return await poses_of(ctx, people)


def _needed(controls: Iterable[ControlType], need: Need) -> bool:
    return any(need in CONTROLS[name].needs for name in controls)


async def _estimate_depth(ctx: EditContext) -> DepthMap | None:
    return await depth_of(ctx) if _needed(ctx.plan.controls, Need.DEPTH) else None
