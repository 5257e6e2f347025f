"""mask -> condition -> **diffuse -> blend**: the region repainted at model size, put back at the picture's own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from composition.controls import CONTROLS, ControlSource
from composition.decision import EditPlan
from composition.diffusion import ControlInput, DiffusionProgress, DiffusionRequest, DiffusionResult
from composition.errors import ModelError
from composition.images import Box, DepthMap, Image, Mask, Pose
from composition.imaging import blending, geometry, masks
from composition.imaging.detail import keep_detail
from composition.masking.region import Region
from composition.pipelines.context import EditContext
from composition.request import ControlType, Crop

LATENT_CELL_PX = 8
FIT_MULTIPLE_PX = 64
SEAM_DILATION_PX, SEAM_BLUR_PX = 3, 10
"""How far beyond its outline a thing that keeps its shape is blended in, and how softly what is protected is spared, in
pixels of a 512-pixel picture."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Canvas:
    """The part of the picture that the model sees: a crop (None = all of it) fitted to the model's size.

    All masks have the size of the whole picture (H, W).

    Attributes:
        thing: what the edit is about, before dilation (0/255).
        mask: what the model repaints (0/255).
        reach: `mask` with its soft rim, which lies outside of it.
        alpha: the blend's weights; 0 keeps the original bit for bit.
        box: the crop.
        fit: of the crop, or of the whole, to the model's size.
    """

    thing: Mask
    mask: Mask
    reach: Mask
    alpha: Mask
    box: Box | None
    fit: geometry.Fit

    def view(self, array: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The part of an image or mask of the whole picture's size that the model sees."""
        return array if self.box is None else geometry.crop(array, self.box)

    def poses(self, poses: Sequence[Pose]) -> list[Pose]:
        """Poses in pixels of the whole picture in pixels of the model's."""
        shown = poses if self.box is None else [geometry.crop_pose(pose, self.box) for pose in poses]
        return [self.fit.pose_to_model(pose) for pose in shown]


@dataclass(frozen=True, kw_only=True, eq=False)
class Structure:
    """What the ControlNets are to preserve, in pixels of the whole picture, as far as any of them needs it."""

    poses: Sequence[Pose] = ()
    depth: DepthMap | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Painted:
    """An edited picture (H, W, 3) and the feathered mask (H, W) it was blended with."""

    image: Image
    alpha: Mask


async def paint(ctx: EditContext, region: Region, structure: Structure) -> Painted:
    """Repaint a region.

    Args:
        ctx: the edit.
        region: where.
        structure: what to preserve, for the controls that the plan has a scale for.
    """
    with ctx.journal.stage("condition"):
        canvas = await asyncio.to_thread(_make_canvas, ctx, region)
        request = await asyncio.to_thread(_make_request, ctx, canvas, structure)
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
    mask = region.mask if region.exact else _grown(region.mask, ctx.plan.mask_dilation_px)
    reach = _feathered(mask, ctx.plan.mask_blur_px)
    alpha = _along_outline(ctx.plan, region) if region.outlined else reach
    if region.protected is not None:
        alpha = masks.spare(alpha, region.protected, masks.scale_px(SEAM_BLUR_PX, size))
        mask = np.where(region.protected > 0, np.uint8(0), mask)
    box = geometry.crop_box(reach, native_size=ctx.native_size, size=size) if ctx.plan.crop is Crop.AUTO else None
    view, native = size, ctx.native_size
    if box is not None:
        view = (int(box.y1 - box.y0), int(box.x1 - box.x0))
        native = geometry.crop_native_size(box, size=size, native_size=native, multiple=FIT_MULTIPLE_PX)
    fit = geometry.fit(view, native_size=native, multiple=FIT_MULTIPLE_PX)
    return Canvas(thing=region.mask, mask=mask, reach=reach, alpha=alpha, box=box, fit=fit)


def _along_outline(plan: EditPlan, region: Region) -> Mask:
    """Around a thing that keeps its shape and whose outline is known nothing was to change."""
    outline = _grown(region.mask, min(SEAM_DILATION_PX, plan.mask_dilation_px))
    return _feathered(outline, min(SEAM_BLUR_PX, plan.mask_blur_px))


def _grown(mask: Mask, dilation_px: float) -> Mask:
    return masks.dilate(mask, masks.scale_px(dilation_px, (mask.shape[0], mask.shape[1])))


def _feathered(mask: Mask, blur_px: float) -> Mask:
    return masks.feather(mask, masks.scale_px(blur_px, (mask.shape[0], mask.shape[1])))


def _make_request(ctx: EditContext, canvas: Canvas, structure: Structure) -> DiffusionRequest:
    plan, fit = ctx.plan, canvas.fit
    image = fit.to_model(canvas.view(ctx.request.base))
    return DiffusionRequest(
        request_id=ctx.request_id,
        image=image,
        mask=masks.align_to_latent_grid(fit.mask_to_model(canvas.view(canvas.mask)), LATENT_CELL_PX),
        prompt=plan.prompt,
        negative_prompt=plan.negative_prompt,
        num_inference_steps=plan.num_inference_steps,
        guidance_scale=plan.guidance_scale,
        seed=plan.seed,
        strength=plan.strength,
        references=ctx.request.references,
        ip_adapter_scale=plan.ip_adapter_scale if ctx.request.references else 0.0,
        controls=_controls(ctx, canvas, structure, image),
        loras=plan.loras,
        speed=plan.speed,
        previews=ctx.previews,
        deadline_s=None if ctx.deadline is None else ctx.deadline.left_for_runner_s(),
    )


def _controls(ctx: EditContext, canvas: Canvas, structure: Structure, image: Image) -> dict[ControlType, ControlInput]:
    """The image of every control that the plan has a scale for, at model size."""
    depth = None if structure.depth is None else canvas.fit.map_to_model(canvas.view(structure.depth))
    source = ControlSource(image=image, poses=canvas.poses(structure.poses), depth=depth)
    return {
        name: ControlInput(image=CONTROLS[name].draw(source), scale=scale) for name, scale in ctx.plan.controls.items()
    }


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
        generated = blending.match_color(generated, original, canvas.view(canvas.reach))
    if plan.keep_detail:
        generated = keep_detail(generated, original, canvas.view(canvas.thing))
    if plan.sharpen:
        generated = blending.sharpen(generated, alpha)
    blended = blending.blend(original, generated, alpha)
    return blended if canvas.box is None else geometry.paste(ctx.request.base, blended, canvas.box)
