"""diffuse -> **blend**: what the model painted, at the photograph's size and in its colours, laid over it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from composition.images import Image, Mask
from composition.imaging import blending, geometry, masks
from composition.imaging.keeping import keep
from composition.masking.edit_mask import EditMask
from composition.pipelines.context import EditContext
from composition.pipelines.matting import fills_boxes, matte, silhouette


async def laid_over(ctx: EditContext, mask: EditMask, painted: Sequence[Image]) -> tuple[Image, ...]:
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
