"""What holds on every job store while the clock that it writes down is set: `STEPS` by name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import pytest

from composition.errors import NotFound
from composition.jobs import JobError, JobStatus
from jobs.protocol.job_store import JobStore
from tests.unit.jobs.job_samples import ManualClock, sample_job, sample_result

Step = Callable[[JobStore, ManualClock], Awaitable[None]]

HOUR_S = 3600.0
STEPS_S = (HOUR_S, -HOUR_S, 50 * 365 * 24 * HOUR_S, -50 * 365 * 24 * HOUR_S)
"""What NTP corrects after a bad battery is half a century."""
TTL_S = 1000.0
ERROR = JobError(code="MODEL_ERROR", message="no")


async def a_running_job_keeps_its_lease(store: JobStore, clock: ManualClock) -> None:
    for step_s in STEPS_S:
        job = await store.add(sample_job(interactive=True))
        claim = await store.claim(worker_id="w", lease_s=10)
        await store.sweep(result_ttl_s=TTL_S)
        clock.set_by(step_s)
        for _ in range(4):
            assert await store.sweep(result_ttl_s=TTL_S) == ()
            clock.advance(4)
            assert await store.heartbeat(claim, lease_s=10, progress=None)
        assert await store.complete(claim, sample_result())
        assert (await store.get(job.id)).attempt == 1


async def a_lost_worker_is_found_out_in_time(store: JobStore, clock: ManualClock) -> None:
    for step_s in STEPS_S:
        job = await store.add(sample_job())
        await store.claim(worker_id="dead", lease_s=10)
        clock.set_by(step_s)
        clock.advance(9)
        await store.sweep(result_ttl_s=TTL_S)
        assert (await store.get(job.id)).status is JobStatus.PROCESSING
        clock.advance(1)
        await store.sweep(result_ttl_s=TTL_S)
        assert (await store.get(job.id)).status is JobStatus.PENDING
        await store.cancel(job.id)


async def a_delayed_job_starts_within_five_minutes(store: JobStore, clock: ManualClock) -> None:
    for step_s in STEPS_S:
        await store.add(sample_job())
        claim = await store.claim(worker_id="w", lease_s=10)
        await store.fail(claim, ERROR, retry=True, delay_s=60)
        assert await store.claim(worker_id="w", lease_s=10) is None
        clock.set_by(step_s)
        clock.advance(300)
        again = await store.claim(worker_id="w", lease_s=10)
        assert again is not None
        await store.complete(again, sample_result())


async def a_job_that_has_to_wait_again_holds_up_no_other(store: JobStore, clock: ManualClock) -> None:
    first = await store.add(sample_job())
    claim = await store.claim(worker_id="w", lease_s=10)
    await store.fail(claim, ERROR, retry=True, delay_s=20)
    clock.advance(21)
    assert await store.oldest_wait_s() > 0.0
    clock.set_by(-10)
    other = await store.add(sample_job())
    claims = [await store.claim(worker_id="w", lease_s=10) for _ in range(2)]
    assert [claim and claim.job.id for claim in claims] == [other.id, None]
    clock.advance(9)
    assert (await store.claim(worker_id="w", lease_s=10)).job.id == first.id


async def a_result_is_kept_for_its_time(store: JobStore, clock: ManualClock) -> None:
    for step_s in STEPS_S:
        job = await store.add(sample_job())
        await store.sweep(result_ttl_s=TTL_S)
        await store.complete(await store.claim(worker_id="w", lease_s=10), sample_result())
        clock.set_by(step_s)
        await store.sweep(result_ttl_s=TTL_S)
        clock.advance(TTL_S - 1)
        await store.sweep(result_ttl_s=TTL_S)
        assert (await store.get(job.id)).status is JobStatus.COMPLETED


async def a_step_forward_keeps_nothing_for_ever(store: JobStore, clock: ManualClock) -> None:
    await store.sweep(result_ttl_s=TTL_S)
    before = await store.add(sample_job())
    await store.complete(await store.claim(worker_id="w", lease_s=10), sample_result())
    clock.set_by(STEPS_S[2])
    await store.sweep(result_ttl_s=TTL_S)
    after = await store.add(sample_job())
    await store.complete(await store.claim(worker_id="w", lease_s=10), sample_result("other"))
    clock.advance(TTL_S)
    await store.sweep(result_ttl_s=TTL_S)
    for job in (before, after):
        with pytest.raises(NotFound):
            await store.get(job.id)


async def a_webhook_is_due_at_once_and_again_within_an_hour(store: JobStore, clock: ManualClock) -> None:
    for step_s in STEPS_S:
        job = await store.add(sample_job(callback_url="https://shop.example/hook"))
        await store.cancel(job.id)
        clock.set_by(step_s)
        (first,) = await store.due_deliveries(limit=5, hold_s=30)
        assert await store.due_deliveries(limit=5, hold_s=30) == ()
        await store.postpone_delivery(first.id, delay_s=20)
        clock.set_by(-step_s)
        clock.advance(HOUR_S + 20)
        (second,) = await store.due_deliveries(limit=5, hold_s=30)
        assert (second.id, second.attempts) == (first.id, 2)
        await store.end_delivery(first.id)


STEPS: Mapping[str, Step] = {
    step.__name__: step
    for step in (
        a_running_job_keeps_its_lease,
        a_lost_worker_is_found_out_in_time,
        a_delayed_job_starts_within_five_minutes,
        a_job_that_has_to_wait_again_holds_up_no_other,
        a_result_is_kept_for_its_time,
        a_step_forward_keeps_nothing_for_ever,
        a_webhook_is_due_at_once_and_again_within_an_hour,
    )
}
