"""Runs one job: its blobs become a request, the editor's result becomes blobs and a JSON account.

The same handler serves the embedded queue and the distributed workers, so sync and async edits share one path.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from composition.deadline import Deadline
from composition.editor import Editor
from composition.errors import NotFound
from composition.images import Image
from composition.jobs import Job, JobKind, JobResult
from composition.ports.codec import ImageCodec
from composition.ports.queue import BlobStore, ProgressListener
from composition.request import EditRequest


class EditJobHandler:
    """A `JobHandler` over the editor. Its caller stops it when the job's time limit has passed.

    `clock`: seconds, monotonic.
    """

    def __init__(
        self,
        *,
        editor: Editor,
        blobs: BlobStore,
        codec: ImageCodec,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._editor = editor
        self._blobs = blobs
        self._codec = codec
        self._clock = clock

    async def __call__(self, job: Job, listener: ProgressListener) -> JobResult:
        deadline = Deadline.after(job.time_limit_s, clock=self._clock)
        try:
            request = await self._load(job)
        except NotFound as error:
            raise NotFound(
                "an input image of this job is not in the image storage any more: submit it again",
                details={"job_id": job.id},
            ) from error
        if job.kind is JobKind.ANALYZE:
            return await self._analyze(job, request)
        return await self._edit(job, request, listener, deadline)

    async def _load(self, job: Job) -> EditRequest:
        payload = job.payload
        base, *references = await asyncio.gather(
            *(self._decode(key) for key in (payload.base_key, *payload.reference_keys))
        )
        mask = None
        notes = tuple[str, ...]()
        if payload.mask_key is not None:
            data = await self._blobs.get(payload.mask_key)
            reading = await asyncio.to_thread(self._codec.decode_mask, data, payload.options.mask_mode)
            mask, notes = reading.mask, (reading.note,) if reading.note else ()
        return EditRequest(
            base=base,
            prompt=payload.prompt,
            negative_prompt=payload.negative_prompt,
            references=tuple(references),
            mask=mask,
            notes=notes,
            options=payload.options,
        )

    async def _decode(self, key: str) -> Image:
        return await asyncio.to_thread(self._codec.decode, await self._blobs.get(key))

    async def _edit(self, job: Job, request: EditRequest, listener: ProgressListener, deadline: Deadline) -> JobResult:
        result = await self._editor.edit(
            request, request_id=f"{job.id}-{job.attempt}", listener=listener, deadline=deadline
        )
        options = job.payload.options
        data, media_type = await asyncio.to_thread(self._codec.encode, result.image, options.output_format)
        mask_key = None
        if options.return_mask:
            mask_key = await self._blobs.put(await asyncio.to_thread(self._codec.encode_mask, result.mask))
        return JobResult(
            image_key=await self._blobs.put(data),
            image_media_type=media_type,
            mask_key=mask_key,
            account={
                "pipeline_used": result.pipeline.value,
                "models_used": list(result.models_used),
                "processing_time_ms": result.processing_time_ms,
                "metadata": dict(result.metadata),
            },
        )

    async def _analyze(self, job: Job, request: EditRequest) -> JobResult:
        analysis = await self._editor.analyze(request, request_id=f"{job.id}-{job.attempt}")
        mask_key = await self._blobs.put(await asyncio.to_thread(self._codec.encode_mask, analysis.mask))
        return JobResult(
            image_key=None,
            image_media_type=None,
            mask_key=mask_key,
            account={
                "pipeline": analysis.decision.pipeline.value,
                "models_used": list(analysis.models_used),
                "metadata": dict(analysis.metadata),
            },
        )
