"""mask -> **condition -> diffuse** -> blend: the mask repainted at model size."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

import numpy as np

from composition.controls import CONTROLS, ControlSource
from composition.diffusion import (
    IP_ADAPTER,
    ControlInput,
    DiffusionProgress,
    DiffusionRequest,
    DiffusionResult,
    ReferenceInput,
    RegionRequest,
)
from composition.errors import ModelError
from composition.images import Image, Mask
from composition.imaging import masks
from composition.journal import Journal
from composition.masking.arranging import Arrangement, Framing, arrange
from composition.masking.territories import owners
from composition.pipelines.context import EditContext
from composition.pipelines.locating import Located
from composition.pipelines.overlaying import laid_over
from composition.pipelines.parallel import all_of
from composition.pipelines.referring import References
from composition.request import ControlType


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """The edits of one request beside one another; `arrangement` has them in the same order."""

    edits: tuple[Located, ...]
    arrangement: Arrangement

    @property
    def canvases(self) -> tuple[tuple[Located, ...], ...]:
        """Of each crop the edits that are painted from it."""
        return tuple(tuple(self.edits[place] for place in canvas) for canvas in self.arrangement.canvases)


def scene_of(edits: Sequence[Located]) -> Scene:
    """Arrange a request's edits; each is given the mask that it has there."""
    ctx = edits[0].ctx
    framing = Framing(crop=ctx.plan.crop, native_size=ctx.native_size, context=ctx.plan.crop_context)
    arrangement = arrange([edit.mask for edit in edits], framing)
    placed = tuple(replace(edit, mask=mask) for edit, mask in zip(edits, arrangement.masks, strict=True))
    return Scene(edits=placed, arrangement=arrangement)


async def paint(scene: Scene, journal: Journal) -> tuple[Image, ...]:
    """The whole image (H, W, 3) with every edit's mask repainted; where none has weight it is the original bit for bit.

    One for each of the plan's seeds: all else is made once for all of them.

    Args:
        scene: the edits, and how they share crops.
        journal: of the request.
    """
    with journal.stage("condition"):
        requests = [await asyncio.to_thread(make_request, canvas) for canvas in scene.canvases]
    with journal.stage("diffuse"):
        results = await diffuse_all(scene.edits[0].ctx, journal, requests)
    for canvas, request, candidates in zip(scene.canvases, requests, results, strict=True):
        note_results(canvas, request, candidates, journal)
    with journal.stage("blend"):
        seeds = range(len(results[0]))
        painted = [[candidates[seed].image for candidates in results] for seed in seeds]
        return await laid_over(scene.edits, scene.arrangement, painted)


def note_results(
    edits: Sequence[Located], request: DiffusionRequest, results: Sequence[DiffusionResult], journal: Journal
) -> None:
    """Tell the journals of a request's edits, one of each region, and the whole's which models ran and their notes."""
    for result in results:
        for edit, region in zip(edits, request.regions, strict=True):
            edit.ctx.journal.used(*_of_region(result.models_used, region))
        for note in result.notes:
            journal.warn(note)
        missed = {name: outcome for name, outcome in journal.cache.items() if outcome == "miss"}
        journal.cache.update({**result.cache, **missed})


def _of_region(models_used: Sequence[str], region: DiffusionRequest) -> list[str]:
    """Of the models that worked on a canvas those that did for one region."""
    others = {control.role for name, control in CONTROLS.items() if name not in region.controls}
    others |= set() if region.references else {IP_ADAPTER}
    return [name for name in models_used if name not in others]


def make_request(canvas: Sequence[Located]) -> DiffusionRequest:
    """The edits that share a crop: the first one's request, with the others beside it."""
    ctx, fit, view = canvas[0].ctx, canvas[0].mask.fit, canvas[0].mask.view
    plan = ctx.plan
    image = fit.to_model(view(ctx.request.base))
    holes = [masks.align_to_latent_grid(fit.mask_to_model(view(edit.mask.repaint)), _cell_px(edit)) for edit in canvas]
    regions = [_region(edit, image, hole, area) for edit, hole, area in zip(canvas, holes, _areas(canvas), strict=True)]
    return DiffusionRequest(
        request_id=ctx.request_id,
        image=image,
        mask=masks.union(holes),
        num_inference_steps=plan.num_inference_steps,
        guidance_scale=plan.guidance_scale,
        guidance_rescale=plan.guidance_rescale,
        scheduler=plan.scheduler,
        model=plan.model or None,
        seed=plan.seeds[0],
        ip_adapter_start=plan.ip_adapter_window.start,
        ip_adapter_end=plan.ip_adapter_window.end,
        ip_adapter_mask=plan.ip_adapter_mask,
        loras=plan.loras,
        speed=plan.speed,
        quality=plan.quality,
        previews=ctx.previews,
        beside=tuple(regions[1:]),
        **vars(regions[0]),
    )


