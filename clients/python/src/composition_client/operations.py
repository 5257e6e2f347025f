"""What the API can do, each as a flow of calls: submit -> follow -> fetch the result, and the single ones."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from composition_client.answers import ENDED, Analysis, Edit, Health, Job, JobPage, Lora, LoraList, Submission, Video
from composition_client.body import Body, LoraUpload
from composition_client.calls import API, Call, Deadline, Flow, Follow, Pause, Retrying, Send, call, fault
from composition_client.errors import (
    ComposeError,
    Internal,
    InvalidInput,
    OutOfTime,
    TryLater,
    UnexpectedAnswer,
    Unreachable,
    from_code,
)
from composition_client.events import Event

A = TypeVar("A", bound=BaseModel)
SILENCE_S = 45.0
"""The service says something in a stream of events every 15 s."""
LAST_WORDS_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a job is.

    Attributes:
        status: pending or processing at first, then how it ended.
        fraction: 0..1; starts again at 0 with another attempt.
        stage: fetch, decode, route, detect, mask, condition, diffuse, blend or encode; "" before and between.
        step, total_steps: while it diffuses.
    """

    job_id: str
    status: str
    fraction: float = 0.0
    stage: str = ""
    step: int | None = None
    total_steps: int | None = None
    attempt: int = 0


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What is being painted, small and rough, where the service sends that (`generation.previews`).

    Attributes:
        image: a file's bytes, as `media_type` says.
    """

    job_id: str
    image: bytes
    media_type: str
    step: int | None = None
    total_steps: int | None = None


OnPreview = Callable[[Preview], None]


@dataclass(frozen=True, kw_only=True)
class Ears:
    """Who is told of a job while it is waited for; what they raise ends the waiting."""

    on_progress: OnProgress | None = None
    on_preview: OnPreview | None = None


@dataclass(frozen=True, kw_only=True)
class Operations:
    """Flows with the client's settings. Times in seconds."""

    timeout_s: float = 600.0
    retrying: Retrying = field(default_factory=Retrying)

    def submit(self, body: Body, *, key: str | None, timeout_s: float | None) -> Flow[Submission]:
        """Have an edit accepted. Without a key one is made, so that the retries cannot start it twice."""
        return self._submit(_submission(body, key), self._deadline(timeout_s))

    def _submit(self, request: Call, deadline: Deadline) -> Flow[Submission]:
        answer = yield from call(request, retrying=self.retrying, deadline=deadline)
        return _parsed(Submission, answer)

    def edit(self, body: Body, *, key: str | None, ears: Ears, timeout_s: float | None) -> Flow[Edit]:
        """Submit, wait, fetch. Leaving early, by an error or interrupted, cancels it."""
        return _edit((yield from self._ended(body, key, ears, self._deadline(timeout_s))))

    def edit_video(self, body: Body, *, key: str | None, ears: Ears, timeout_s: float | None) -> Flow[Video]:
        """As `edit`, of a clip."""
        deadline = self._deadline(timeout_s)
        return (yield from self._clip_of((yield from self._ended(body, key, ears, deadline)), deadline))

    def _ended(self, body: Body, key: str | None, ears: Ears, deadline: Deadline) -> Flow[Job]:
        request = _submission(body, key)
        job_id: str | None = None
        try:
            job_id = (yield from self._submit(request, deadline)).job_id
            job = yield from self._follow(job_id, ears, deadline)
        except GeneratorExit:
            raise
        except BaseException as error:
            if job_id is not None or isinstance(error, OutOfTime) or not isinstance(error, ComposeError):
                yield from self._abandon(request, job_id)
            raise
        return job

    def _abandon(self, request: Call, job_id: str | None) -> Flow[None]:
        """Nobody waits any more. A submission that was cut off is repeated under its key to learn which job it made."""
        if job_id is None:
            outcome = yield Send(request, LAST_WORDS_S, last=True)
            if fault(outcome) is not None:
                return
            job_id = _parsed(Submission, outcome).job_id
        yield Send(Call(method="DELETE", path=_path("jobs", job_id)), LAST_WORDS_S, last=True)

    def wait(self, job_id: str, *, ears: Ears, timeout_s: float | None) -> Flow[Edit]:
        """An edit's result once it has ended. Leaving early leaves the job alone. Raises: ServiceError, its own."""
        job = yield from self._follow(job_id, ears, self._deadline(timeout_s))
        return _edit(job)

    def wait_video(self, job_id: str, *, ears: Ears, timeout_s: float | None) -> Flow[Video]:
        """As `wait`, of a clip."""
        deadline = self._deadline(timeout_s)
        return (yield from self._clip_of((yield from self._follow(job_id, ears, deadline)), deadline))

    def _clip_of(self, job: Job, deadline: Deadline) -> Flow[Video]:
        """Its file too, which the result itself has only where a request asked for that."""
        if job.result is None or "video_url" not in job.result:
            return _result_of(Video, job)
        request = Call(method="GET", path=_path("jobs", job.job_id, "video"))
        answer = yield from call(request, retrying=self.retrying, deadline=deadline, longest_s=deadline.limit_s)
        return _result_of(Video, job.model_copy(update={"result": {**job.result, "video": answer.content}}))

    def _follow(self, job_id: str, ears: Ears, deadline: Deadline) -> Flow[Job]:
        """Its status is the truth; events say when to ask for it, and where none come, it is asked for anyway."""
        listener = _Listener(job_id, ears)
        patience = self.retrying.patient()
        silent = 0
        while True:
            seen = listener.last_id
            headers = {"Accept": "text/event-stream", "Last-Event-ID": str(seen)}
            stream = Call(method="GET", path=_path("jobs", job_id, "events"), headers=headers)
            outcome = yield Follow(stream, min(SILENCE_S, deadline.left_s), deadline, listener.hear)
            error = fault(outcome)
            if error is not None and not isinstance(error, Unreachable | TryLater | UnexpectedAnswer):
                raise error
            job = yield from self._job(job_id, patience, deadline)
            if job.ended:
                listener.tell(Progress(job_id=job_id, status=job.status, fraction=job.progress, attempt=job.attempt))
                return job
            silent = 0 if listener.last_id > seen else silent + 1
            listener.tell(
                Progress(job_id=job_id, status=job.status, fraction=job.progress, stage=job.stage, attempt=job.attempt)
            )
            yield Pause(min(0.2 * 2 ** min(silent, 5), deadline.left_s))

    def job(self, job_id: str, *, timeout_s: float | None) -> Flow[Job]:
        return self._job(job_id, self.retrying, self._deadline(timeout_s))

    def _job(self, job_id: str, retrying: Retrying, deadline: Deadline) -> Flow[Job]:
        request = Call(method="GET", path=_path("status", job_id))
        return _parsed(Job, (yield from call(request, retrying=retrying, deadline=deadline)))

    def jobs(self, *, status: str | None, limit: int, cursor: str | None, timeout_s: float | None) -> Flow[JobPage]:
        given = {"status": status, "limit": str(limit), "cursor": cursor}
        params = {name: value for name, value in given.items() if value is not None}
        answer = yield from self._call(Call(method="GET", path=f"{API}/jobs", params=params), timeout_s)
        return _parsed(JobPage, answer)

    def cancel(self, job_id: str, *, timeout_s: float | None) -> Flow[Job]:
        return _parsed(Job, (yield from self._call(Call(method="DELETE", path=_path("jobs", job_id)), timeout_s)))

    def image(self, job_id: str, *, index: int, timeout_s: float | None) -> Flow[bytes]:
        params = {"index": str(index)} if index else {}
        request = Call(method="GET", path=_path("jobs", job_id, "image"), params=params)
        answer = yield from self._call(request, timeout_s)
        return answer.content

    def video(self, job_id: str, *, timeout_s: float | None) -> Flow[bytes]:
        answer = yield from self._call(Call(method="GET", path=_path("jobs", job_id, "video")), timeout_s)
        return answer.content

    def analyze(self, body: Body, *, timeout_s: float | None) -> Flow[Analysis]:
        """Changes nothing, so it is tried again like reading."""
        deadline = self._deadline(timeout_s)
        request = Call(method="POST", path=f"{API}/analyze", body=body)
        answer = yield from call(request, retrying=self.retrying, deadline=deadline, longest_s=deadline.limit_s)
        return _parsed(Analysis, answer, key="result")

    def loras(self, *, timeout_s: float | None) -> Flow[LoraList]:
        return (yield from self._loras(self._deadline(timeout_s)))

    def _loras(self, deadline: Deadline) -> Flow[LoraList]:
        request = Call(method="GET", path=f"{API}/loras")
        return _parsed(LoraList, (yield from call(request, retrying=self.retrying, deadline=deadline)))

    def upload_lora(self, upload: LoraUpload, *, timeout_s: float | None) -> Flow[Lora]:
        """Where the name is taken by the very same upload, an answer was lost on its way: that one is answered."""
        deadline = self._deadline(timeout_s)
        request = Call(method="POST", path=f"{API}/loras", body=upload.body)
        try:
            answer = yield from call(request, retrying=self.retrying, deadline=deadline, longest_s=deadline.limit_s)
        except InvalidInput:
            for lora in (yield from self._loras(deadline)).loras:
                same = (lora.source, lora.name, lora.sha256) == ("upload", upload.name, upload.sha256)
                if same and list(upload.trigger_words) in ([], lora.trigger_words):
                    return lora
            raise
        return _parsed(Lora, answer, key="lora")

    def delete_lora(self, name: str, *, timeout_s: float | None) -> Flow[Lora]:
        answer = yield from self._call(Call(method="DELETE", path=_path("loras", name)), timeout_s)
        return _parsed(Lora, answer, key="lora")

    def health(self, *, timeout_s: float | None) -> Flow[Health]:
        """Raises: NotReady, whose details have what is loaded so far."""
        return _parsed(Health, (yield from self._call(Call(method="GET", path=f"{API}/health"), timeout_s)))

    def _call(self, request: Call, timeout_s: float | None) -> Flow[httpx.Response]:
        return call(request, retrying=self.retrying, deadline=self._deadline(timeout_s))

    def _deadline(self, timeout_s: float | None) -> Deadline:
        return Deadline.after(self.timeout_s if timeout_s is None else timeout_s)


