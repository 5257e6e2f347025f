"""What an attempt has finished of a clip: kept with the job through crashes, and deleted when it ends."""

from __future__ import annotations

import pytest

from composition.jobs import JobError, JobResult, JobStatus
from composition.result import Checkpoint, Progress
from jobs.protocol.documents import dump_record, load_record
from jobs.protocol.lifecycle import Record
from tests.unit.jobs.job_samples import ManualClock, sample_job
from tests.unit.jobs.stores.test_job_stores_keep_the_rules import memory, sqlite

DONE = Checkpoint(frame_keys=("f0", "f1"), state_keys=("s0",))
MORE = Checkpoint(frame_keys=("f0", "f1", "f2"), state_keys=("s0", "s1"))
KEYS = ("base", "f0", "f1", "f2", "s0", "s1", "nobody")
RESULT = JobResult(image_key="i", image_media_type="image/png", mask_key=None, account={}, video_key="v")
both = pytest.mark.parametrize("open_store", [memory, sqlite])


def told(checkpoint=None):
    return Progress(stage="diffuse", fraction=0.5, checkpoint=checkpoint)


async def started(store):
    job = await store.add(sample_job())
    claim = await store.claim(worker_id="w", lease_s=10)
    for checkpoint in (DONE, None, MORE, None):
        assert await store.heartbeat(claim, lease_s=10, progress=told(checkpoint))
    return job, claim


@both
async def test_the_newest_one_is_kept_and_its_blobs_are_the_jobs(open_store):
    async with open_store(ManualClock()) as store:
        job, _ = await started(store)
        assert (await store.get(job.id)).checkpoint == MORE
        assert await store.unreferenced(KEYS) == ("nobody",)
        assert await store.garbage(limit=9) == ()


@both
@pytest.mark.parametrize("end", ["recover", "release", "retry"])
async def test_another_attempt_finds_it(open_store, end):
    async with open_store(ManualClock()) as store:
        job, claim = await started(store)
        if end == "recover":
            await store.recover()
        elif end == "release":
            await store.release(claim)
        else:
            await store.fail(claim, JobError(code="MODEL_ERROR", message="x"), retry=True)
        again = await store.claim(worker_id="v", lease_s=10)
        assert again.job.id == job.id
        assert again.job.checkpoint == MORE
        assert await store.unreferenced(KEYS) == ("nobody",)


@both
@pytest.mark.parametrize("end", ["complete", "fail", "cancel"])
async def test_its_blobs_go_when_the_job_ends(open_store, end):
    async with open_store(ManualClock()) as store:
        job, claim = await started(store)
        if end == "complete":
            await store.complete(claim, RESULT)
        elif end == "fail":
            await store.fail(claim, JobError(code="INTERNAL", message="x"), retry=False)
        else:
            await store.cancel(job.id)
        assert (await store.get(job.id)).status is not JobStatus.PROCESSING
        assert set(await store.garbage(limit=20)) == set(KEYS) - {"nobody"}
        kept = set() if end != "complete" else {"i", "v"}
        assert set(await store.unreferenced(("i", "v"))) == {"i", "v"} - kept


def test_a_record_with_one_is_read_as_it_was_written():
    job = sample_job()
    record = load_record(dump_record(Record(job=job, order=1)))
    assert record.job.checkpoint is None
    from dataclasses import replace

    with_one = Record(job=replace(job, checkpoint=MORE, result=RESULT), order=1)
    assert load_record(dump_record(with_one)) == with_one