def _cell_px(edit: Located) -> int:
    return edit.ctx.models.latent_cell_px


def _areas(canvas: Sequence[Located]) -> list[Mask | None]:
    """Of each edit the cells of the canvas that are its own, at model size; None for one that has all of it."""
    if len(canvas) == 1:
        return [None]
    cell_px = _cell_px(canvas[0])
    things = [edit.mask.fit.mask_to_model(edit.mask.view(edit.mask.thing)) for edit in canvas]
    cells = [masks.align_to_latent_grid(thing, cell_px)[::cell_px, ::cell_px] for thing in things]
    owner = owners(cells).repeat(cell_px, axis=0).repeat(cell_px, axis=1)
    return [np.where(owner == place, np.uint8(255), np.uint8(0)) for place in range(len(canvas))]


def _region(edit: Located, image: Image, hole: Mask, area: Mask | None) -> RegionRequest:
    plan = edit.ctx.plan
    return RegionRequest(
        prompt=plan.prompt,
        negative_prompt=plan.negative_prompt,
        strength=plan.strength,
        references=tuple(_reference(edit, one) for one in edit.references),
        controls=_controls(edit, image, hole),
        area=area,
    )


def _reference(edit: Located, references: References) -> ReferenceInput:
    place, mask = references.place, edit.mask
    shown = None if place is None else mask.fit.mask_to_model(mask.view(place))
    return ReferenceInput(images=references.images, scale=references.scale, mask=shown)


def _controls(edit: Located, image: Image, hole: Mask) -> dict[ControlType, ControlInput]:
    """The image of every control that the plan has a scale for, at model size; so are `image` and `hole`."""
    ctx, mask, structure = edit.ctx, edit.mask, edit.structure
    depth = None if structure.depth is None else mask.fit.map_to_model(mask.view(structure.depth))
    gone = hole if ctx.plan.decision.removes else None
    source = ControlSource(image=image, poses=mask.poses_to_model(structure.poses), depth=depth, gone=gone)
    start, end = ctx.plan.control_window
    return {
        name: ControlInput(image=CONTROLS[name].draw(source), scale=scale, start=start, end=end)
        for name, scale in ctx.plan.controls.items()
    }


async def diffuse_all(
    ctx: EditContext, journal: Journal, requests: Sequence[DiffusionRequest]
) -> list[list[DiffusionResult]]:
    """Of each request the results for every seed.

    The first one that fails ends the others; so does a caller that leaves. Previews are of the first request and the
    first seed.
    """
    seeds = ctx.plan.seeds
    places = asyncio.Semaphore(ctx.candidates_at_once)
    steps = [[0] * len(requests) for _ in seeds]
    totals = [0] * len(requests)

    async def diffuse(canvas: int, candidate: int) -> DiffusionResult:
        def note(progress: DiffusionProgress) -> None:
            steps[candidate][canvas], totals[canvas] = progress.step, progress.total
            preview = progress.preview if canvas == candidate == 0 else None
            total = sum(own or max(totals) for own in totals)  # of one that waits for its place none is known yet
            journal.denoised([sum(own) for own in steps], total * len(seeds), preview)

        async with places:
            asked = replace(
                requests[canvas],
                request_id=_name(ctx.request_id, canvas, candidate),
                seed=seeds[candidate],
                previews=requests[canvas].previews and canvas == 0,
                deadline_s=None if ctx.deadline is None else ctx.deadline.left_for_runner_s(),
            )
            return await _diffuse(ctx, asked, note)

    # Candidate by candidate, so that the crops of one are there together and share forwards.
    work = [diffuse(canvas, candidate) for candidate in range(len(seeds)) for canvas in range(len(requests))]
    results = await all_of(work)
    return [results[canvas :: len(requests)] for canvas in range(len(requests))]


def _name(request_id: str, canvas: int, candidate: int) -> str:
    """Unique among the requests of one edit."""
    name = f"{request_id}.{candidate}" if candidate else request_id
    return f"{name}/{canvas}" if canvas else name


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
