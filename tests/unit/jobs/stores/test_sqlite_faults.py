"""A database that cannot be used: refused as it is at the start, waited for while jobs run."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from benchmarks.attack_storage import SPOILT
from composition.config import ConfigError
from composition.errors import NotReady
from composition.jobs import JobStatus
from jobs.stores.sqlite_store import SqliteJobStore
from tests.unit.jobs.job_samples import sample_job, sample_result

REASONS = {
    "garbage": "file is not a database",
    "truncated": "database disk image is malformed",
    "damaged": "it is damaged: Page 3",
    "newer": "it has schema version 999",
    "foreign": "it is another program's: there is a table customers in it",
    "folder": "it is not a file",
    "emptied": r"it is empty, but jobs\.db-wal beside it holds jobs",
}


def files_in(folder: Path) -> dict[str, bytes]:
    """Without the lock, and SQLite's index, which it makes anew for every reader."""
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.is_file() and path.suffix not in (".lock", ".db-shm") and path.stat().st_size
    }


async def refuses(path: Path, reason: str) -> None:
    before = files_in(path.parent)
    with pytest.raises(ConfigError, match=rf"storage\.jobs: .* cannot be used, and is left as it is: .*{reason}"):
        await SqliteJobStore(path).open()
    assert files_in(path.parent) == before


def test_every_spoilt_database_of_the_attack_has_its_reason():
    assert REASONS.keys() == SPOILT.keys()


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_database_is_refused_with_the_reason_and_left_as_it_is(tmp_path: Path, name: str):
    path = tmp_path / "jobs.db"
    SPOILT[name](path)  # in an event loop of its own
    asyncio.run(refuses(path, REASONS[name]))


async def test_a_record_that_cannot_be_read_is_refused_at_the_start_and_not_met_at_night(tmp_path: Path):
    path = tmp_path / "jobs.db"
    store = SqliteJobStore(path)
    await store.open()
    job = await store.add(sample_job())
    store._write_connection.execute("UPDATE jobs SET document = '{\"id\": 7'")
    await store.close()
    await refuses(path, f"the record of job {job.id} cannot be read")


async def test_a_folder_that_takes_no_more_is_refused(tmp_path: Path):
    (tmp_path / "taken").write_text("not a folder")
    with pytest.raises(ConfigError, match=r"storage\.jobs: .*"):
        await SqliteJobStore(tmp_path / "taken" / "jobs.db").open()


@pytest.mark.parametrize("kept", [0.25, 0.5, 0.9])
async def test_a_log_whose_end_was_lost_costs_no_job_before_it(tmp_path: Path, kept: float):
    store = SqliteJobStore(tmp_path / "jobs.db")
    await store.open()
    jobs = [await store.add(sample_job(f"job {n}")) for n in range(40)]
    after = tmp_path / "after"
    after.mkdir()
    shutil.copy(tmp_path / "jobs.db", after)
    log = (tmp_path / "jobs.db-wal").read_bytes()
    (after / "jobs.db-wal").write_bytes(log[: int(len(log) * kept)])
    await store.close()
    store = SqliteJobStore(after / "jobs.db")
    await store.open()
    found = (await store.list(owner="anonymous", status=None, limit=100, cursor=None)).jobs
    await store.close()
    assert 0 < len(found) < len(jobs)
    assert [job.id for job in reversed(found)] == [job.id for job in jobs[: len(found)]]


@pytest.mark.parametrize(
    ("fault", "mended", "reason"),
    [
        ("PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1000000", "database or disk is full"),
        ("PRAGMA query_only = 1", "PRAGMA query_only = 0", "attempt to write a readonly database"),
    ],
)
async def test_while_nothing_can_be_written_the_reason_is_told_and_what_was_accepted_stays(
    tmp_path: Path, fault: str, mended: str, reason: str
):
    store = SqliteJobStore(tmp_path / "jobs.db")
    await store.open()
    waiting = await store.add(sample_job("x" * 900))
    store._write_connection.execute(fault)
    with pytest.raises(NotReady, match=f"the job store cannot be used: {reason}"):
        await asyncio.gather(*(store.add(sample_job("x" * 900)) for _ in range(50)))  # more than the free pages take
    assert (await store.get(waiting.id)).status is JobStatus.PENDING
    store._write_connection.execute(mended)
    claim = await store.claim(worker_id="w", lease_s=9)
    assert claim.job.id == waiting.id
    assert await store.complete(claim, sample_result())
    await store.close()
