"""mask -> **condition -> diffuse** -> blend: the mask repainted at model size."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from composition.controls import CONTROLS, ControlSource
from composition.diffusion import ControlInput, DiffusionProgress, DiffusionRequest, DiffusionResult
from composition.errors import ModelError
from composition.images import DepthMap, Image, Mask, Pose
from composition.imaging import masks
from composition.masking.edit_mask import EditMask
from composition.pipelines.context import EditContext
from composition.pipelines.overlaying import laid_over
from composition.pipelines.parallel import all_of
from composition.request import ControlType


@dataclass(frozen=True, kw_only=True, eq=False)
class Structure:
    """What the ControlNets are to preserve, in pixels of the whole image, as far as any of them needs it."""

    poses: Sequence[Pose] = ()
    depth: DepthMap | None = None


async def paint(ctx: EditContext, mask: EditMask, structure: Structure) -> tuple[Image, ...]:
    """The whole image (H, W, 3) with the mask repainted; where `mask.alpha` is 0 it is the original bit for bit.

    One for each of the plan's seeds: all else is made once for all of them.

    Args:
        ctx: the edit.
        mask: where, and how it is blended in.
        structure: what to preserve, for the controls that the plan has a scale for.
    """
    with ctx.journal.stage("condition"):
        request = await asyncio.to_thread(_make_request, ctx, mask, structure)
    with ctx.journal.stage("diffuse"):
        results = await _diffuse_all(ctx, request)
    for result in results:
        ctx.journal.used(*result.models_used)
        for note in result.notes:
            ctx.journal.warn(note)
        missed = {name: outcome for name, outcome in ctx.journal.cache.items() if outcome == "miss"}
        ctx.journal.cache.update({**result.cache, **missed})
    with ctx.journal.stage("blend"):
        return await laid_over(ctx, mask, [result.image for result in results])


def _make_request(ctx: EditContext, mask: EditMask, structure: Structure) -> DiffusionRequest:
    plan, fit = ctx.plan, mask.fit
    image = fit.to_model(mask.view(ctx.request.base))
    hole = masks.align_to_latent_grid(fit.mask_to_model(mask.view(mask.repaint)), ctx.models.latent_cell_px)
    references = ctx.request.references if plan.ip_adapter_scale > 0.0 else ()
    return DiffusionRequest(
        request_id=ctx.request_id,
        image=image,
        mask=hole,
        prompt=plan.prompt,
        negative_prompt=plan.negative_prompt,
        num_inference_steps=plan.num_inference_steps,
        guidance_scale=plan.guidance_scale,
        guidance_rescale=plan.guidance_rescale,
        scheduler=plan.scheduler,
        model=plan.model or None,
        seed=plan.seeds[0],
        strength=plan.strength,
        references=references,
        ip_adapter_scale=plan.ip_adapter_scale if references else 0.0,
        ip_adapter_start=plan.ip_adapter_window.start,
        ip_adapter_end=plan.ip_adapter_window.end,
        ip_adapter_mask=plan.ip_adapter_mask,
        controls=_controls(ctx, mask, structure, image, hole),
        loras=plan.loras,
        speed=plan.speed,
        previews=ctx.previews,
    )


def _controls(
    ctx: EditContext, mask: EditMask, structure: Structure, image: Image, hole: Mask
) -> dict[ControlType, ControlInput]:
    """The image of every control that the plan has a scale for, at model size; so are `image` and `hole`."""
    depth = None if structure.depth is None else mask.fit.map_to_model(mask.view(structure.depth))
    gone = hole if ctx.plan.decision.removes else None
    source = ControlSource(image=image, poses=mask.poses_to_model(structure.poses), depth=depth, gone=gone)
    start, end = ctx.plan.control_window
    return {
        name: ControlInput(image=CONTROLS[name].draw(source), scale=scale, start=start, end=end)
        for name, scale in ctx.plan.controls.items()
    }


async def _diffuse_all(ctx: EditContext, request: DiffusionRequest) -> list[DiffusionResult]:
    """The request once for every seed. The first one that fails ends the others; so does a caller that leaves."""
    seeds = ctx.plan.seeds
    places = asyncio.Semaphore(ctx.candidates_at_once)
    steps = [0] * len(seeds)

    async def diffuse(index: int) -> DiffusionResult:
        def note(progress: DiffusionProgress) -> None:
            steps[index] = progress.step
            preview = progress.preview if index == 0 else None
            ctx.journal.denoised(steps, progress.total * len(seeds), preview)

        async with places:
            candidate = replace(
                request,
                request_id=f"{ctx.request_id}.{index}" if index else ctx.request_id,
                seed=seeds[index],
                deadline_s=None if ctx.deadline is None else ctx.deadline.left_for_runner_s(),
            )
            return await _diffuse(ctx, candidate, note)

    return await all_of([diffuse(index) for index in range(len(seeds))])


async def _diffuse(
    ctx: EditContext, request: DiffusionRequest, note: Callable[[DiffusionProgress], None]
) -> DiffusionResult:
    """Follow the diffuser's events to its result; leaving early closes the stream, which cancels the request."""
    async with aclosing(ctx.models.diffuser.diffuse(request)) as events:
        async for event in events:
            if isinstance(event, DiffusionProgress):
                note(event)
            else:
                return event
    raise ModelError("the diffusion model ended without a result")
