"""The blocking client."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TypeVar, Unpack

import httpx

from composition_client.answers import (
    Analysis,
    Edit,
    Health,
    Job,
    JobPage,
    JobStatus,
    JobSummary,
    Lora,
    LoraList,
    Video,
)
from composition_client.body import References, body_of, lora_upload, video_body_of, views_body_of
from composition_client.calls import Effect, Flow, Follow, Outcome, Pause, Retrying, Send
from composition_client.connection import Connection, arguments
from composition_client.events import EventReader
from composition_client.images import ImageLike
from composition_client.operations import Ears, OnPreview, OnProgress, Operations
from composition_client.options import Config, OneEdit

T = TypeVar("T")


class Client:
    """One connection pool to one service; a context manager, safe to share between threads.

    Args:
        url: of the service; else COMPOSE_URL, else http://127.0.0.1:8000.
        api_key: else COMPOSE_API_KEY, else none is sent.
        timeout_s: that an operation may take with its retries and, of an edit, with the queue; each can have its own.
        retries: how often a call is tried again that may pass: no connection, 429, 503; Retry-After is honoured.
        transport: instead of the network, for tests.

    Raises:
        ValueError: not an http or https URL, or a key that no header can carry.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        timeout_s: float = 600.0,
        retries: int = 3,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        connection = Connection.to(url, api_key)
        self.url = connection.url
        self._http = httpx.Client(transport=transport, **connection.settings())
        self._operations = Operations(timeout_s=timeout_s, retrying=Retrying(retries=retries))

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def edit(
        self,
        image: ImageLike,
        prompt: str | Sequence[OneEdit],
        *,
        reference: References | None = None,
        mask: ImageLike | None = None,
        negative_prompt: str | None = None,
        n: int | None = None,
        session: str | None = None,
        on_progress: OnProgress | None = None,
        on_preview: OnPreview | None = None,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
        **config: Unpack[Config],
    ) -> Edit:
        """Edit an image and wait for it. An exception on the way, Ctrl-C too, cancels the job.

        Args:
            image: the photo, as `composition_client.images.to_bytes_or_url` takes it; so are `reference` and `mask`.
            prompt: the sentence; or several edits of the photo, each with its own.
            reference: an image whose look is taken over, or a list of up to four; each may be a `OneReference`.
            mask: of the photo's size, white (True) = repaint.
            negative_prompt: what must not be painted.
            n: so many candidates, 1..8, of the seeds seed, seed + 1 ...
            session: a name of one's own, 1..64 characters: of its requests only the newest goes on, others raise
                Superseded.
            on_progress: told what the service tells; what it raises cancels the edit.
            on_preview: shown what is being painted, where the service has `generation.previews`; so is what it raises.
            timeout_s: instead of the client's.
            idempotency_key: 1..255 ASCII characters; the same key and request is the same job, for 24 h.
            config: the options of `composition_client.options.Config`.

        Raises:
            NotAnImage: before anything is sent.
            ServiceError: the service's refusal, or how the job failed.
            Unreachable, UnexpectedAnswer, OutOfTime.
        """
        return self._run(
            self._operations.edit(
                body_of(
                    image,
                    prompt,
                    reference=reference,
                    mask=mask,
                    negative_prompt=negative_prompt,
                    n=n,
                    session=session,
                    config=config,
                ),
                key=idempotency_key,
                ears=Ears(on_progress=on_progress, on_preview=on_preview),
                timeout_s=timeout_s,
            )
        )

    def edit_views(
        self,
        images: Sequence[ImageLike],
        prompt: str,
        *,
        reference: References | None = None,
        negative_prompt: str | None = None,
        session: str | None = None,
        on_progress: OnProgress | None = None,
        on_preview: OnPreview | None = None,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
        **config: Unpack[Config],
    ) -> Edit:
        """Edit 2 to 8 photographs of one thing in one look and wait for it: `images` of the answer, in their order.

        Else as `edit`; `points`, `box` and `return_mask` are refused.
        """
        body = views_body_of(
            images, prompt, reference=reference, negative_prompt=negative_prompt, session=session, config=config
        )
        ears = Ears(on_progress=on_progress, on_preview=on_preview)
        return self._run(self._operations.edit(body, key=idempotency_key, ears=ears, timeout_s=timeout_s))

    def edit_video(
        self,
        video: bytes | str | os.PathLike[str],
        prompt: str,
        *,
        reference: References | None = None,
        negative_prompt: str | None = None,
        output: str | None = None,
        on_progress: OnProgress | None = None,
        on_preview: OnPreview | None = None,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
        **config: Unpack[Config],
    ) -> Video:
        """Edit a clip and wait for it; it takes its time, and so `timeout_s`.

        `video` is the bytes of a GIF, WebP, MP4 or WebM file, a path of one, or its URL; `output` is gif, webp, mp4,
        webm or png_sequence, None: as the clip is. Else as `edit`; options that are of photographs are refused.
        """
        body = video_body_of(
            video, prompt, reference=reference, negative_prompt=negative_prompt, output=output, config=config
        )
        ears = Ears(on_progress=on_progress, on_preview=on_preview)
        return self._run(self._operations.edit_video(body, key=idempotency_key, ears=ears, timeout_s=timeout_s))

    def submit(
        self,
        image: ImageLike,
        prompt: str | Sequence[OneEdit],
        *,
        reference: References | None = None,
        mask: ImageLike | None = None,
        negative_prompt: str | None = None,
        n: int | None = None,
        session: str | None = None,
        callback_url: str | None = None,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
        **config: Unpack[Config],
    ) -> str:
        """Have an edit accepted, durably; its job's id. `callback_url` is told when it ends; else as `edit`."""
        body = body_of(
            image,
            prompt,
            reference=reference,
            mask=mask,
            negative_prompt=negative_prompt,
            n=n,
            session=session,
            callback_url=callback_url,
            config=config,
        )
        return self._run(self._operations.submit(body, key=idempotency_key, timeout_s=timeout_s)).job_id

    def submit_views(
        self,
        images: Sequence[ImageLike],
        prompt: str,
        *,
        reference: References | None = None,
        negative_prompt: str | None = None,
        session: str | None = None,
        callback_url: str | None = None,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
        **config: Unpack[Config],
    ) -> str:
        """Have an edit of views accepted, durably; its job's id. Else as `edit_views` and `submit`."""
        body = views_body_of(
            images,
            prompt,
            reference=reference,
            negative_prompt=negative_prompt,
            session=session,
            callback_url=callback_url,
            config=config,
        )
        return self._run(self._operations.submit(body, key=idempotency_key, timeout_s=timeout_s)).job_id

    def submit_video(
        self,
        video: bytes | str | os.PathLike[str],
        prompt: str,
        *,
        reference: References | None = None,
        negative_prompt: str | None = None,
        output: str | None = None,
        callback_url: str | None = None,
        timeout_s: float | None = None,
        idempotency_key: str | None = None,
        **config: Unpack[Config],
    ) -> str:
        """Have an edit of a clip accepted, durably; its job's id. Else as `edit_video` and `submit`."""
        body = video_body_of(
            video,
            prompt,
            reference=reference,
            negative_prompt=negative_prompt,
            callback_url=callback_url,
            output=output,
            config=config,
        )
        return self._run(self._operations.submit(body, key=idempotency_key, timeout_s=timeout_s)).job_id

    def wait(
        self,
        job_id: str,
        *,
        on_progress: OnProgress | None = None,
        on_preview: OnPreview | None = None,
        timeout_s: float | None = None,
    ) -> Edit:
        """The result of a submitted edit, once it has ended. Raises: as `edit`, which also says what is cancelled."""
        return self._run(
            self._operations.wait(
                job_id, ears=Ears(on_progress=on_progress, on_preview=on_preview), timeout_s=timeout_s
            )
        )

    def wait_video(
        self,
        job_id: str,
        *,
        on_progress: OnProgress | None = None,
        on_preview: OnPreview | None = None,
        timeout_s: float | None = None,
    ) -> Video:
        """As `wait`, of a clip."""
        ears = Ears(on_progress=on_progress, on_preview=on_preview)
        return self._run(self._operations.wait_video(job_id, ears=ears, timeout_s=timeout_s))

    def analyze(
        self,
        image: ImageLike,
        prompt: str | Sequence[OneEdit],
        *,
        reference: References | None = None,
        mask: ImageLike | None = None,
        negative_prompt: str | None = None,
        session: str | None = None,
        timeout_s: float | None = None,
        **config: Unpack[Config],
    ) -> Analysis:
        """What `edit` would repaint, and why, without painting. Raises: as `edit`."""
        body = body_of(
            image,
            prompt,
            reference=reference,
            mask=mask,
            negative_prompt=negative_prompt,
            session=session,
            config=config,
        )
        return self._run(self._operations.analyze(body, timeout_s=timeout_s))

    def job(self, job_id: str, *, timeout_s: float | None = None) -> Job:
        """Raises: NotFound of an unknown, expired or foreign one."""
        return self._run(self._operations.job(job_id, timeout_s=timeout_s))

    def jobs(
        self,
        *,
        status: JobStatus | None = None,
        limit: int = 20,
        cursor: str | None = None,
        timeout_s: float | None = None,
    ) -> JobPage:
        """One page of the caller's jobs, newest first, 1..100 of them."""
        return self._run(self._operations.jobs(status=status, limit=limit, cursor=cursor, timeout_s=timeout_s))

    def every_job(self, *, status: JobStatus | None = None) -> Iterator[JobSummary]:
        """All of them, page by page, newest first."""
        cursor: str | None = None
        while True:
            page = self.jobs(status=status, limit=100, cursor=cursor)
            yield from page.jobs
            cursor = page.cursor
            if cursor is None:
                return

    def cancel(self, job_id: str, *, timeout_s: float | None = None) -> Job:
        """Its state then; a job that has ended stays as it is."""
        return self._run(self._operations.cancel(job_id, timeout_s=timeout_s))

    def image(self, job_id: str, *, index: int = 0, timeout_s: float | None = None) -> bytes:
        """The edited image's file, of several candidates the one of an index. Raises: NotFound while there is none."""
        return self._run(self._operations.image(job_id, index=index, timeout_s=timeout_s))

    def video(self, job_id: str, *, timeout_s: float | None = None) -> bytes:
        """The edited clip's file. Raises: NotFound while there is none."""
        return self._run(self._operations.video(job_id, timeout_s=timeout_s))

    def loras(self, *, timeout_s: float | None = None) -> LoraList:
        """Those that the caller's edits may name, and how much an upload may bring."""
        return self._run(self._operations.loras(timeout_s=timeout_s))

    def upload_lora(
        self,
        file: bytes | str | os.PathLike[str],
        *,
        name: str | None = None,
        trigger_words: Sequence[str] = (),
        timeout_s: float | None = None,
    ) -> Lora:
        """Have a LoRA or an embedding checked and kept; the same file under the same name again is answered as it is.

        Args:
            file: a .safetensors file, or its bytes; it is read whole.
            name: what edits call it, else the file's name.
            trigger_words: else what the file says of itself.
            timeout_s: instead of the client's.

        Raises:
            OSError: the file cannot be read.
            ValueError: bytes without a name.
            InvalidInput: it cannot be used, with the reason, or the name is taken.
            PayloadTooLarge, Forbidden; else as `edit`.
        """
        upload = lora_upload(file, name=name, trigger_words=trigger_words)
        return self._run(self._operations.upload_lora(upload, timeout_s=timeout_s))

    def delete_lora(self, name: str, *, timeout_s: float | None = None) -> Lora:
        """What it was. Raises: NotFound where the caller has none of the name, InvalidInput of the operator's."""
        return self._run(self._operations.delete_lora(name, timeout_s=timeout_s))

    def health(self, *, timeout_s: float | None = None) -> Health:
        """Raises: NotReady while the models are not loaded."""
        return self._run(self._operations.health(timeout_s=timeout_s))

    def _run(self, flow: Flow[T]) -> T:
        """Do what a flow asks for; what interrupts that is raised inside it, so that it can say its last words."""
        try:
            effect = next(flow)
            while True:
                try:
                    outcome = self._do(effect)
                except BaseException as error:
                    effect = flow.throw(error)
                else:
                    effect = flow.send(outcome)
        except StopIteration as done:
            result: T = done.value
            return result

    def _do(self, effect: Effect) -> Outcome | None:
        if isinstance(effect, Pause):
            time.sleep(effect.seconds)
            return None
        try:
            return self._send(effect) if isinstance(effect, Send) else self._follow(effect)
        except httpx.HTTPError as error:
            return error

    def _send(self, effect: Send) -> httpx.Response:
        return self._http.request(**arguments(effect.call, effect.timeout_s))

    def _follow(self, effect: Follow) -> httpx.Response:
        reader = EventReader()
        with self._http.stream(**arguments(effect.call, effect.silence_s)) as answer:
            if not answer.is_success:
                answer.read()
                return answer
            for line in answer.iter_lines():
                if not effect.wants_more(reader.feed(line)):
                    break
        return answer
