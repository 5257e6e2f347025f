"""Runs the job of a clip: its blob becomes frames, every finished frame a blob, and in the end all of them a file.

An attempt that finds frames of one before goes on after them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from composition.deadline import Deadline
from composition.editor import Editor
from composition.errors import NotFound
from composition.images import Image
from composition.jobs import Job, JobResult
from composition.pipelines.clip_state import ClipState, dump_state, load_state
from composition.ports.codec import ImageCodec
from composition.ports.queue import BlobStore, ProgressListener
from composition.ports.video import Frame, VideoCodec
from composition.request import EditRequest, OutputFormat, VideoOutput
from composition.result import Checkpoint, Progress

_LOSSLESS: Final = frozenset({VideoOutput.GIF, VideoOutput.PNG_SEQUENCE})
"""Files that `config.output_quality` says nothing about."""
ENCODING_STARTS: Final = 0.97


@dataclass(kw_only=True)
class _Source:
    """A clip's frames as they were sent, one after the other, and the times of those that have come."""

    frames: Iterator[Frame]
    times: list[tuple[int, int]] = field(default_factory=list)

    async def next(self) -> Image | None:
        """None at the end. Raises: UnprocessableImage: it cannot be decoded."""
        frame = await asyncio.to_thread(next, self.frames, None)
        if frame is None:
            return None
        self.times.append((frame.start_us, frame.duration_us))
        return frame.image

    async def rest(self) -> AsyncIterator[Image]:
        while (image := await self.next()) is not None:
            yield image


class ClipRunner:
    """Runs jobs of clips over the editor."""

    def __init__(self, *, editor: Editor, blobs: BlobStore, codec: ImageCodec, videos: VideoCodec) -> None:
        self._editor, self._blobs, self._codec, self._videos = editor, blobs, codec, videos

    async def run(self, job: Job, request: EditRequest, listener: ProgressListener, deadline: Deadline) -> JobResult:
        """The edited clip. Raises: CompositionError."""
        video = job.payload.video
        assert video is not None
        began = time.perf_counter()
        data = await self._blobs.get(job.payload.base_key)
        source = _Source(frames=self._videos.frames(data))
        done, state, before = await self._resumed(job, source)
        if state is None:
            source = _Source(frames=self._videos.frames(data))

        def tell(progress: Progress) -> None:
            shown = min(progress.fraction * ENCODING_STARTS, ENCODING_STARTS)
            listener(replace(progress, fraction=shown, checkpoint=done if done.frame_keys else None))

        painter = await self._editor.open_clip(
            replace(request, options=replace(request.options, output_quality=None)),  # it is of the file, not of images
            request_id=f"{job.id}-{job.attempt}",
            frames=video.frames,
            listener=tell,
            deadline=deadline,
            state=state,
        )
        async for window in painter.paint(source.rest(), before):
            frame_keys = [await self._blobs.put(await self._png(image)) for image in window.images]
            state_key = await self._blobs.put(await asyncio.to_thread(dump_state, window.state))
            done = Checkpoint(frame_keys=(*done.frame_keys, *frame_keys), state_keys=(*done.state_keys, state_key))
            finished = len(done.frame_keys)
            tell(Progress(stage="blend", fraction=finished / video.frames, step=finished, total_steps=video.frames))
        listener(Progress(stage="encode", fraction=ENCODING_STARTS, checkpoint=done))
        file, media_type, lost = await self._encoded(job, data, source.times, done.frame_keys)
        account = painter.account()
        account["warnings"] = [*account["warnings"], *lost, *_without_effect(job, video.output)]
        account["duration_ms"] = round(sum(duration for _, duration in source.times) / 1000)
        account["output"] = video.output.value
        return JobResult(
            image_key=await self._blobs.put(await self._blobs.get(done.frame_keys[0])),
            image_media_type="image/png",
            mask_key=None,
            account={
                "pipeline_used": painter.pipeline.value,
                "models_used": list(painter.models_used),
                "processing_time_ms": round((time.perf_counter() - began) * 1000),
                "metadata": account,
            },
            video_key=await self._blobs.put(file),
            video_media_type=media_type,
        )

    async def _resumed(
        self, job: Job, source: _Source
    ) -> tuple[Checkpoint, ClipState | None, tuple[Image, Image] | None]:
        """What is done, where to go on, and the last frame that is done, as it was sent and as it has become.

        Where anything of that is lost, or another version of the service wrote it, all begins anew.
        """
        nothing = Checkpoint(frame_keys=(), state_keys=())
        if job.checkpoint is None:
            return nothing, None, None
        try:
            state = load_state(await self._blobs.get(job.checkpoint.state_keys[-1]))
            result = await asyncio.to_thread(
                self._codec.decode, await self._blobs.get(job.checkpoint.frame_keys[state.done - 1])
            )
        except (NotFound, IndexError, KeyError, TypeError, ValueError):
            return nothing, None, None
        last = None
        for _ in range(state.done):
            last = await source.next()
        if last is None:
            return nothing, None, None
        return replace(job.checkpoint, frame_keys=job.checkpoint.frame_keys[: state.done]), state, (last, result)

    async def _png(self, image: Image) -> bytes:
        data, _ = await asyncio.to_thread(self._codec.encode, image, OutputFormat.PNG)
        return data

    async def _encoded(
        self, job: Job, data: bytes, times: list[tuple[int, int]], keys: tuple[str, ...]
    ) -> tuple[bytes, str, tuple[str, ...]]:
        """The file, made in a thread that asks for one frame after the other."""
        loop = asyncio.get_running_loop()

        def frames() -> Iterator[Frame]:
            for key, (start_us, duration_us) in zip(keys, times, strict=True):
                png = asyncio.run_coroutine_threadsafe(self._blobs.get(key), loop).result()
                yield Frame(image=self._codec.decode(png), start_us=start_us, duration_us=duration_us)

        payload = job.payload
        assert payload.video is not None
        return await asyncio.to_thread(
            self._videos.encode, frames(), payload.video.output, source=data, quality=payload.options.output_quality
        )


def _without_effect(job: Job, output: VideoOutput) -> list[str]:
    if job.payload.options.output_quality is None or output not in _LOSSLESS:
        return []
    return [f"output_quality has no effect: {output.value} has none"]
