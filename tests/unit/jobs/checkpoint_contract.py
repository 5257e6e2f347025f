"""What every store promises about what an attempt has finished of a clip: kept through crashes, gone with the job."""

from __future__ import annotations

from composition.jobs import Job, JobError, JobResult, JobStatus
from composition.result import Checkpoint, Progress
from jobs.protocol.claims import Claim
from jobs.protocol.job_store import JobStore
from tests.unit.jobs.job_samples import sample_job

DONE = Checkpoint(frame_keys=("f0", "f1"), state_keys=("s0",))
MORE = Checkpoint(frame_keys=("f0", "f1", "f2"), state_keys=("s0", "s1"))
KEYS = ("base", "f0", "f1", "f2", "s0", "s1", "nobody")
RESULT = JobResult(image_key="i", image_media_type="image/png", mask_key=None, account={}, video_key="v")
BROKEN = JobError(code="MODEL_ERROR", message="x")

AGAIN = ("recover", "release", "fail")
"""The ways to another attempt: a restart, an ordered stop, a failure that may pass."""
ENDS = ("complete", "fail", "cancel")


async def assert_the_newest_is_kept(store: JobStore) -> None:
    """Told between heartbeats without one; the blobs of all are the job's, and no garbage."""
    job, _ = await _started(store)
    assert (await store.get(job.id)).checkpoint == MORE
    assert await store.unreferenced(KEYS) == ("nobody",)
    assert await store.garbage(limit=9) == ()


async def assert_another_attempt_finds_it(store: JobStore, way: str) -> None:
    """After each of `AGAIN`."""
    job, claim = await _started(store)
    if way == "recover":
        await store.recover()
    elif way == "release":
        assert await store.release(claim)
    else:
        assert await store.fail(claim, BROKEN, retry=True)
    again = await store.claim(worker_id="v", lease_s=10)
    assert again is not None
    assert again.job.id == job.id
    assert again.job.checkpoint == MORE
    assert await store.unreferenced(KEYS) == ("nobody",)


async def assert_its_blobs_go_when_the_job_ends(store: JobStore, end: str) -> None:
    """By each of `ENDS`; those of the result stay."""
    job, claim = await _started(store)
    if end == "complete":
        assert await store.complete(claim, RESULT)
    elif end == "fail":
        assert await store.fail(claim, BROKEN, retry=False)
    else:
        await store.cancel(job.id)
    assert (await store.get(job.id)).status is not JobStatus.PROCESSING
    assert set(await store.garbage(limit=20)) == set(KEYS) - {"nobody"}
    assert set(await store.unreferenced(("i", "v"))) == (set() if end == "complete" else {"i", "v"})


async def _started(store: JobStore) -> tuple[Job, Claim]:
    job = await store.add(sample_job())
    claim = await store.claim(worker_id="w", lease_s=10)
    assert claim is not None
    for checkpoint in (DONE, None, MORE, None):
        progress = Progress(stage="diffuse", fraction=0.5, checkpoint=checkpoint)
        assert await store.heartbeat(claim, lease_s=10, progress=progress)
    return job, claim
