"""One attempt at one claimed job: claim -> **run** (heartbeats, progress) -> publish, requeue or hand back.

Used by the embedded queue and by the Celery worker alike. The store's answer to a heartbeat or a publication says
whether the job still belongs to this attempt; when it does not, the handler is stopped and its result is dropped.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeVar

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential

from composition.deadline import RUNNER_LEAD_S
from composition.errors import CompositionError, InternalError, NotReady, StorageAway, Timeout
from composition.jobs import KNOWN_VERSIONS, Job, JobError, JobResult, Priority
from composition.logs import logged_with
from composition.ports.codec import ImageCodec
from composition.ports.observation import NO_JOB_OBSERVER, JobObserver
from composition.ports.queue import BlobStore, JobHandler
from composition.request import OutputFormat
from composition.result import Progress
from jobs.protocol.claims import Claim
from jobs.protocol.job_store import JobStore

logger = logging.getLogger(__name__)

INTERRUPTION_CODES = frozenset({"NOT_READY", "QUEUE_FULL", "CANCELLED"})
"""What an attempt was run with is away: a runner died or still loads, a storage is out. Such an attempt does not count.

CANCELLED too: that the owner cancelled a job the store says, never a runner.
"""
TRANSIENT_CODES = frozenset({"MODEL_ERROR", "OUT_OF_MEMORY"})
"""Failures that another attempt may not meet. Everything else would fail the same way again."""

MAX_RETRY_DELAY_S = 60.0

_T = TypeVar("_T")


class Interruption(Enum):
    """Why a handler was stopped from outside."""

    NOT_OURS = "cancelled by its owner, or the lease was lost"
    SHUTDOWN = "handed back"


@dataclass(frozen=True, kw_only=True)
class AttemptSettings:
    """Times in seconds.

    Attributes:
        lease_s: how long a silent worker keeps its job; heartbeats come three times as often.
        progress_interval_s: at most one progress entry in this time.
        retry_delay_s: delay before the second attempt after a transient failure; four times longer before each next,
            at most a minute. Also before the first attempt after one that does not count.
        publish_timeout_s: how long an outcome is offered to a store that is away.
    """

    lease_s: float = 15.0
    progress_interval_s: float = 0.2
    retry_delay_s: float = 5.0
    publish_timeout_s: float = 600.0


class Attempt:
    """Runs a claim to its outcome."""

    def __init__(
        self,
        claim: Claim,
        *,
        store: JobStore,
        blobs: BlobStore,
        handler: JobHandler,
        settings: AttemptSettings,
        on_change: Callable[[str], None],
        preview_codec: ImageCodec | None = None,
        observer: JobObserver = NO_JOB_OBSERVER,
    ) -> None:
        """Args: `on_change` is called with the job's id after every write; `preview_codec` encodes previews, if any."""
        self._claim = claim
        self._store = store
        self._blobs = blobs
        self._handler = handler
        self._settings = settings
        self._on_change = on_change
        self._preview_codec = preview_codec
        self._observer = observer
        self._began = time.monotonic()
        self._latest: Progress | None = None
        self._news = asyncio.Event()
        self._store_away = False
        self._interruption: Interruption | None = None
        self._work: asyncio.Task[JobResult] | None = None

    @property
    def job(self) -> Job:
        """As claimed."""
        return self._claim.job

    async def run(self) -> None:
        """Returns when the outcome is written or the job is no longer ours; raises nothing."""
        job = self.job
        with logged_with(job_id=job.id, request_id=job.request_id, trace_id=job.trace_id):
            await self._run()

    async def _run(self) -> None:
        self._work = asyncio.create_task(self._handle())
        if self._interruption is not None:
            self._work.cancel()
        beats = asyncio.create_task(self._beat())
        try:
            await asyncio.wait({self._work})
        finally:
            beats.cancel()
            await asyncio.gather(beats, return_exceptions=True)
        try:
            await self._conclude(self._work)
        except CompositionError as error:
            logger.error("job %s: no outcome could be written, its lease will lapse: %s", self.job.id, error)
        self._on_change(self.job.id)

    def interrupt(self, why: Interruption) -> None:
        """Stop the handler; what happens to the job depends on `why`."""
        if self._interruption is None:
            self._interruption = why
            if self._work is not None:
                self._work.cancel()

    async def _handle(self) -> JobResult:
        if self.job.schema_version not in KNOWN_VERSIONS:
            raise NotReady("this worker cannot run a job that another version of the service accepted")
        limit_s = self.job.time_limit_s
        try:
            async with asyncio.timeout(limit_s) as limit:
                with self._observer.attempt(self.job):
                    return await self._handler(self.job, self._listen)
        except (TimeoutError, Timeout) as error:
            if limit.expired() or (isinstance(error, Timeout) and _about_to_expire(limit)):
                raise Timeout(f"the job took longer than {limit_s:g} s") from error
            raise

    def _listen(self, progress: Progress) -> None:
        if progress.preview is None and self._latest is not None:  # one that nobody has been shown is not passed over
            progress = replace(progress, preview=self._latest.preview)
        self._latest = progress
        self._news.set()

    async def _beat(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.lease_s / 3):
                    await self._news.wait()
            self._news.clear()
            progress, self._latest = self._latest, None
            try:
                if not await self._store.heartbeat(self._claim, lease_s=self._settings.lease_s, progress=progress):
                    self.interrupt(Interruption.NOT_OURS)
                    return
                await self._show_preview(progress)
                self._store_away = False
            except NotReady:
                if not self._store_away:
                    logger.warning("job %s: no heartbeat, the store is away", self.job.id)
                self._store_away = True
            if progress is not None:
                self._on_change(self.job.id)
            await asyncio.sleep(self._settings.progress_interval_s)

    async def _show_preview(self, progress: Progress | None) -> None:
        if progress is None or progress.preview is None or self._preview_codec is None:
            return
        encoded, media_type = await asyncio.to_thread(self._preview_codec.encode, progress.preview, OutputFormat.JPEG)
        data = {"image": base64.b64encode(encoded).decode("ascii"), "media_type": media_type, "step": progress.step}
        await self._store.append_event(self.job.id, "preview", data)

    async def _conclude(self, work: asyncio.Task[JobResult]) -> None:
        if work.cancelled():
            await self._conclude_stopped()
        elif (error := work.exception()) is not None:
            await self._conclude_failed(error)
        else:
            await self._publish(work.result())

    async def _conclude_stopped(self) -> None:
        if self._interruption is Interruption.SHUTDOWN:
            await self._persistently(lambda: self._store.release(self._claim))
            self._ended("handed_back")
        elif self._interruption is None:
            await self._fail(InternalError("the job was stopped from inside"), retry=True)
        else:
            self._ended("cancelled")

    async def _conclude_failed(self, error: BaseException) -> None:
        if not isinstance(error, CompositionError):
            logger.error("job %s: unexpected error", self.job.id, exc_info=error)
            await self._fail(InternalError("internal error", details={"job_id": self.job.id}), retry=False)
        elif error.code in INTERRUPTION_CODES:
            await self._interrupted(error)
        else:
            await self._fail(error, retry=error.code in TRANSIENT_CODES)

    async def _interrupted(self, error: CompositionError) -> None:
        lost = NotReady(error.message, details=error.details)
        record, delay_s = _record_of(lost), self._settings.retry_delay_s
        endless = isinstance(error, StorageAway)
        if await self._persistently(
            lambda: self._store.interrupt(self._claim, record, delay_s=delay_s, endless=endless)
        ):
            logger.warning("job %s: attempt %d does not count: %s", self.job.id, self.job.attempt, error.message)
            self._ended("interrupted", lost.code)
        else:
            self._ended("lost")

    async def _fail(self, error: CompositionError, *, retry: bool) -> None:
        record = _record_of(error)
        again = retry and self.job.priority is not Priority.INTERACTIVE
        delay_s = min(self._settings.retry_delay_s * 4.0 ** (self.job.attempt - 1), MAX_RETRY_DELAY_S)
        if await self._persistently(lambda: self._store.fail(self._claim, record, retry=again, delay_s=delay_s)):
            left = again and self.job.attempt < self.job.max_attempts
            self._ended("retried" if left else "failed", error.code)
        else:
            self._ended("lost")

    async def _publish(self, result: JobResult) -> None:
        if not await self._persistently(lambda: self._store.complete(self._claim, result)):
            logger.warning("job %s: another attempt owns it, this result is dropped", self.job.id)
            await self._blobs.delete(result.blob_keys)
            self._ended("lost")
        else:
            self._ended("completed")

    def _ended(self, outcome: str, code: str = "") -> None:
        job, seconds = self.job, time.monotonic() - self._began
        logger.info("job %s: attempt %d: %s after %.1f s", job.id, job.attempt, f"{outcome} {code}".strip(), seconds)
        self._observer.attempt_ended(job, outcome=outcome, code=code, seconds=seconds)

    async def _persistently(self, write: Callable[[], Awaitable[_T]]) -> _T:
        """An outcome outlives a short absence of the store."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(NotReady),
            wait=wait_exponential(multiplier=0.1, max=self._settings.lease_s / 5),
            stop=stop_after_delay(self._settings.publish_timeout_s),
            reraise=True,
        ):
            with attempt:
                return await write()
        raise AssertionError("tenacity ends by returning or raising")


def _record_of(error: CompositionError) -> JobError:
    return JobError(code=error.code, message=error.message, details=error.details)


def _about_to_expire(limit: asyncio.Timeout) -> bool:
    """A runner that knows the deadline gives up a little before us."""
    when = limit.when()
    return when is not None and when - asyncio.get_running_loop().time() <= RUNNER_LEAD_S
