"""One edit of several photographs of a thing: found in each, painted in all of them at once, laid over each.

detect -> mask -> condition -> **diffuse** -> blend, with one decision, one plan and one request to the diffusion model,
which gives all views one look (docs/adr/0014).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from composition.decision import Pipeline
from composition.diffusion import DiffusionRequest, ViewRequest
from composition.errors import EmptyMask, NoDetection
from composition.images import Image, Mask
from composition.imaging import geometry
from composition.imaging.keeping import material_surface
from composition.imaging.named_colours import named_colour
from composition.imaging.one_look import Rgb, Surface, common_colours, recoloured, surface_of
from composition.journal import Journal
from composition.pipelines.account import describe_view, painting_of, warnings_of_several
from composition.pipelines.context import EditContext
from composition.pipelines.locating import Located, Undone, with_references
from composition.pipelines.overlaying import at_own_size, laid_over_from_own_size
from composition.pipelines.painting import Scene, diffuse_all, make_request, note_results, scene_of
from composition.pipelines.parallel import all_of
from composition.request import OnNoDetection


class _Prepares(Protocol):
    prepare: Callable[[EditContext], Awaitable[Located]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Views:
    """Every photograph in the order in which they were sent, and the scenes of those that show the thing."""

    all: tuple[Located | Undone, ...]
    scenes: tuple[Scene, ...]

    @property
    def mask(self) -> Mask:
        """The weights (H, W; 0..255) that the first photograph is blended with."""
        first = self.all[0]
        if isinstance(first, Located):
            return self.scenes[0].arrangement.weights
        return np.zeros(first.ctx.request.base.shape[:2], np.uint8)


async def find_in_each(contexts: Sequence[EditContext], pipelines: Mapping[Pipeline, _Prepares]) -> Views:
    """Find the thing in every photograph; one that does not show it is left out, with a warning.

    Raises: NoDetection, EmptyMask: none shows it, or one does not and the request wants that to be an error.
    """
    views = await all_of([_found(ctx, number, pipelines) for number, ctx in enumerate(contexts)])
    located = [view for view in views if isinstance(view, Located)]
    if not located:
        missing = dict.fromkeys(warning for ctx in contexts for warning in ctx.journal.warnings)
        raise NoDetection("none of the views can be edited: " + "; ".join(missing))
    fits = geometry.alike([view.mask.fit for view in located])
    sized = [replace(view, mask=replace(view.mask, fit=fit)) for view, fit in zip(located, fits, strict=True)]
    return Views(all=tuple(views), scenes=tuple(scene_of([view]) for view in sized))


async def _found(ctx: EditContext, number: int, pipelines: Mapping[Pipeline, _Prepares]) -> Located | Undone:
    try:
        return await with_references(await pipelines[ctx.plan.decision.pipeline].prepare(ctx))
    except (NoDetection, EmptyMask) as error:
        if ctx.request.options.on_no_detection is OnNoDetection.ERROR:
            raise type(error)(
                f"base_images.{number}: {error.message}", details={**error.details, "view": number}
            ) from error
        ctx.journal.warn(f"not done: {error.message}")
        return Undone(ctx=ctx)


async def paint_views(views: Views, journal: Journal) -> tuple[Image, ...]:
    """Every photograph (H, W, 3) with its mask repainted, all in one denoising; one without the thing as it was.

    Args:
        views: where the thing is in each.
        journal: of the request.
    """
    with journal.stage("condition"):
        request = await asyncio.to_thread(_make_request, views.scenes)
    with journal.stage("diffuse"):
        [[result]] = await diffuse_all(views.scenes[0].edits[0].ctx, journal, [request])
    note_results([scene.edits[0] for scene in views.scenes], request, [result], journal)
    with journal.stage("blend"):
        edits = [scene.edits[0] for scene in views.scenes]
        looks = (await asyncio.to_thread(of_one_look, edits, result.images)).images
        painted = [
            await laid_over_from_own_size(scene.edits, scene.arrangement, [[image]], colour)
            for scene, (image, colour) in zip(views.scenes, looks, strict=True)
        ]
    edited = iter(painted)
    return tuple(next(edited)[0] if isinstance(view, Located) else view.ctx.request.base for view in views.all)


@dataclass(frozen=True, kw_only=True, eq=False)
class Looks:
    """Painted views.

    Attributes:
        images: what the model painted of each, at the size of what it saw, and the colour that it becomes if only that.
        surfaces: what each says of the look of the thing, as far as it does.
    """

    images: tuple[tuple[Image, Rgb | None], ...]
    surfaces: tuple[Surface, ...] = ()


def of_one_look(edits: Sequence[Located], images: Sequence[Image], known: Sequence[Surface] = ()) -> Looks:
    """Where colours are matched, all views get one, which those that are `known` already decide along with them."""
    seen = [at_own_size([edit], image) for edit, image in zip(edits, images, strict=True)]
    plan = edits[0].ctx.plan
    if not plan.color_match:
        return Looks(images=tuple((image, None) for image in seen))
    surfaces = [_surface(edit, image) for edit, image in zip(edits, seen, strict=True)]
    colours = common_colours([*known, *surfaces])[len(known) :]
    if plan.keep_light:
        looks = list(zip(seen, colours, strict=True))
    else:
        looks = [
            (image if had is None or wanted is None else recoloured(image, had.colour, wanted), None)
            for image, had, wanted in zip(seen, surfaces, colours, strict=True)
        ]
    return Looks(images=tuple(looks), surfaces=tuple(one for one in surfaces if one is not None))


def _surface(edit: Located, painted: Image) -> Surface | None:
    plan, mask = edit.ctx.plan, edit.mask
    photo, thing = mask.view(edit.ctx.request.base), mask.view(mask.thing)
    if plan.keep_light:
        asked = named_colour(plan.prompt)
        return material_surface(painted, photo, thing, drawn=plan.drawn, asked=asked, known=mask.known)
    return surface_of(painted, photo, thing)


def _make_request(scenes: Sequence[Scene]) -> DiffusionRequest:
    """That of the first view, with what the others have of their own."""
    first, *others = (make_request(scene.edits) for scene in scenes)
    views = (ViewRequest(image=one.image, mask=one.mask, controls=one.controls) for one in others)
    return replace(first, views=tuple(views))


def account_of_views(views: Views, journal: Journal) -> dict[str, Any]:
    """What the answer tells: of all of them once what they have in common, and `views`, what each has of its own."""
    scenes = iter(views.scenes)
    described = [describe_view(view, next(scenes) if isinstance(view, Located) else None) for view in views.all]
    common = painting_of(views.scenes[0], journal)
    return {
        **{name: common[name] for name in ("seed_used", "loras", "cache")},
        "seeds": [common["seed_used"]] * len(views.all),
        "routing": described[0]["routing"],
        "views": [{name: value for name, value in one.items() if name != "routing"} for one in described],
        "timings_ms": journal.timings_ms,
        "warnings": warnings_of_several(journal, [one["warnings"] for one in described], "views"),
    }
