"""The use case: one edit from decoded request to edited image, through the router and the pipeline it chose."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from composition.caching.single_flight import recorded_outcomes
from composition.config import Config
from composition.deadline import Deadline
from composition.decision import EditPlan, Pipeline, Signals
from composition.diffusion import rows_of
from composition.errors import EmptyMask, InvalidInput, NoDetection, UnprocessableImage
from composition.journal import Journal
from composition.pipelines import complex as complex_pipeline
from composition.pipelines import simple as simple_pipeline
from composition.pipelines.account import metadata_of, painting_of
from composition.pipelines.asking import asked_once
from composition.pipelines.clip_state import ClipAccount, ClipState
from composition.pipelines.compound import Asked, asked_in_one_prompt
from composition.pipelines.context import EditContext, Models
from composition.pipelines.locating import Located, Undone, with_references
from composition.pipelines.of_one_kind import of_one_kind
from composition.pipelines.painting import Scene, paint, scene_of
from composition.pipelines.parallel import all_of
from composition.pipelines.planning import alike, make_plan
from composition.pipelines.video import ClipPainter, ClipSettings
from composition.pipelines.views import account_of_views, find_in_each, paint_views
from composition.ports.observation import NO_EDIT_OBSERVER, EditObserver
from composition.ports.prompt_reader import PromptReader
from composition.ports.queue import ProgressListener
from composition.reading import Reading
from composition.request import EditRequest, OnNoDetection, Speed
from composition.result import Analysis, EditResult
from composition.routing import Router

T = TypeVar("T")

PIPELINES = {Pipeline.SIMPLE: simple_pipeline, Pipeline.COMPLEX: complex_pipeline}


class Editor:
    """Runs edits; safe to use from many tasks of one event loop at once, since all state is the edit's own."""

    def __init__(
        self,
        *,
        config: Config,
        models: Models,
        native_size: int,
        reader: PromptReader,
        observer: EditObserver = NO_EDIT_OBSERVER,
    ) -> None:
        self._config = config
        self._models = models
        self._native_size = native_size
        self._router = Router(config.routing, reader)
        self._observer = observer

    async def edit(
        self, request: EditRequest, *, request_id: str, listener: ProgressListener, deadline: Deadline | None = None
    ) -> EditResult:
        """Edit an image, or every view of a thing; the result has then an image for each.

        Args:
            request: what is asked for, with decoded images.
            request_id: names the edit towards the diffusion runner; unique per attempt.
            listener: called with every `Progress`, on the event loop.
            deadline: of the whole edit; the diffusion model is told what is left of it.
        """
        if request.views:
            return await self._edit_views(request, request_id=request_id, listener=listener, deadline=deadline)
        start = time.perf_counter()
        journal = self._journal(request, listener)
        with recorded_outcomes() as outcomes:
            contexts = await self._prepare(request, journal, request_id=request_id, deadline=deadline)
            edits = await all_of([_prepared(ctx, several=len(contexts) > 1) for ctx in contexts])
            scene = await asyncio.to_thread(_scene, edits)
            images = await paint(scene, journal)
        journal.cache.update(outcomes)
        elapsed_ms = round((time.perf_counter() - start) * 1000)
        return EditResult(
            images=images,
            mask=scene.arrangement.weights,
            pipeline=_pipeline(scene),
            models_used=tuple(journal.models_used),
            processing_time_ms=elapsed_ms,
            metadata={**painting_of(scene, journal), **metadata_of(edits, scene, journal)},
        )

    async def _edit_views(
        self, request: EditRequest, *, request_id: str, listener: ProgressListener, deadline: Deadline | None
    ) -> EditResult:
        start = time.perf_counter()
        journal = Journal(listener=listener, observer=self._observer)
        with recorded_outcomes() as outcomes:
            contexts = await self._prepare_views(request, journal, request_id=request_id, deadline=deadline)
            views = await find_in_each(contexts, PIPELINES)
            images = await paint_views(views, journal)
        journal.cache.update(outcomes)
        return EditResult(
            images=images,
            mask=views.mask,
            pipeline=contexts[0].plan.decision.pipeline,
            models_used=tuple(journal.models_used),
            processing_time_ms=round((time.perf_counter() - start) * 1000),
            metadata=account_of_views(views, journal),
        )

    async def open_clip(
        self,
        request: EditRequest,
        *,
        request_id: str,
        frames: int,
        listener: ProgressListener,
        deadline: Deadline | None = None,
        state: ClipState | None = None,
    ) -> ClipPainter:
        """Read, route and plan the edit of a clip; what it gives paints the frames.

        Args:
            request: what is asked for; its base is the clip's first frame.
            request_id: as of an edit.
            frames: how many there are in all.
            listener: called with every `Progress`, whose step is a frame.
            deadline: of the whole clip.
            state: where an attempt before was interrupted.
        """
        journal = Journal(listener=lambda _: None, observer=self._observer, warnings=list(request.notes))
        (ctx,) = await self._prepare_views(request, journal, request_id=request_id, deadline=deadline, what="a video")
        ctx = replace(ctx, models=of_one_kind(self._models, request.base))
        video, guidance_scale = self._config.video, ctx.plan.guidance_scale
        together = self._config.generation.rows // rows_of(1, guidance_scale)
        settings = ClipSettings(
            window_frames=max(1, min(video.window_frames, together)), key_frame_interval=video.key_frame_interval
        )
        return ClipPainter(
            ctx,
            PIPELINES,
            settings,
            frames=frames,
            listener=listener,
            state=state or ClipState(account=ClipAccount(models_used=tuple(journal.models_used))),
            notes=journal.warnings,
        )

    async def analyze(self, request: EditRequest, *, request_id: str) -> Analysis:
        """A dry run: decision, target, boxes and the mask that an edit would blend with, without diffusion.

        Depth is estimated only where something may stand in front of the thing.
        """
        journal = self._journal(request, lambda _: None)
        contexts = await self._prepare(request, journal, request_id=request_id, deadline=None)
        edits = await all_of([_located(ctx, several=len(contexts) > 1) for ctx in contexts])
        scene = await asyncio.to_thread(_scene, edits)
        return Analysis(
            pipeline=_pipeline(scene),
            mask=scene.arrangement.weights,
            models_used=tuple(journal.models_used),
            metadata=metadata_of(edits, scene, journal),
        )

    def _journal(self, request: EditRequest, listener: ProgressListener) -> Journal:
        return Journal(listener=listener, observer=self._observer, warnings=list(request.notes))

    async def _prepare(
        self, request: EditRequest, journal: Journal, *, request_id: str, deadline: Deadline | None
    ) -> list[EditContext]:
        """route: read, decide and resolve the plan of every edit; they share photograph, models, seeds and LoRAs."""
        for single in request.each:
            _check_region(single)
        with journal.stage("route"):
            asked = [edit for single in request.each for edit in self._read(single)]
            asked = self._no_more_than_allowed(asked, journal)
            several = len(asked) > 1
            models = asked_once(self._models) if several else self._models
            journals = [journal.of_one() if several else journal for _ in asked]
            for one, own in zip(asked, journals, strict=True):
                own.warnings.extend(one.notes)
            decided = await all_of([self._decide(one, models, own) for one, own in zip(asked, journals, strict=True)])
        plans = alike([plan for _, plan in decided])
        return [
            self._context(one.request, plan, signals, models, own, request_id=request_id, deadline=deadline)
            for one, own, plan, (signals, _) in zip(asked, journals, plans, decided, strict=True)
        ]

    async def _prepare_views(
        self,
        request: EditRequest,
        journal: Journal,
        *,
        request_id: str,
        deadline: Deadline | None,
        what: str = "views",
    ) -> list[EditContext]:
        """route: one reading, one decision and one plan, from what is seen in any of the photographs."""
        views, models = request.each_view, asked_once(self._models)
        journals = [journal.of_one() for _ in views]
        for view, own in zip(views, journals, strict=True):
            own.warnings.extend(view.notes)
        with journal.stage("route"):
            asked = self._read(views[0])
            if len(asked) > 1:
                raise InvalidInput(
                    f"prompt: asks for several edits, which {what} cannot have together: send them one after the other",
                    details={"field": "prompt"},
                )
            (one,) = asked
            journal.warnings.extend(one.notes)
            signals = await self._signals(one.request, one.reading, models, journals[0])
            seen = [signals.objects]
            if signals.looked:
                seen += await all_of([models.analyzer.detect_objects(view.base) for view in views[1:]])
            whole = replace(signals, objects=tuple(item for objects in seen for item in objects))
            plan = replace(self._plan(one, whole), on_no_detection=OnNoDetection.ERROR)
        each = [replace(signals, objects=objects) for objects in seen] if signals.looked else [signals] * len(views)
        return [
            self._context(view, plan, own, models, journals[place], request_id=request_id, deadline=deadline)
            for place, (view, own) in enumerate(zip(views, each, strict=True))
        ]

    def _context(
        self,
        request: EditRequest,
        plan: EditPlan,
        signals: Signals,
        models: Models,
        journal: Journal,
        *,
        request_id: str,
        deadline: Deadline | None,
    ) -> EditContext:
        return EditContext(
            request_id=request_id,
            request=request,
            plan=plan,
            signals=signals,
            models=models,
            journal=journal,
            native_size=self._native_size,
            candidates_at_once=self._config.limits.max_concurrent_requests,
            previews=self._config.generation.previews,
            deadline=deadline,
        )

    def _read(self, request: EditRequest) -> list[Asked]:
        """The edits that a prompt asks for: several where it names several and nothing else says where to repaint."""
        reading = self._router.read(request.prompt, request.options)
        elsewhere = request.mask is not None or request.options.mark is not None or request.options.target is not None
        if elsewhere or not reading.others:
            return [Asked(request=request, reading=reading)]
        return asked_in_one_prompt(request, reading)

    def _no_more_than_allowed(self, asked: list[Asked], journal: Journal) -> list[Asked]:
        most = self._config.generation.max_edits
        for one in asked[most:]:
            journal.warn(f"more than {most} edits (generation.max_edits): not done: {one.request.prompt}")
        return asked[:most]

    async def _decide(self, asked: Asked, models: Models, journal: Journal) -> tuple[Signals, EditPlan]:
        """Gather the signals that can still matter, decide, and resolve the plan."""
        signals = await self._signals(asked.request, asked.reading, models, journal)
        return signals, self._plan(asked, signals)

    def _plan(self, asked: Asked, signals: Signals) -> EditPlan:
        request = asked.request
        decision = self._router.decide(
            asked.reading, options=request.options, signals=signals, has_reference=bool(request.references)
        )
        self._observer.decided(decision)
        plan = make_plan(request, decision, self._config)
        self._refuse_absent_controls(request, plan)
        self._refuse_absent_speed(plan)
        self._refuse_unknown_checkpoint(plan)
        self._refuse_points_in_vain(request, plan)
        return plan

    def _refuse_absent_controls(self, request: EditRequest, plan: EditPlan) -> None:
        """Raises: InvalidInput: a control type that was asked for or that the edit takes has no ControlNet."""
        absent = self._models.absent_controls
        for name in (*request.options.control_types, *plan.controls):
            if name in absent:
                raise InvalidInput(f"control type {name} is not available: {absent[name]}")

    def _refuse_absent_speed(self, plan: EditPlan) -> None:
        """Raises: InvalidInput: the weights of a speed of few steps are not there."""
        absent = self._models.absent_speeds
        if plan.speed in absent:
            available = [speed.value for speed in Speed if speed not in absent]
            raise InvalidInput(
                f"speed {plan.speed} is not available: {absent[plan.speed]}; available: {', '.join(available)}",
                details={"field": "config.speed", "available": available},
            )

    def _refuse_unknown_checkpoint(self, plan: EditPlan) -> None:
        """Raises: InvalidInput: the service has no checkpoint of that name."""
        known = sorted(self._models.checkpoints)
        if plan.model and plan.model not in known:
            raise InvalidInput(
                f"model {plan.model} is not available; available: {', '.join(known) or 'none'}",
                details={"field": "config.model", "available": known},
            )

    def _refuse_points_in_vain(self, request: EditRequest, plan: EditPlan) -> None:
        """Raises: InvalidInput: the region would be made from points, of which the segmenter can make nothing."""
        reason = self._models.no_points
        used = request.options.points and plan.refine_mask and request.mask is None
        if used and reason is not None:
            raise InvalidInput(f"config.points: {reason}; send config.box instead", details={"field": "config.points"})

    async def _signals(self, request: EditRequest, reading: Reading, models: Models, journal: Journal) -> Signals:
        """One call per model, side by side, and none that cannot change the outcome."""
        analyzer, needed = models.analyzer, self._router.needs(reading, request.options)
        calls: dict[str, Any] = {}
        if needed.objects:
            calls["objects"] = analyzer.detect_objects(request.base)
            journal.used("yolox")
        if needed.reference and request.references:
            calls["references"] = _all(analyzer.classify_reference(one.image) for one in request.references)
        if needed.prompt:
            calls["prompt_structural"] = analyzer.classify_prompt(reading.asked or request.prompt)
        if calls.keys() - {"objects"}:
            journal.used("clip")
        with journal.timed("analyze"):
            answers = await asyncio.gather(*calls.values())
        return Signals(**dict(zip(calls, answers, strict=True)), looked=needed.objects)


