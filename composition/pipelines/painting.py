"""mask -> condition -> **diffuse -> blend**: the region repainted at model size, put back at the picture's own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass

import numpy as np

from composition.errors import ModelError
from composition.imaging import blending, geometry, masks
from composition.pipelines.context import EditContext
from composition.pipelines.region import Region
from composition.types import (
    Box,
    ControlInput,
    ControlType,
    Crop,
    DiffusionProgress,
    DiffusionRequest,
    DiffusionResult,
    Image,
    Mask,
)

LATENT_CELL_PX = 8
FIT_MULTIPLE_PX = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Canvas:
    """The part of the picture that the model sees: a crop (None = all of it) fitted to the model's size.

    `alpha` (H, W of the whole picture): 0 = keeps the original bit for bit, 255 = takes the repainted pixel.
    """

    alpha: Mask
    box: Box | None
    fit: geometry.Fit

    def view(self, array: Image) -> Image:
        """The part of an image or mask of the whole picture's size that the model sees."""
        return array if self.box is None else geometry.crop(array, self.box)


@dataclass(frozen=True, kw_only=True, eq=False)
class Painted:
    """An edited picture (H, W, 3) and the feathered mask (H, W) it was blended with."""

    image: Image
    alpha: Mask


async def paint(ctx: EditContext, region: Region, controls: Mapping[ControlType, Image]) -> Painted:
    """Repaint a region.

    Args:
        ctx: the edit.
        region: where.
        controls: control images (H, W, 3) of the whole picture's size, one per type that the plan has a scale for.
    """
    with ctx.journal.timed("condition"):
        canvas = await asyncio.to_thread(_make_canvas, ctx, region)
        request = await asyncio.to_thread(_make_request, ctx, canvas, controls)
    with ctx.journal.stage("diffuse"):
        result = await _diffuse(ctx, request)
    ctx.journal.used(*result.models_used)
    ctx.journal.cache.update(result.cache)
    with ctx.journal.stage("blend"):
        image = await asyncio.to_thread(_blend, ctx, canvas, result.image)
    return Painted(image=image, alpha=canvas.alpha)


def _make_canvas(ctx: EditContext, region: Region) -> Canvas:
    height, width = ctx.request.base.shape[:2]
    size = (height, width)
    mask = region.mask
    if not region.exact:
        mask = masks.dilate(mask, masks.scale_px(ctx.plan.mask_dilation_px, size))
    alpha = masks.feather(mask, masks.scale_px(ctx.plan.mask_blur_px, size))
    box = geometry.crop_box(alpha, native_size=ctx.native_size, size=size) if ctx.plan.crop is Crop.AUTO else None
    view = size if box is None else (int(box.y1 - box.y0), int(box.x1 - box.x0))
    return Canvas(alpha=alpha, box=box, fit=geometry.fit(view, native_size=ctx.native_size, multiple=FIT_MULTIPLE_PX))


def _make_request(ctx: EditContext, canvas: Canvas, controls: Mapping[ControlType, Image]) -> DiffusionRequest:
    plan, fit = ctx.plan, canvas.fit
    painted = np.where(canvas.view(canvas.alpha) > 0, 255, 0).astype(np.uint8)
    return DiffusionRequest(
        request_id=ctx.request_id,
        image=fit.to_model(canvas.view(ctx.request.base)),
        mask=masks.align_to_latent_grid(fit.mask_to_model(painted), LATENT_CELL_PX),
        prompt=plan.prompt,
        negative_prompt=plan.negative_prompt,
        num_inference_steps=plan.num_inference_steps,
        guidance_scale=plan.guidance_scale,
        seed=plan.seed,
        strength=plan.strength,
        references=ctx.request.references,
        ip_adapter_scale=plan.ip_adapter_scale if ctx.request.references else 0.0,
        controls={
            kind: ControlInput(image=fit.map_to_model(canvas.view(image)), scale=plan.controls[kind])
            for kind, image in controls.items()
        },
        loras=plan.loras,
        speed=plan.speed,
        previews=ctx.previews,
        deadline_s=ctx.deadline_s,
    )


async def _diffuse(ctx: EditContext, request: DiffusionRequest) -> DiffusionResult:
    """Follow the diffuser's events to its result; leaving early closes the stream, which cancels the request."""
    async with aclosing(ctx.models.diffuser.diffuse(request)) as events:
        async for event in events:
            if isinstance(event, DiffusionProgress):
                ctx.journal.denoised(event.step, event.total, event.preview)
            else:
                return event
    raise ModelError("the diffusion model ended without a result")


def _blend(ctx: EditContext, canvas: Canvas, model_image: Image) -> Image:
    plan = ctx.plan
    original, alpha = canvas.view(ctx.request.base), canvas.view(canvas.alpha)
    generated = canvas.fit.from_model(model_image)
    if plan.color_match:
        generated = blending.match_color(generated, original, alpha)
    if plan.keep_luminance:
        generated = blending.keep_luminance(generated, original, alpha)
    if plan.sharpen:
        generated = blending.sharpen(generated, alpha)
    blended = blending.blend(original, generated, alpha)
    return blended if canvas.box is None else geometry.paste(ctx.request.base, blended, canvas.box)
