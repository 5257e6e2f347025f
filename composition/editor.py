"""The use case: one edit from decoded request to edited image, through the router and the pipeline it chose."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Iterable
from typing import Any, TypeVar

from composition.caching.single_flight import recorded_outcomes
from composition.config import Config
from composition.deadline import Deadline
from composition.decision import EditPlan, Pipeline, Signals
from composition.errors import InvalidInput, UnprocessableImage
from composition.imaging import masks
from composition.journal import Journal
from composition.pipelines import complex as complex_pipeline
from composition.pipelines import simple as simple_pipeline
from composition.pipelines.account import describe_detection, describe_routing, metadata_of, warnings_of
from composition.pipelines.context import EditContext, Models
from composition.pipelines.planning import make_plan
from composition.ports.observation import NO_EDIT_OBSERVER, EditObserver
from composition.ports.prompt_reader import PromptReader
from composition.ports.queue import ProgressListener
from composition.reading import Reading
from composition.request import EditRequest
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
        """Edit an image.

        Args:
            request: what is asked for, with decoded images.
            request_id: names the edit towards the diffusion runner; unique per attempt.
            listener: called with every `Progress`, on the event loop.
            deadline: of the whole edit; the diffusion model is told what is left of it.
        """
        start = time.perf_counter()
        with recorded_outcomes() as outcomes:
            ctx = await self._prepare(request, request_id=request_id, listener=listener, deadline=deadline)
            mask, images = await PIPELINES[ctx.plan.decision.pipeline].run(ctx)
        ctx.journal.cache.update(outcomes)
        elapsed_ms = round((time.perf_counter() - start) * 1000)
        return EditResult(
            images=images,
            mask=mask.alpha,
            pipeline=ctx.plan.decision.pipeline,
            models_used=tuple(ctx.journal.models_used),
            processing_time_ms=elapsed_ms,
            metadata=metadata_of(ctx, mask),
        )

    async def analyze(self, request: EditRequest, *, request_id: str) -> Analysis:
        """A dry run: decision, target, boxes and the mask that an edit would blend with; without depth, diffusion."""
        ctx = await self._prepare(request, request_id=request_id, listener=lambda _: None, deadline=None)
        mask = await PIPELINES[ctx.plan.decision.pipeline].locate(ctx)
        return Analysis(
            decision=ctx.plan.decision,
            detections=mask.detections,
            mask=mask.alpha,
            models_used=tuple(ctx.journal.models_used),
            metadata={
                "routing": describe_routing(ctx),
                "detections": [describe_detection(item) for item in mask.detections],
                "mask_area": masks.area_fraction(mask.alpha),
                "timings_ms": ctx.journal.timings_ms,
                "warnings": warnings_of(ctx, mask),
            },
        )

    async def _prepare(
        self, request: EditRequest, *, request_id: str, listener: ProgressListener, deadline: Deadline | None
    ) -> EditContext:
        """route: gather the signals that can still matter, decide, and resolve the plan."""
        if request.mask is not None and request.mask.shape != request.base.shape[:2]:
            raise UnprocessableImage("mask_image must have the size of base_image")
        mark = request.options.mark
        if mark is not None:
            mark.check_inside((request.base.shape[1], request.base.shape[0]))
        journal = Journal(listener=listener, observer=self._observer, warnings=list(request.notes))
        with journal.stage("route"):
            reading = self._router.read(request.prompt, request.options)
            signals = await self._signals(request, reading, journal)
            decision = self._router.decide(
                reading, options=request.options, signals=signals, has_reference=bool(request.references)
            )
            self._observer.decided(decision)
            plan = make_plan(request, decision, self._config)
            self._refuse_absent_controls(request, plan)
            self._refuse_unknown_checkpoint(plan)
            self._refuse_points_in_vain(request, plan)
        return EditContext(
            request_id=request_id,
            request=request,
            plan=plan,
            signals=signals,
            models=self._models,
            journal=journal,
            native_size=self._native_size,
            candidates_at_once=self._config.limits.max_concurrent_requests,
            previews=self._config.generation.previews,
            deadline=deadline,
        )

    def _refuse_absent_controls(self, request: EditRequest, plan: EditPlan) -> None:
        """Raises: InvalidInput: a control type that was asked for or that the edit takes has no ControlNet."""
        absent = self._models.absent_controls
        for name in (*request.options.control_types, *plan.controls):
            if name in absent:
                raise InvalidInput(f"control type {name} is not available: {absent[name]}")

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

    async def _signals(self, request: EditRequest, reading: Reading, journal: Journal) -> Signals:
        """One call per model, side by side, and none that cannot change the outcome."""
        analyzer, needed = self._models.analyzer, self._router.needs(reading, request.options)
        calls: dict[str, Any] = {}
        if needed.objects:
            calls["objects"] = analyzer.detect_objects(request.base)
            journal.used("yolox")
        if needed.reference and request.references:
            calls["references"] = _all(analyzer.classify_reference(image) for image in request.references)
        if needed.prompt:
            calls["prompt_structural"] = analyzer.classify_prompt(reading.asked or request.prompt)
        if calls.keys() - {"objects"}:
            journal.used("clip")
        with journal.timed("analyze"):
            answers = await asyncio.gather(*calls.values())
        return Signals(**dict(zip(calls, answers, strict=True)))


async def _all(calls: Iterable[Awaitable[T]]) -> tuple[T, ...]:
    return tuple(await asyncio.gather(*calls))
