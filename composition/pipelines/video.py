"""One edit of a clip: found on key frames, carried in between, painted a window of frames at a time.

detect -> mask -> condition -> **diffuse** -> blend -> steady, with one decision and one plan for all frames. The frames
of a window are views of one thing (docs/adr/0014): one request to the diffusion model. docs/adr/0016 has the whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from composition.decision import Pipeline
from composition.errors import EmptyMask, NoDetection
from composition.images import Image
from composition.imaging.flow import flow_between
from composition.imaging.keeping import Kept
from composition.imaging.noise_origin import NoiseOrigin
from composition.imaging.one_look import Rgb
from composition.imaging.steadying import steadied
from composition.journal import Journal
from composition.masking.protect import unprotected
from composition.masking.tracking import Framing, agreed, followed, found, framed
from composition.pipelines.account import describe_view, painting_of
from composition.pipelines.clip_state import ClipState, Shot
from composition.pipelines.clip_window import Step, begun, carried_on, request_of, whole
from composition.pipelines.context import EditContext
from composition.pipelines.locating import Located, Structure, with_references
from composition.pipelines.overlaying import kept, laid_over_as_kept
from composition.pipelines.painting import Scene, diffuse_all, note_results, scene_of
from composition.pipelines.views import of_one_look
from composition.ports.queue import ProgressListener
from composition.request import OnNoDetection
from composition.result import Progress


class _Prepares(Protocol):
    prepare: Callable[[EditContext], Awaitable[Located]]
    structure_of: Callable[[EditContext], Awaitable[Structure]]


@dataclass(frozen=True, kw_only=True)
class ClipSettings:
    """How many frames are painted together, and after how many the region is looked for anew."""

    window_frames: int
    key_frame_interval: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Painted:
    """Frames (H, W, 3) that are finished, in order, and what goes on from there."""

    images: tuple[Image, ...]
    state: ClipState


class ClipPainter:
    """Paints a clip's frames; belongs to one attempt at one clip."""

    def __init__(
        self,
        ctx: EditContext,
        pipelines: Mapping[Pipeline, _Prepares],
        settings: ClipSettings,
        *,
        frames: int,
        listener: ProgressListener,
        state: ClipState,
        notes: Sequence[str],
    ) -> None:
        """Args: `ctx` is the first frame's, with the plan of all; `frames` how many there are; `notes` warnings."""
        self._first, self._pipelines, self._settings = ctx, pipelines[ctx.plan.decision.pipeline], settings
        self._frames, self._listener = frames, listener
        self._account, self._shot, self._looks, self._material = state.account, state.shot, state.looks, state.material
        self._done = state.done
        self._notes = list(notes)
        self._journal = self._next_journal()

    @property
    def pipeline(self) -> Pipeline:
        """That the edit takes."""
        return self._first.plan.decision.pipeline

    async def paint(
        self, frames: AsyncIterator[Image], before: tuple[Image, Image] | None = None
    ) -> AsyncIterator[Painted]:
        """Paint the frames window by window; outside the mask each is as it was, bit for bit.

        Args:
            frames: those that are not done.
            before: the last one that is, as it was sent and as it has become; None: none is.

        Raises:
            NoDetection: a shot does not show the thing, and the request wants that to be an error; or no frame does.
        """
        last, result = before if before is not None else (None, None)
        window: list[Step] = []
        async for image in frames:
            step = await self._next_step(image, last, len(window))
            if window and (step.anew or len(window) == self._settings.window_frames):
                done = await self._paint_window(window, result)
                yield done
                result, window = done.images[-1], []
            window.append(step)
            self._shot, last = step.shot, image
        if window:
            yield await self._paint_window(window, result)
        if not self._account.edited:
            raise NoDetection("no frame can be edited: " + "; ".join(self._account.warnings))

    def account(self) -> dict[str, Any]:
        """What the answer tells, once all is painted."""
        told = self._account
        numbered = [_of_frames(text, numbers, self._frames) for text, numbers in told.warnings.items()]
        return {
            **told.first,
            "frames": self._frames,
            "frames_edited": told.edited,
            "shots": list(told.shots),
            "key_frames": list(told.key_frames),
            "timings_ms": dict(told.timings_ms),
            "warnings": [*self._notes, *told.first.get("warnings", ()), *numbered],
        }

    @property
    def models_used(self) -> tuple[str, ...]:
        """By all frames, in order of first use."""
        return self._account.models_used

    async def _next_step(self, image: Image, last: Image | None, ahead: int) -> Step:
        """Where the next frame is painted; `ahead` frames wait before it."""
        number, shot = self._done + ahead, self._shot
        flow = None if last is None else await asyncio.to_thread(flow_between, last, image)
        if flow is None or flow.cut:
            flow, shot = None, Shot()
            self._account = replace(self._account, shots=(*self._account.shots, number))
        track = None if flow is None or shot.track is None else await asyncio.to_thread(followed, shot.track, flow)
        ctx, structure = self._context(image, number), None
        interval = self._settings.key_frame_interval
        unseen = 0 if track is not None else shot.unseen + 1
        looks = flow is None or (unseen >= interval if track is None else track.doubtful or track.age >= interval)
        if looks:
            ctx = await self._looked_at(ctx)
            fresh = await self._found(ctx, begins=flow is None)
            self._account = replace(self._account, key_frames=(*self._account.key_frames, number))
            if fresh is not None:
                key = found(fresh.mask.region)
                if track is not None and not track.doubtful and track.region.protected is not None:
                    _take_back(ctx.journal, ctx.plan.decision.target.protected)
                track, structure = (key if track is None else agreed(track, key)), fresh.structure
            elif track is not None:
                track = None if track.doubtful else replace(track, age=0)
            unseen = 0
        if track is None:
            self._note(ctx, number)
            lost = replace(shot, track=None, noise=None, unseen=unseen)
            return Step(image=image, flow=flow, shot=lost, edit=None, anew=flow is None)
        mask = await asyncio.to_thread(framed, track, ctx.plan, ctx.native_size, shot.framing)
        framing = Framing(crop=mask.crop, fit=mask.fit)
        same = shot.framing is not None and _alike(framing, shot.framing)
        if flow is not None and same and shot.noise is not None:
            noise = await asyncio.to_thread(shot.noise.moved, flow)
        else:
            noise = NoiseOrigin.here((image.shape[0], image.shape[1]), mask.crop)
        if structure is None:
            structure = await self._pipelines.structure_of(await self._looked_at(ctx))
        edit = await with_references(Located.at(ctx, mask, structure))
        self._note(ctx, number)
        known = Shot(track=track, framing=framing, noise=noise)
        follows = flow is not None and shot.noise is not None
        return Step(image=image, flow=flow, shot=known, edit=edit, anew=flow is None or not same, follows=follows)

    def _context(self, image: Image, number: int) -> EditContext:
        first = self._first
        return replace(
            first,
            request_id=f"{first.request_id}/{number}",
            # The first one is known: what was asked about it is not asked again.
            request=first.request if number == 0 else replace(first.request, base=image),
            journal=self._journal.of_one(),
        )

    async def _looked_at(self, ctx: EditContext) -> EditContext:
        """With what the analyzer sees in this frame, where it was asked about the first."""
        if not ctx.signals.looked or ctx.request.base is self._first.request.base:
            return ctx
        with ctx.journal.timed("analyze"):
            objects = await ctx.models.analyzer.detect_objects(ctx.request.base)
        ctx.journal.used("yolox")
        return replace(ctx, signals=replace(ctx.signals, objects=objects))

    async def _found(self, ctx: EditContext, *, begins: bool) -> Located | None:
        try:
            return await self._pipelines.prepare(ctx)
        except (NoDetection, EmptyMask) as error:
            if begins and ctx.request.options.on_no_detection is OnNoDetection.ERROR:
                raise
            ctx.journal.warn(error.message)
            return None

    async def _paint_window(self, window: Sequence[Step], result: Image | None) -> Painted:
        """Every frame of a window; `result` is what the frame before has become."""
        journal = self._journal
        if window[0].flow is None:
            self._looks, self._material, result = (), None, None
        starts = await asyncio.to_thread(begun, window, result)
        images = await self._diffused(window, starts, journal)
        finished: list[Image] = []
        for step, image in zip(window, images, strict=True):
            before = finished[-1] if finished else result
            if step.edit is not None and step.flow is not None and step.follows and before is not None:
                image = await asyncio.to_thread(steadied, image, before, step.flow, step.edit.mask.weights)
            finished.append(image)
        self._close(window, journal)
        return Painted(images=tuple(finished), state=self._state(window[-1]))

    async def _diffused(
        self, window: Sequence[Step], starts: Sequence[Image | None], journal: Journal
    ) -> Sequence[Image]:
        shown = [
            (step.edit, start, step.shot) for step, start in zip(window, starts, strict=True) if step.edit is not None
        ]
        if not shown:
            self._material = None
            return [step.image for step in window]
        with journal.stage("condition"):
            scenes = [scene_of([edit]) for edit, _, _ in shown]
            request = await asyncio.to_thread(
                request_of, scenes, [start for _, start, _ in shown], [s for *_, s in shown]
            )
        with journal.stage("diffuse"):
            [[result]] = await diffuse_all(scenes[0].edits[0].ctx, journal, [request])
        edits = [scene.edits[0] for scene in scenes]
        note_results(edits, request, [result], journal)
        with journal.stage("blend"):
            looks = await asyncio.to_thread(of_one_look, edits, result.images, self._looks)
            self._looks = self._looks or looks.surfaces
            each = iter(zip(scenes, looks.images, strict=True))
            painted = [await self._blended(step, each) for step in window]
        if not self._account.first:
            self._account = replace(self._account, first=_described(scenes[0], journal))
        return painted

    async def _blended(self, step: Step, painted: Iterator[tuple[Scene, tuple[Image, Rgb | None]]]) -> Image:
        """A frame with what was painted of it; what has changed of the frame before says what does here.

        If that became as it was painted, this one does too, though by itself it might show a material that changes.
        """
        if step.edit is None:
            self._material = None
            return step.image
        scene, (image, colour) = next(painted)
        edit = scene.edits[0]
        told = Kept(image=image)
        if self._material is not None or not step.follows:
            told = await asyncio.to_thread(kept, edit, image, colour, carried_on(self._material, step))
        self._material = None if told.material is None else whole(told.material, edit.mask, step.image)
        return await laid_over_as_kept(edit, scene.arrangement, told.image)

    def _close(self, window: Sequence[Step], journal: Journal) -> None:
        """Take a window into the account; the next one has a journal of its own."""
        told, self._done = self._account, self._done + len(window)
        timings = dict(told.timings_ms)
        for stage, spent_ms in journal.timings_ms.items():
            timings[stage] = round(timings.get(stage, 0.0) + spent_ms, 1)
        self._account = replace(
            told,
            edited=told.edited + sum(step.edit is not None for step in window),
            models_used=tuple(dict.fromkeys((*told.models_used, *journal.models_used))),
            timings_ms=timings,
        )
        first = self._done - len(window)
        for number, step in enumerate(window, start=first):
            if step.edit is not None:
                self._note(step.edit.ctx, number)
        for text in journal.warnings:
            self._warn(text, first)
        self._journal = self._next_journal()

    def _state(self, last: Step) -> ClipState:
        return ClipState(
            done=self._done, shot=last.shot, looks=self._looks, material=self._material, account=self._account
        )

    def _note(self, ctx: EditContext, number: int) -> None:
        for text in ctx.journal.warnings:
            self._warn(text, number)

    def _warn(self, text: str, number: int) -> None:
        warnings = dict(self._account.warnings)
        if number not in warnings.get(text, ()):
            warnings[text] = (*warnings.get(text, ()), number)
            self._account = replace(self._account, warnings=warnings)

    def _next_journal(self) -> Journal:
        """Of the next window; what it tells of progress is a part of the whole clip's."""
        done, frames = self._done, self._frames

        def tell(progress: Progress) -> None:
            here = min(self._settings.window_frames, frames - done)
            fraction = (done + here * progress.fraction) / frames
            self._listener(
                replace(progress, fraction=min(fraction, 1.0), step=done, total_steps=frames, candidate_steps=())
            )

        return Journal(listener=tell, observer=self._first.journal.observer)


