"""What an attempt has finished of a clip, in the stores that need no server and in the document of a job."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.protocol.documents import dump_record, load_record
from jobs.protocol.lifecycle import Record
from tests.unit.jobs.checkpoint_contract import (
    AGAIN,
    ENDS,
    MORE,
    RESULT,
    assert_another_attempt_finds_it,
    assert_its_blobs_go_when_the_job_ends,
    assert_the_newest_is_kept,
)
from tests.unit.jobs.job_samples import ManualClock, sample_job
from tests.unit.jobs.stores.test_job_stores_keep_the_rules import memory, sqlite

both = pytest.mark.parametrize("open_store", [memory, sqlite])


@both
async def test_the_newest_one_is_kept_and_its_blobs_are_the_jobs(open_store):
    async with open_store(ManualClock()) as store:
        await assert_the_newest_is_kept(store)


@both
@pytest.mark.parametrize("way", AGAIN)
async def test_another_attempt_finds_it(open_store, way):
    async with open_store(ManualClock()) as store:
        await assert_another_attempt_finds_it(store, way)


@both
@pytest.mark.parametrize("end", ENDS)
async def test_its_blobs_go_when_the_job_ends(open_store, end):
    async with open_store(ManualClock()) as store:
        await assert_its_blobs_go_when_the_job_ends(store, end)


def test_a_record_with_one_is_read_as_it_was_written():
    job = sample_job()
    record = load_record(dump_record(Record(job=job, order=1)))
    assert record.job.checkpoint is None
    with_one = Record(job=replace(job, checkpoint=MORE, result=RESULT), order=1)
    assert load_record(dump_record(with_one)) == with_one
