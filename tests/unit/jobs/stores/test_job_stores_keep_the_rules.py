"""Random lives of the stores that need no server."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings

from jobs.protocol.job_store import JobStore
from jobs.stores.memory_store import MemoryJobStore
from jobs.stores.sqlite_store import SqliteJobStore
from tests.unit.jobs.job_store_machine import MAX_PENDING, Steps


class MemorySteps(Steps):
    async def open_store(self) -> JobStore:
        return MemoryJobStore(max_pending=MAX_PENDING, clock=self.clock)


class SqliteSteps(Steps):
    async def open_store(self) -> JobStore:
        self.folder = tempfile.TemporaryDirectory()
        self.sqlite = SqliteJobStore(Path(self.folder.name) / "jobs.db", max_pending=MAX_PENDING, clock=self.clock)
        await self.sqlite.open()
        return self.sqlite

    async def close_store(self) -> None:
        await self.sqlite.close()
        self.folder.cleanup()


TestMemoryJobStoreKeepsTheRules = MemorySteps.TestCase
TestMemoryJobStoreKeepsTheRules.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)

TestSqliteJobStoreKeepsTheRules = SqliteSteps.TestCase
TestSqliteJobStoreKeepsTheRules.settings = settings(
    max_examples=10, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
