"""The quality path: detection, pose and depth side by side, then diffusion under ControlNet."""

from __future__ import annotations

from collections.abc import Sequence

from composition.controls import CONTROLS, Need
from composition.images import DepthMap, Pose
from composition.masking.region import Region, detect, make_region, people_in
from composition.pipelines.context import EditContext
from composition.pipelines.painting import Painted, Structure, paint
from composition.pipelines.parallel import together


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
    """The poses of everybody in the picture; nobody (or no pose control wanted) costs no model call."""
    if not _needed(ctx, Need.POSES):
        return ()
    people = people_in(ctx)
    if not people:
        ctx.journal.warn("no person was found: the pose control is empty")
        return ()
    with ctx.journal.timed("pose"):
        poses = await ctx.models.pose.estimate_pose(ctx.request.base, people)
    ctx.journal.used("dwpose")
    return poses


def _needed(ctx: EditContext, need: Need) -> bool:
    return any(need in CONTROLS[name].needs for name in ctx.plan.controls)


async def _estimate_depth(ctx: EditContext) -> DepthMap | None:
    if not _needed(ctx, Need.DEPTH):
        return None
    with ctx.journal.timed("depth"):
        depth = await ctx.models.depth.estimate_depth(ctx.request.base)
    ctx.journal.used("depth-anything")
    return depth