async def _all(calls: Iterable[Awaitable[T]]) -> tuple[T, ...]:
    return tuple(await asyncio.gather(*calls))


def _check_region(request: EditRequest) -> None:
    """Raises: UnprocessableImage, InvalidInput: what says where to repaint is of another image."""
    if request.mask is not None and request.mask.shape != request.base.shape[:2]:
        raise UnprocessableImage("mask_image must have the size of base_image")
    for number, one in enumerate(request.references):
        if one.part_mask is not None and one.part_mask.shape != request.base.shape[:2]:
            raise UnprocessableImage(f"reference_images.{number}.for.mask_image must have the size of base_image")
    mark = request.options.mark
    if mark is not None:
        mark.check_inside((request.base.shape[1], request.base.shape[0]))


async def _prepared(ctx: EditContext, *, several: bool) -> Located | Undone:
    async def prepared() -> Located:
        return await with_references(await PIPELINES[ctx.plan.decision.pipeline].prepare(ctx))

    return await _or_undone(ctx, prepared(), several=several)


async def _located(ctx: EditContext, *, several: bool) -> Located | Undone:
    async def located() -> Located:
        mask = await PIPELINES[ctx.plan.decision.pipeline].locate(ctx)
        return await with_references(Located.at(ctx, mask))

    return await _or_undone(ctx, located(), several=several)