def _take_back(journal: Journal, phrases: Sequence[str]) -> None:
    """That something is not protected, as it was seen before and still is."""
    said = {unprotected(phrase) for phrase in phrases}
    journal.warnings[:] = [text for text in journal.warnings if text not in said]


def _alike(one: Framing, other: Framing) -> bool:
    """Whether two frames are shown to the model in one size, as parts of one size."""
    sizes = [
        None if each.crop is None else (each.crop.x1 - each.crop.x0, each.crop.y1 - each.crop.y0)
        for each in (one, other)
    ]
    return sizes[0] == sizes[1] and one.fit == other.fit


def _described(scene: Scene, journal: Journal) -> dict[str, Any]:
    edit = scene.edits[0]
    view, common = describe_view(edit, scene), painting_of(scene, journal)
    view["warnings"] = [text for text in view["warnings"] if text not in edit.ctx.journal.warnings]
    return {**{name: common[name] for name in ("seed_used", "seeds", "loras", "cache")}, **view}


def _of_frames(text: str, numbers: Sequence[int], frames: int) -> str:
    """What holds for some of the frames, with the first of them."""
    if len(numbers) >= frames:
        return text
    more = f" and {len(numbers) - 1} more" if len(numbers) > 1 else ""
    return f"frame {numbers[0]}{more}: {text}"
