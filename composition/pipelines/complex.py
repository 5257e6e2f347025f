"""The quality path: detection, pose and depth side by side, then diffusion under ControlNet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from composition.controls import CONTROLS, Need
from composition.images import DepthMap, Pose
from composition.masking.region import Region, detect, make_region, people_in
from composition.pipelines.context import EditContext
from composition.pipelines.painting import Painted, Structure, paint
from composition.pipelines.parallel import together
from composition.request import ControlType


async def locate(ctx: EditContext) -> Region:
    """Find what to repaint; a pose helps to find a worn thing."""
    region, _ = await _locate_with_poses(ctx)
    return region


async def run(ctx: EditContext) -> tuple[Region, Painted]:
    """Find it and repaint it under the structure controls that the plan has a scale for."""
    (region, poses), depth = await together(_locate_with_poses(ctx), _estimate_depth(ctx))
    return region, await paint(ctx, region, Structure(poses=poses, depth=depth))


async def _locate_with_poses(ctx: EditContext) -> tuple[Region, Sequence[Pose]]:
    with ctx.journal.stage("detect"):
        found, poses = await together(detect(ctx), _estimate_poses(ctx))
    return await make_region(ctx, found, poses), poses


async def _estimate_poses(ctx: EditContext) -> tuple[Pose, ...]:
    """The poses of everybody in the image, for a pose control and the mask; nobody costs no model call.

    The mask of a worn thing needs them also where the user's scale has switched the control off.
    """
    if not _needed(ctx.plan.decision.controls, Need.POSES):
        return ()
    people = people_in(ctx)
    if not people:
        if _needed(ctx.plan.controls, Need.POSES):
            ctx.journal.warn("no person was found: the pose control is empty")
        return ()
    with ctx.journal.timed("pose"):
        poses = await ctx.models.pose.estimate_pose(ctx.request.base, people)
    ctx.journal.used("dwpose")
    return poses


def _needed(controls: Iterable[ControlType], need: Need) -> bool:
    return any(need in CONTROLS[name].needs for name in controls)


async def _estimate_depth(ctx: EditContext) -> DepthMap | None:
    if not _needed(ctx.plan.controls, Need.DEPTH):
        return None
    with ctx.journal.timed("depth"):
        depth = await ctx.models.depth.estimate_depth(ctx.request.base)
    ctx.journal.used("depth-anything")
    return depth