@dataclass
class _Listener:
    """Turns a job's events into progress, over as many streams as it takes."""

    job_id: str
    ears: Ears
    last_id: int = 0
    _told: Progress | None = None

    def hear(self, event: Event) -> bool:
        """Whether the job has ended."""
        self.last_id = max(self.last_id, event.id or 0)
        data = event.data
        if event.type == "preview":
            self._show(data)
        if event.type not in ("status", "progress"):
            return event.type == "error"
        status = str(data.get("status", "processing"))
        if status in ENDED:
            return True
        self.tell(
            Progress(
                job_id=self.job_id,
                status=status,
                fraction=float(data.get("progress", 0.0)),
                stage=str(data.get("stage", "")),
                step=data.get("step"),
                total_steps=data.get("total_steps"),
                attempt=int(data.get("attempt", 0)),
            )
        )
        return False

    def tell(self, progress: Progress) -> None:
        if self.ears.on_progress is not None and progress != self._told:
            self._told = progress
            self.ears.on_progress(progress)

    def _show(self, data: Mapping[str, Any]) -> None:
        if self.ears.on_preview is None:
            return
        try:
            image = base64.b64decode(data["image"], validate=True)
        except (KeyError, TypeError, binascii.Error):
            return
        step, total_steps = data.get("step"), data.get("total_steps")
        media_type = str(data.get("media_type", ""))
        self.ears.on_preview(
            Preview(job_id=self.job_id, image=image, media_type=media_type, step=step, total_steps=total_steps)
        )


