"""Jobs in one SQLite file: survives kill -9 of every process, needs nothing installed.

One thread writes, one reads (WAL lets them work side by side), so the event loop never waits for the disk. What a
caller was told is durable (`synchronous=FULL`); claims and heartbeats are only crash-safe, not power-safe: after a
power failure no worker is alive to rely on them.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from filelock import FileLock
from filelock import Timeout as LockTaken

from composition.config import ConfigError
from composition.errors import NotReady
from composition.jobs import Job, JobEvent, JobStatus
from jobs.protocol import lifecycle
from jobs.protocol.claims import Delivery
from jobs.protocol.lifecycle import Change, Record
from jobs.stores import sqlite_schema, sqlite_tables
from jobs.stores.clocks import Monotonic
from jobs.stores.record_store import Changer, RecordJobStore, check_places, same_submission

_P = ParamSpec("_P")
_T = TypeVar("_T")


class SqliteJobStore(RecordJobStore):
    """Open with `open`, end with `close`."""

    def __init__(
        self,
        path: Path,
        *,
        max_pending: int = 1000,
        lock_wait_s: float = 2.0,
        clock: Callable[[], float] = time.time,
        monotonic: Monotonic = time.monotonic,
    ) -> None:
        """`lock_wait_s`: how long a predecessor that is just ending may still hold the file."""
        super().__init__(max_pending=max_pending, monotonic=monotonic)
        self._path = path
        self._lock_wait_s = lock_wait_s
        self._clock = clock
        self._lock = FileLock(path.with_name(path.name + ".lock"), thread_local=False)
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="jobs-write")
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="jobs-read")
        self._write_connection: sqlite3.Connection | None = None
        self._read_connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Lock the file for this process, create or migrate the tables.

        Raises:
            ConfigError: another process runs this file's jobs, or the file cannot be used.
        """
        await asyncio.get_running_loop().run_in_executor(self._writer, self._open)

    async def close(self) -> None:
        """Finish what is being written; the file is free for another process afterwards."""
        loop = asyncio.get_running_loop()
        for executor, connection in ((self._reader, self._read_connection), (self._writer, self._write_connection)):
            if connection is not None:
                await loop.run_in_executor(executor, connection.close)
            executor.shutdown()
        self._read_connection = self._write_connection = None
        self._lock.release()

    async def add(self, job: Job) -> Job:
        def insert(db: sqlite3.Connection) -> Job:
            if (accepted := sqlite_tables.accepted_before(db, job)) is not None:
                return same_submission(accepted.job, job)
            check_places(sqlite_tables.places_taken(db), job.places, self._max_pending)
            change = lifecycle.admit(job, order=sqlite_tables.next_order(db), now=self._clock())
            sqlite_tables.write(db, change)
            return change.record.job

        return await self._write(insert, durable=True)

    async def events(self, job_id: str, *, after: int) -> tuple[JobEvent, ...]:
        return await self._read(sqlite_tables.events, job_id, after)

    async def counts(self) -> Mapping[JobStatus, int]:
        return await self._read(sqlite_tables.counts)

    async def due_deliveries(self, *, limit: int, hold_s: float) -> tuple[Delivery, ...]:
        now = self._clock()
        if not await self._read(sqlite_tables.any_delivery_due, now):
            return ()
        return await self._write(
            lambda db: sqlite_tables.take_deliveries(db, now=now, limit=limit, until=now + hold_s), durable=False
        )

    async def postpone_delivery(self, delivery_id: str, *, delay_s: float) -> None:
        at = self._clock() + delay_s
        await self._write(lambda db: sqlite_tables.postpone_delivery(db, delivery_id, at), durable=False)

    async def end_delivery(self, delivery_id: str) -> None:
        await self._write(lambda db: sqlite_tables.end_delivery(db, delivery_id), durable=True)

    async def garbage(self, *, limit: int) -> tuple[str, ...]:
        return await self._read(sqlite_tables.garbage, limit)

    async def forget_garbage(self, keys: Sequence[str]) -> None:
        await self._write(lambda db: sqlite_tables.forget_garbage(db, keys), durable=False)

    async def unreferenced(self, keys: Sequence[str]) -> tuple[str, ...]:
        return await self._read(sqlite_tables.unreferenced, keys)

    async def _now(self) -> float:
        return self._clock()

    async def _places_taken(self) -> int:
        return await self._read(sqlite_tables.places_taken)

    async def _load(self, job_id: str) -> Record | None:
        return await self._read(sqlite_tables.load, job_id)

    async def _change(self, job_id: str, changer: Changer, *, durable: bool = True) -> Change | None:
        def apply(db: sqlite3.Connection) -> Change | None:
            record = sqlite_tables.load(db, job_id)
            change = None if record is None else changer(record)
            if change is not None:
                sqlite_tables.write(db, change)
            return change

        return await self._write(apply, durable=durable)

    async def _drop(self, job_id: str, condition: Callable[[Record], bool]) -> Job | None:
        def drop(db: sqlite3.Connection) -> Job | None:
            record = sqlite_tables.load(db, job_id)
            if record is None or not condition(record):
                return None
            sqlite_tables.drop(db, record)
            return record.job

        return await self._write(drop, durable=False)

    async def _waiting(self, now: float) -> str | None:
        return await self._read(sqlite_tables.waiting, now)

    async def _oldest_waiting(self, now: float) -> Job | None:
        return await self._read(sqlite_tables.oldest_waiting, now)

    async def _leased(self) -> Mapping[str, float]:
        return await self._read(sqlite_tables.leased)

    async def _unfinished(self) -> tuple[str, ...]:
        return await self._read(sqlite_tables.unfinished)

    async def _of_session(self, owner: str, session: str) -> Sequence[str]:
        return await self._read(sqlite_tables.of_session, owner, session)

    async def _finished_before(self, moment: float) -> tuple[str, ...]:
        return await self._read(sqlite_tables.finished_before, moment)

    async def _page(self, owner: str, status: JobStatus | None, limit: int, below: int | None) -> Sequence[Record]:
        return await self._read(sqlite_tables.page, owner, status, limit, below)

    def _open(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=self._lock_wait_s, poll_interval=0.05)
        except LockTaken:
            raise ConfigError(
                f"storage.jobs: {self._path} is in use by another process; the embedded queue runs in exactly one"
                " (api.workers: 1), several need queue.backend: celery"
            ) from None
        except OSError as error:
            raise self._unusable(error) from error
        try:
            sqlite_schema.check_folder(self._path.parent)
            sqlite_schema.inspect(self._path)
            self._write_connection = sqlite_schema.connect(self._path)
            sqlite_schema.migrate(self._write_connection)
            sqlite_schema.check_writable(self._write_connection)
            self._read_connection = sqlite_schema.connect(self._path)
        except (sqlite3.Error, OSError, ConfigError) as error:
            if self._write_connection is not None:
                self._write_connection.close()
                self._write_connection = None
            self._lock.release()
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> ConfigError:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return ConfigError(f"storage.jobs: {self._path} cannot be used, and is left as it is: {reason}")

    async def _read(
        self, query: Callable[Concatenate[sqlite3.Connection, _P], _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        def run() -> _T:
            with _translated():
                return query(_opened(self._read_connection), *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._reader, run)

    async def _write(self, body: Callable[[sqlite3.Connection], _T], *, durable: bool) -> _T:
        def run() -> _T:
            db = _opened(self._write_connection)
            with _translated():
                db.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                db.execute("BEGIN IMMEDIATE")
                try:
                    outcome = body(db)
                    db.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):
                        db.execute("ROLLBACK")
                    raise
                return outcome

        return await asyncio.get_running_loop().run_in_executor(self._writer, run)


def _opened(connection: sqlite3.Connection | None) -> sqlite3.Connection:
    if connection is None:
        raise NotReady("the job store is closed")
    return connection


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise NotReady(f"the job store cannot be used: {error}", details={"reason": type(error).__name__}) from error