async def _or_undone(ctx: EditContext, work: Awaitable[Located], *, several: bool) -> Located | Undone:
    """One of several edits that has no region is left out, unless the request wants that to be an error."""
    try:
        return await work
    except (NoDetection, EmptyMask) as error:
        if not several or ctx.request.options.on_no_detection is OnNoDetection.ERROR:
            raise
        ctx.journal.warn(f"not done: {error.message}")
        return Undone(ctx=ctx)


def _scene(edits: Sequence[Located | Undone]) -> Scene:
    """Those of a request's edits that can be done beside one another. Raises: NoDetection: none can."""
    found = [edit for edit in edits if isinstance(edit, Located)]
    if not found:
        missing = [warning for edit in edits for warning in edit.ctx.journal.warnings]
        raise NoDetection("none of the edits can be done: " + "; ".join(missing))
    scene = scene_of(found)
    for place, covered in enumerate(scene.arrangement.covered):
        if place not in scene.arrangement.order:
            over = ", ".join(str(edits.index(found[other])) for other in covered)
            found[place].ctx.journal.warn(f"not done: all of its region is that of edits {over}, which lie over it")
    return scene


def _pipeline(scene: Scene) -> Pipeline:
    """That of the edits that needs most."""
    pipelines = {edit.ctx.plan.decision.pipeline for edit in scene.edits}
    return Pipeline.COMPLEX if Pipeline.COMPLEX in pipelines else Pipeline.SIMPLE
