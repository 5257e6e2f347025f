"""What every queue offers its callers over a `JobStore`: submit, look, wait, cancel, stream. How jobs get run is apart.

api -> **queue** -> store; the embedded queue and the Celery queue build on this.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping

from composition.errors import CompositionError, IdempotencyConflict, NotFound, NotReady, QueueFull
from composition.jobs import Job, JobEvent, JobPage, JobStatus, Priority
from composition.ports.queue import BlobStore
from jobs.protocol.job_store import JobStore
from jobs.queues.signals import JobSignals

logger = logging.getLogger(__name__)

STOPPING_RETRY_AFTER_S = 5
FULL_FOR_S = 0.5
"""So long a full queue is taken to be full by those who ask while somebody else is looking."""


class StoreJobQueue:
    """The callers' side of a queue.

    `recheck_s`: a waiter looks at the store at least this often, in case a signal from another process was lost; None
    when all signals come from this process.
    """

    def __init__(self, store: JobStore, blobs: BlobStore, *, recheck_s: float | None) -> None:
        self._store = store
        self._blobs = blobs
        self._signals = JobSignals()
        self._recheck_s = recheck_s
        self._accepting = False
        self._winding_down: asyncio.Task[None] | None = None
        self._waited_for: set[str] = set()
        self._background: set[asyncio.Task[None]] = set()
        self._looking_for_room: asyncio.Task[None] | None = None
        self._full: QueueFull | None = None
        self._full_until = 0.0

    async def wind_down(self, *, grace_s: float) -> None:
        """Accept nothing more and finish what fits into the grace time; idempotent.

        Whoever waits for or follows a job that does not end here is told NotReady, so that every answer ends.
        """
        if self._winding_down is None:
            self._accepting = False
            self._winding_down = asyncio.create_task(self._wind_down(grace_s))
            self._signals.all_changed()
        await asyncio.shield(self._winding_down)
        self._signals.all_changed()

    async def submit(self, job: Job) -> Job:
        """Accept a job durably; a refused or repeated submission's images are deleted.

        Not so after NotReady: the store may have taken the job before its answer was lost. A caller that goes away
        meanwhile leaves no interactive job behind.

        Raises: QueueFull, IdempotencyConflict, NotReady.
        """
        if not self._accepting:
            raise NotReady("the service is not accepting jobs", retry_after_s=STOPPING_RETRY_AFTER_S)
        adding = asyncio.ensure_future(self._accept(job))
        try:
            return await asyncio.shield(adding)
        except asyncio.CancelledError:
            if job.priority is Priority.INTERACTIVE:
                self._spawn_cancel(adding)
            raise

    async def check_room(self) -> None:
        """Who asks alone looks at the store; who asks meanwhile shares that look, or hears at once that it was full.

        Otherwise a crowd at a full queue would wait in turn, each for a look of its own.

        Raises: QueueFull or NotReady while no job would be accepted.
        """
        if not self._accepting:
            raise NotReady("the service is not accepting jobs", retry_after_s=5)
        if self._looking_for_room is None or self._looking_for_room.done():
            self._looking_for_room = asyncio.create_task(self._look_for_room())
            self._looking_for_room.add_done_callback(_retrieved)
        elif self._full is not None and asyncio.get_running_loop().time() < self._full_until:
            raise QueueFull(self._full.message, details=self._full.details, retry_after_s=self._full.retry_after_s)
        await asyncio.shield(self._looking_for_room)

    async def _look_for_room(self) -> None:
        try:
            await self._store.check_room()
        except QueueFull as full:
            self._full, self._full_until = full, asyncio.get_running_loop().time() + FULL_FOR_S
            raise
        self._full = None

    async def get(self, job_id: str, *, owner: str) -> Job:
        """Raises: NotFound, also for another owner's job."""
        job = await self._store.get(job_id)
        if job.owner != owner:
            raise NotFound("there is no such job", details={"job_id": job_id})
        return job

    async def list(self, *, owner: str, status: JobStatus | None, limit: int, cursor: str | None) -> JobPage:
        """An owner's jobs, newest first. Raises: InvalidInput for a bad cursor."""
        return await self._store.list(owner=owner, status=status, limit=limit, cursor=cursor)

    async def wait(self, job_id: str) -> Job:
        """Until the job is terminal. Raises: NotFound, NotReady (it does not end here)."""
        with self._signals.subscribe(job_id) as changed:
            while True:
                changed.clear()
                job = await self._store.get(job_id)
                if job.status.terminal:
                    return job
                self._check_not_given_up(job_id)
                await self._until_changed(changed)

    async def cancel(self, job_id: str, *, owner: str) -> Job:
        """Idempotent. Raises: NotFound."""
        await self.get(job_id, owner=owner)
        job = await self._store.cancel(job_id)
        self._announce(job)
        self._stop(job)
        return job

    async def events(self, job_id: str, *, owner: str, after: int) -> AsyncIterator[JobEvent]:
        """The job's stream from `after` on, live, ending with its terminal status.

        Raises:
            NotFound: there is no such job.
            NotReady: it does not end here.
        """
        await self.get(job_id, owner=owner)
        with self._signals.subscribe(job_id) as changed:
            while True:
                changed.clear()
                job = await self._store.get(job_id)
                for event in await self._store.events(job_id, after=after):
                    after = event.sequence
                    yield event
                    if _ends(event):
                        return
                if job.status.terminal:
                    return
                self._check_not_given_up(job_id)
                await self._until_changed(changed)

    async def counts(self) -> Mapping[JobStatus, int]:
        """Jobs per status."""
        return await self._store.counts()

    async def oldest_wait_s(self) -> float:
        """Of the jobs that could start now, how long ago the first was accepted; 0 when none waits."""
        return await self._store.oldest_wait_s()

    def _announce(self, job: Job) -> None:
        """A job changed: wake who waits for it."""
        if job.status.terminal:
            self._waited_for.discard(job.id)
        self._signals.changed(job.id)

    def _stop(self, job: Job) -> None:
        """A job was ended from outside: what runs it here stops at once, elsewhere at its next sign of life."""

    def _accepted(self, job: Job) -> None:
        """A job was added: get it run."""
        raise NotImplementedError

    async def _wind_down(self, grace_s: float) -> None:
        """Let what runs end, for the grace time."""
        raise NotImplementedError

    def _may_still_end(self, job_id: str) -> bool:
        """While winding down: whether it is worth waiting for the job here."""
        raise NotImplementedError

    def _check_not_given_up(self, job_id: str) -> None:
        """Raises: NotReady."""
        if self._winding_down is not None and (self._winding_down.done() or not self._may_still_end(job_id)):
            raise NotReady("the service is stopping", retry_after_s=STOPPING_RETRY_AFTER_S)

    async def _accept(self, job: Job) -> Job:
        try:
            accepted = await self._store.add(job)
        except (QueueFull, IdempotencyConflict):
            await self._discard_inputs(job)
            raise
        if accepted.id != job.id:
            await self._discard_inputs(job)
            return accepted
        if job.priority is Priority.INTERACTIVE:
            self._waited_for.add(job.id)
        if accepted.session is not None:
            await self._supersede(accepted)
        self._accepted(accepted)
        return accepted

    async def _supersede(self, newest: Job) -> None:
        """End the older jobs of its session."""
        try:
            older = await self._store.supersede(newest)
        except NotReady as error:
            logger.warning("job %s: the older ones of its session go on: %s", newest.id, error)
            return
        for job in older:
            self._announce(job)
            self._stop(job)

    async def _discard_inputs(self, job: Job) -> None:
        try:
            await self._blobs.delete(job.payload.blob_keys)
        except CompositionError:
            logger.warning("job %s: its images stay until the next clean-up", job.id)

    def _spawn_cancel(self, adding: asyncio.Future[Job]) -> None:
        async def cancel_when_added() -> None:
            with contextlib.suppress(CompositionError):
                job = await self._store.cancel((await adding).id)
                self._announce(job)
                self._stop(job)

        task = asyncio.create_task(cancel_when_added())
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _until_changed(self, changed: asyncio.Event) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._recheck_s):
                await changed.wait()


def _ends(event: JobEvent) -> bool:
    return event.type == "status" and JobStatus(event.data["status"]).terminal


def _retrieved(task: asyncio.Task[None]) -> None:
    """Nobody may be left to hear of its error."""
    if not task.cancelled():
        task.exception()
