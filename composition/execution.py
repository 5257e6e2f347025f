"""Runs one job: its blobs become a request, the editor's result becomes blobs and a JSON account.

The same handler serves the embedded queue and the distributed workers, so sync and async edits share one path.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from composition.deadline import Deadline
from composition.editor import Editor
from composition.errors import NotFound
from composition.images import Image, Mask
from composition.jobs import EditOfPayload, EditPayload, Job, JobKind, JobResult, UseOfReference
from composition.lora import LoraUse
from composition.loras.library import LoraLibrary
from composition.pipelines.account import resolution
from composition.ports.codec import ImageCodec
from composition.ports.observation import NO_EDIT_OBSERVER, EditObserver
from composition.ports.queue import BlobStore, ProgressListener
from composition.ports.video import VideoCodec
from composition.provenance import parameters_of
from composition.request import EditOptions, EditRequest, OneOfSeveral, Oversize, Reference, View
from composition.result import EditResult
from composition.video_execution import ClipRunner

REDUCED: Final = (
    "{name}: {sent} pixels are more than are allowed; it was reduced to {size}, and so is the result (oversize "
    "downscale)"
)


class EditJobHandler:
    """A `JobHandler` over the editor. Its caller stops it when the job's time limit has passed.

    `loras` None: no job has any; `videos` None: nor a clip. `clock`: seconds, monotonic.
    """

    def __init__(
        self,
        *,
        editor: Editor,
        blobs: BlobStore,
        codec: ImageCodec,
        loras: LoraLibrary | None = None,
        videos: VideoCodec | None = None,
        observer: EditObserver = NO_EDIT_OBSERVER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._editor = editor
        self._blobs = blobs
        self._codec = codec
        self._loras = loras
        self._videos = videos
        self._clips = None if videos is None else ClipRunner(editor=editor, blobs=blobs, codec=codec, videos=videos)
        self._observer = observer
        self._clock = clock

    async def __call__(self, job: Job, listener: ProgressListener) -> JobResult:
        deadline = Deadline.after(job.time_limit_s, clock=self._clock)
        try:
            with self._observer.stage("load"):
                request = await self._load(job)
        except NotFound as error:
            raise NotFound(
                "an input image of this job is not in the image storage any more: submit it again",
                details={"job_id": job.id},
            ) from error
        request = replace(request, loras=await self._uses(job))
        if job.kind is JobKind.ANALYZE:
            return await self._analyze(job, request)
        if job.payload.video is not None:
            assert self._clips is not None
            return await self._clips.run(job, request, listener, deadline)
        return await self._edit(job, request, listener, deadline)

    async def _load(self, job: Job) -> EditRequest:
        payload = job.payload
        options = payload.options
        photo = await self._blobs.get(payload.base_key)
        base, *references = await asyncio.gather(
            self._decode_base(photo, payload), *(self._load_reference(key, options) for key in payload.reference_keys)
        )
        views = [await self._load_view(key, number, options) for number, key in enumerate(payload.view_keys, start=1)]
        notes: list[str] = []
        mask = await self._load_mask(payload.mask_key, options, notes)
        used = await self._used(references, payload, options, notes)
        edits = [await self._load_edit(edit, options, notes) for edit in payload.edits]
        size = (base.shape[1], base.shape[0])
        sent_size = size if payload.video is not None else await self._sent_size(photo, base, options)
        if sent_size != size:
            name = "base_images.0" if views else "base_image"
            notes.append(REDUCED.format(name=name, sent=resolution(sent_size), size=resolution(size)))
            options = _scaled(options, size[0] / sent_size[0], size[1] / sent_size[1])
        return EditRequest(
            base=base,
            prompt=payload.prompt,
            negative_prompt=payload.negative_prompt,
            references=used,
            mask=mask,
            n=payload.n,
            sent_size=sent_size,
            notes=tuple(dict.fromkeys(notes)),
            options=options,
            edits=tuple(edits),
            views=tuple(views),
        )

    async def _decode_base(self, data: bytes, payload: EditPayload) -> Image:
        """The photograph, or a clip's first frame."""
        if payload.video is None:
            return await self._decode(data, payload.options)
        assert self._videos is not None
        first = await asyncio.to_thread(next, self._videos.frames(data))
        return first.image

    async def _load_view(self, key: str, number: int, options: EditOptions) -> View:
        photo = await self._blobs.get(key)
        image = await self._decode(photo, options)
        size, sent_size = (image.shape[1], image.shape[0]), await self._sent_size(photo, image, options)
        note = REDUCED.format(name=f"base_images.{number}", sent=resolution(sent_size), size=resolution(size))
        return View(image=image, sent_size=sent_size, notes=(note,) if sent_size != size else ())

    async def _sent_size(self, photo: bytes, image: Image, options: EditOptions) -> tuple[int, int]:
        """(width, height) of a photograph before it was reduced, where it was."""
        if options.oversize is Oversize.DOWNSCALE:
            return await asyncio.to_thread(self._codec.size_as_sent, photo)
        return image.shape[1], image.shape[0]

    async def _load_edit(self, edit: EditOfPayload, options: EditOptions, notes: list[str]) -> OneOfSeveral:
        references = [await self._load_reference(key, options) for key in edit.reference_keys]
        return OneOfSeveral(
            prompt=edit.prompt,
            negative_prompt=edit.negative_prompt,
            references=await self._used(references, edit, options, notes),
            mask=await self._load_mask(edit.mask_key, options, notes),
            options=edit.options,
        )

    async def _used(
        self, images: Sequence[Image], edit: EditPayload | EditOfPayload, options: EditOptions, notes: list[str]
    ) -> tuple[Reference, ...]:
        """References with what is said of them."""
        uses = edit.reference_uses or (UseOfReference(),) * len(images)
        return tuple(
            [
                Reference(
                    image=image,
                    weight=use.weight,
                    part=use.part,
                    part_mask=await self._load_mask(use.mask_key, options, notes),
                )
                for image, use in zip(images, uses, strict=True)
            ]
        )

    async def _load_mask(self, key: str | None, options: EditOptions, notes: list[str]) -> Mask | None:
        if key is None:
            return None
        data = await self._blobs.get(key)
        reading = await asyncio.to_thread(self._codec.decode_mask, data, options.mask_mode, options.oversize)
        notes += [reading.note] if reading.note else []
        return reading.mask

    async def _uses(self, job: Job) -> tuple[LoraUse, ...]:
        wanted = job.payload.options.loras
        if self._loras is None or not wanted:
            return ()
        return await self._loras.resolve(job.owner, wanted, job.payload.lora_digests)

    async def _load_reference(self, key: str, options: EditOptions) -> Image:
        return await self._decode(await self._blobs.get(key), options)

    async def _decode(self, data: bytes, options: EditOptions) -> Image:
        return await asyncio.to_thread(self._codec.decode, data, options.oversize)

    async def _edit(self, job: Job, request: EditRequest, listener: ProgressListener, deadline: Deadline) -> JobResult:
        result = await self._editor.edit(
            request, request_id=f"{job.id}-{job.attempt}", listener=listener, deadline=deadline
        )
        account = {
            "pipeline_used": result.pipeline.value,
            "models_used": list(result.models_used),
            "processing_time_ms": result.processing_time_ms,
            "metadata": dict(result.metadata),
        }
        with self._observer.stage("encode"):
            keys, media_type, mask_key = await self._keep_images(job, result, account)
        return JobResult(
            image_key=keys[0],
            image_media_type=media_type,
            mask_key=mask_key,
            account=account,
            other_image_keys=tuple(keys[1:]),
        )

    async def _keep_images(
        self, job: Job, result: EditResult, account: Mapping[str, Any]
    ) -> tuple[list[str], str | None, str | None]:
        """Keys of the candidates' or views' files, their media type, and the key of the mask's if it was asked for."""
        options = job.payload.options
        keys, media_type = [], None
        for image, seed in zip(result.images, result.metadata["seeds"], strict=True):
            parameters = parameters_of(job.payload, account, seed) if options.embed_metadata else None
            data, media_type = await asyncio.to_thread(
                self._codec.encode, image, options.output_format, parameters, quality=options.output_quality
            )
            keys.append(await self._blobs.put(data))
        mask_key = None
        if options.return_mask:
            mask_key = await self._blobs.put(await asyncio.to_thread(self._codec.encode_mask, result.mask))
        return keys, media_type, mask_key

    async def _analyze(self, job: Job, request: EditRequest) -> JobResult:
        analysis = await self._editor.analyze(request, request_id=f"{job.id}-{job.attempt}")
        mask_key = await self._blobs.put(await asyncio.to_thread(self._codec.encode_mask, analysis.mask))
        return JobResult(
            image_key=None,
            image_media_type=None,
            mask_key=mask_key,
            account={
                "pipeline": analysis.pipeline.value,
                "models_used": list(analysis.models_used),
                "metadata": dict(analysis.metadata),
            },
        )


def _scaled(options: EditOptions, x_factor: float, y_factor: float) -> EditOptions:
    """What was clicked or drawn on the photo as it was sent, in pixels of the reduced one."""
    if options.mark is None:
        return options
    mark = options.mark.scaled(x_factor, y_factor)
    return replace(options, points=mark.points, box=mark.box)
