"""diffuse -> **blend**: what the model painted, at the photograph's size and in its colours, laid over it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from composition.images import Image, Mask
from composition.imaging import blending, geometry, masks
from composition.imaging.keeping import Carried, Kept, keep
from composition.imaging.named_colours import named_colour
from composition.imaging.one_look import Rgb
from composition.masking.arranging import Arrangement
from composition.masking.edit_mask import EditMask
from composition.pipelines.context import EditContext
from composition.pipelines.locating import Located
from composition.pipelines.matting import fills_boxes, matte, silhouette


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """What was painted for one edit: an image of what the model saw, at its size, and weights (H, W) of the whole."""

    edit: Located
    image: Image
    alpha: Mask


async def laid_over(
    edits: Sequence[Located], arrangement: Arrangement, painted: Sequence[Sequence[Image]]
) -> tuple[Image, ...]:
    """What the model painted, laid over the photograph.

    Args:
        edits: with their masks.
        arrangement: which of them share a canvas, and which lies over which.
        painted: of each candidate the image of each canvas, at model size.
    """
    seen = [await asyncio.to_thread(_all_at_own_size, edits, arrangement, images) for images in painted]
    return await laid_over_from_own_size(edits, arrangement, seen)


async def laid_over_from_own_size(
    edits: Sequence[Located],
    arrangement: Arrangement,
    painted: Sequence[Sequence[Image]],
    colour: Rgb | None = None,
) -> tuple[Image, ...]:
    """As `laid_over`, of what `at_own_size` has made of the images; what is only recoloured becomes of `colour`."""
    return await _laid_over(
        edits,
        arrangement,
        [await asyncio.to_thread(_layers, edits, arrangement, images, colour) for images in painted],
    )


async def laid_over_as_kept(edit: Located, arrangement: Arrangement, image: Image) -> Image:
    """What `kept` has made of the only edit of a photograph, laid over that."""
    (result,) = await _laid_over([edit], arrangement, [[Layer(edit=edit, image=image, alpha=_alpha(edit))]])
    return result


async def _laid_over(
    edits: Sequence[Located], arrangement: Arrangement, candidates: list[list[Layer]]
) -> tuple[Image, ...]:
    tight = [
        edits[place]
        for place in arrangement.order
        if edits[place].ctx.plan.keep_surroundings and fills_boxes(edits[place].mask)
    ]
    if tight:
        opaque = [await asyncio.to_thread(_composed, layers, opaque=True) for layers in candidates]
        for edit in tight:
            with edit.ctx.journal.timed("matte"):
                mattes = await _mattes(edit.ctx, edit.mask, opaque)
            for index, alpha in mattes.items():
                layers = candidates[index]
                candidates[index] = [replace(one, alpha=alpha) if one.edit is edit else one for one in layers]
    return tuple([await asyncio.to_thread(_composed, layers) for layers in candidates])


def _all_at_own_size(edits: Sequence[Located], arrangement: Arrangement, images: Sequence[Image]) -> list[Image]:
    return [
        at_own_size([edits[place] for place in canvas], image)
        for canvas, image in zip(arrangement.canvases, images, strict=True)
    ]


def _layers(
    edits: Sequence[Located], arrangement: Arrangement, images: Sequence[Image], colour: Rgb | None
) -> list[Layer]:
    """From the lowest to the topmost."""
    own: dict[int, Image] = {}
    for canvas, image in zip(arrangement.canvases, images, strict=True):
        own |= {place: kept(edits[place], image, colour).image for place in canvas}
    return [Layer(edit=edits[place], image=own[place], alpha=_alpha(edits[place])) for place in arrangement.order]


def _alpha(edit: Located) -> Mask:
    """A wide rim inside an outline that was drawn along a thing's own would keep the old colour around the new one."""
    return masks.firmed(edit.mask.alpha) if edit.ctx.plan.drawn else edit.mask.alpha


def _composed(layers: Sequence[Layer], *, opaque: bool = False) -> Image:
    """The photograph under all layers, as opaque as they are wanted or fully.

    Where the soft rims of two meet, the one lies on top whose thing is nearer.
    """
    image = layers[0].edit.ctx.request.base
    for nearer in (False, True):
        for layer in layers:
            alpha = _part(layer, nearer=nearer)
            if alpha is not None:
                image = _blend(layer, image, masks.weakened(alpha, 1.0 if opaque else layer.edit.mask.blend))
    return image


def _part(layer: Layer, *, nearer: bool) -> Mask | None:
    """A layer's weights where its thing is the nearest one, or where it is not; None: there is nothing of that."""
    own = layer.edit.mask.own
    if own is None:
        return layer.alpha if nearer else None
    return np.where((own > 0) == nearer, layer.alpha, np.uint8(0))


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


def at_own_size(edits: Sequence[Located], model_image: Image) -> Image:
    """What the model painted of edits that share a canvas, at the size of what it saw, in the photograph's colours."""
    ctx, mask = edits[0].ctx, edits[0].mask
    generated = mask.fit.from_model(model_image)
    if ctx.plan.color_match:
        reach = masks.union([edit.mask.reach for edit in edits])
        generated = blending.match_color(generated, mask.view(ctx.request.base), mask.view(reach))
    return generated


def kept(edit: Located, generated: Image, colour: Rgb | None, before: Carried | None = None) -> Kept:
    """What was painted, with what is kept of the photograph.

    Args:
        edit: whose mask has the crop that the others are of.
        generated: what `at_own_size` gives.
        colour: that the thing becomes where only that changes; None: as it was painted.
        before: of a clip, the frame before, of the whole image's size.
    """
    plan, mask, journal = edit.ctx.plan, edit.mask, edit.ctx.journal
    if plan.keep_light or (plan.keep_parts and not mask.thing.all()):
        original = mask.view(edit.ctx.request.base)
        thing, surface = mask.view(mask.thing), not plan.keep_light
        if before is not None:
            material = replace(before.material, share=mask.view(before.material.share))
            before = Carried(material=material, sure=mask.view(before.sure))
        told = keep(
            generated,
            original,
            thing,
            parts=plan.keep_parts,
            surface=surface,
            colour=colour,
            drawn=plan.drawn,
            asked=named_colour(plan.prompt),
            known=mask.known,
            before=before,
        )
        if "light" not in journal.kept:  # of several candidates, the first one's
            journal.kept.update(light=round(told.light, 2), parts=round(told.parts, 2))
        return told
    return Kept(image=generated)


def _blend(layer: Layer, ground: Image, alpha: Mask) -> Image:
    """A layer over an image of the whole, by weights (H, W)."""
    mask, generated = layer.edit.mask, layer.image
    original, weights = mask.view(ground), mask.view(alpha)
    if layer.edit.ctx.plan.sharpen:
        generated = blending.sharpen(generated, weights)
    blended = blending.blend(original, generated, weights)
    return blended if mask.crop is None else geometry.paste(ground, blended, mask.crop)