def _path(*parts: str) -> str:
    """Whatever a job or a LoRA is said to be called, it stays a part of its own."""
    return "/".join((API, *(quote(part, safe="") for part in parts)))


def _submission(body: Body, key: str | None) -> Call:
    headers = {"Idempotency-Key": key or str(uuid.uuid4())}
    return Call(method="POST", path=f"{API}/{body.path}", body=body, headers=headers)


def _edit(job: Job) -> Edit:
    """Raises: as `_result_of`."""
    return _result_of(Edit, job)


def _result_of(model: type[A], job: Job) -> A:
    """Raises: ServiceError, as which the job ended."""
    if job.status != "completed":
        raise from_code(job.error_code or "INTERNAL", job.error or f"the job is {job.status}")
    if job.result is None:
        raise Internal("the job's images are gone")
    try:
        return model.model_validate({**job.result, "job_id": job.job_id})
    except ValidationError:
        raise UnexpectedAnswer(f"the result of job {job.job_id} is not that of an edit", status=200) from None


def _parsed(model: type[A], answer: httpx.Response, *, key: str | None = None) -> A:
    try:
        body = answer.json()
        return model.model_validate(body if key is None else body[key])
    except (ValueError, KeyError, TypeError):
        where = answer.request.url.copy_with(userinfo=b"", query=None)
        raise UnexpectedAnswer(f"{where} answers not as this service does", status=answer.status_code) from None
