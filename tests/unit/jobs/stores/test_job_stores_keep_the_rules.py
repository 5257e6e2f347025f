"""Random lives of the stores that need no server."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from jobs.protocol.job_store import JobStore
from jobs.stores.memory_store import MemoryJobStore
from jobs.stores.sqlite_store import SqliteJobStore
from tests.unit.jobs.delivery_contract import assert_owes_until_told_otherwise
from tests.unit.jobs.job_samples import ManualClock
from tests.unit.jobs.job_store_machine import MAX_PENDING, StoreOpener, assert_keeps_the_rules


@asynccontextmanager
async def memory(clock: ManualClock) -> AsyncIterator[JobStore]:
    yield MemoryJobStore(max_pending=MAX_PENDING, clock=clock)


@asynccontextmanager
async def sqlite(clock: ManualClock) -> AsyncIterator[JobStore]:
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteJobStore(Path(folder) / "jobs.db", max_pending=MAX_PENDING, clock=clock)
        await store.open()
        yield store
        await store.close()


STORES = {"memory": (memory, 40), "sqlite": (sqlite, 10)}
"""How each is opened, and how many lives it lives: a new store is a line here."""


@pytest.mark.parametrize(("open_store", "lives"), STORES.values(), ids=STORES)
def test_a_job_store_keeps_the_rules(open_store: StoreOpener, lives: int) -> None:
    assert_keeps_the_rules(open_store, lives=lives, steps=30)


@pytest.mark.parametrize("open_store", [memory, sqlite])
async def test_a_webhook_is_owed_until_it_has_ended(open_store: StoreOpener) -> None:
    clock = ManualClock()
    async with open_store(clock) as store:
        await assert_owes_until_told_otherwise(store, clock)
