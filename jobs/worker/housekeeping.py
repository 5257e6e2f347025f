"""Keeps a store tidy while it runs: lapsed leases, expired results, the blobs that nobody needs any more."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from composition.errors import CompositionError
from composition.jobs import Job
from composition.ports.queue import BlobStore
from jobs.protocol.job_store import JobStore

logger = logging.getLogger(__name__)

_BATCH = 200
SECOND_LOOK_S = 600.0
"""Longer than a submission takes from its first image in the storage to its job."""


class Housekeeping:
    """A task that sweeps every `interval_s`, deletes at once after `wake`, and looks for orphans every `orphan_age_s`.

    The age of a blob is told by a clock, and clocks differ and are set: an orphan is deleted when a second look,
    SECOND_LOOK_S later, finds it again. A blob without a job may be of a submission that is on its way.

    Leases are judged only when the store has been there for `grace_after_outage_s`: after its absence the workers, who
    could not renew them, speak first.
    """

    def __init__(
        self,
        store: JobStore,
        blobs: BlobStore,
        *,
        result_ttl_s: float,
        interval_s: float,
        grace_after_outage_s: float,
        on_ended: Callable[[Job], None],
        orphan_age_s: float = 3600.0,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._result_ttl_s = result_ttl_s
        self._interval_s = interval_s
        self._grace_after_outage_s = grace_after_outage_s
        self._on_ended = on_ended
        self._orphan_age_s = orphan_age_s
        self._suspects: frozenset[str] = frozenset()
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in the running event loop."""
        self._task = asyncio.create_task(self._keep_tidy())

    def wake(self) -> None:
        """Something ended: there are blobs to delete."""
        self._woken.set()

    async def stop(self) -> None:
        """One last round, then end."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(CompositionError):
            await self.collect_garbage()

    async def sweep(self) -> None:
        """Lapsed leases and expired results."""
        for job in await self._store.sweep(result_ttl_s=self._result_ttl_s):
            self._on_ended(job)

    async def collect_garbage(self) -> None:
        """Delete the blobs that ended and dropped jobs left; a crash in between repeats it."""
        while keys := await self._store.garbage(limit=_BATCH):
            await self._blobs.delete(keys)
            await self._store.forget_garbage(keys)

    async def collect_orphans(self) -> None:
        """Delete old blobs that no job names, now and at the look before: a crash came before their job."""
        keys = await self._blobs.older_than(self._orphan_age_s)
        found: set[str] = set()
        for start in range(0, len(keys), _BATCH):
            found.update(await self._store.unreferenced(keys[start : start + _BATCH]))
        orphans = tuple(found & self._suspects)
        for start in range(0, len(orphans), _BATCH):
            await self._blobs.delete(orphans[start : start + _BATCH])
        self._suspects = frozenset(found.difference(orphans))

    async def _keep_tidy(self) -> None:
        loop = asyncio.get_running_loop()
        next_sweep = loop.time() + self._grace_after_outage_s
        next_orphans = loop.time()
        while True:
            self._woken.clear()
            try:
                await self.collect_garbage()
                if loop.time() >= next_sweep:
                    next_sweep = loop.time() + self._interval_s
                    await self.sweep()
                if loop.time() >= next_orphans:
                    next_orphans = loop.time() + self._orphan_age_s
                    await self.collect_orphans()
                    if self._suspects:
                        next_orphans = loop.time() + SECOND_LOOK_S
            except CompositionError as error:
                logger.warning("housekeeping waits: %s", error)
                next_sweep = loop.time() + self._grace_after_outage_s
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval_s):
                    await self._woken.wait()
