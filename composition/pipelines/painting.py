"""mask -> **condition -> diffuse -> blend**: the mask repainted at model size, put back at the image's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from composition.controls import CONTROLS, ControlSource
from composition.diffusion import ControlInput, DiffusionProgress, DiffusionRequest, DiffusionResult
from composition.errors import ModelError
from composition.images import DepthMap, Image, Mask, Pose
from composition.imaging import blending, geometry, masks
from composition.imaging.keeping import keep
from composition.masking.edit_mask import EditMask
from composition.pipelines.context import EditContext
from composition.pipelines.matting import fills_boxes, matte, silhouette
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
        return await _laid_over(ctx, mask, [result.image for result in results])


async def _laid_over(ctx: EditContext, mask: EditMask, painted: Sequence[Image]) -> tuple[Image, ...]:
    """What the model painted, each image laid over the photograph."""
    own = [await asyncio.to_thread(_at_own_size, ctx, mask, image) for image in painted]
    blended = [await asyncio.to_thread(_blend, ctx, mask, image, mask.alpha) for image in own]
    if ctx.plan.keep_surroundings and fills_boxes(mask):
        with ctx.journal.timed("matte"):
            mattes = await _mattes(ctx, mask, blended)
        for index, alpha in mattes.items():
            blended[index] = await asyncio.to_thread(_blend, ctx, mask, own[index], alpha)
    return tuple(blended)


async def _mattes(ctx: EditContext, mask: EditMask, blended: Sequence[Image]) -> dict[int, Mask]:
    """The tighter weights of those images whose old and new thing can be told from their surroundings."""
    old = await silhouette(ctx, mask, ctx.request.base)
    news = [None if old is None else await silhouette(ctx, mask, image) for image in blended]
    mattes = {
        index: matte(ctx, mask, old, new) for index, new in enumerate(news) if old is not None and new is not None
    }
    if len(mattes) < len(blended):
        ctx.journal.warn("no silhouette was seen in the box: all of it is repainted")
    if 0 in mattes:
        kept = 1.0 - masks.area_fraction(mattes[0]) / masks.area_fraction(mask.alpha)
        ctx.journal.kept.update(surroundings=round(kept, 2))
    return mattes


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
        quality=plan.quality,
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


def _at_own_size(ctx: EditContext, mask: EditMask, model_image: Image) -> Image:
    """What the model painted at the size of what it saw, in the photograph's colours, with what is kept of it."""
    plan, original = ctx.plan, mask.view(ctx.request.base)
    generated = mask.fit.from_model(model_image)
    if plan.color_match:
        generated = blending.match_color(generated, original, mask.view(mask.reach))
    if plan.keep_light or (plan.keep_parts and not mask.thing.all()):
        kept = keep(generated, original, mask.view(mask.thing), parts=plan.keep_parts, surface=not plan.keep_light)
        if not ctx.journal.kept:  # of several candidates, the first one's
            ctx.journal.kept.update(light=round(kept.light, 2), parts=round(kept.parts, 2))
        generated = kept.image
    return generated


def _blend(ctx: EditContext, mask: EditMask, generated: Image, alpha: Mask) -> Image:
    """The photograph with an image of what the model saw laid over it, by weights (H, W) of the whole."""
    original, weights = mask.view(ctx.request.base), mask.view(alpha)
    if ctx.plan.sharpen:
        generated = blending.sharpen(generated, weights)
    blended = blending.blend(original, generated, weights)
    return blended if mask.crop is None else geometry.paste(ctx.request.base, blended, mask.crop)
