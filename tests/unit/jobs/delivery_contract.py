"""What every store promises about the webhooks that it owes."""

from __future__ import annotations

from jobs.protocol.job_store import JobStore
from tests.unit.jobs.job_samples import ManualClock, sample_job, sample_result

URL = "https://shop.example/hook"


async def assert_owes_until_told_otherwise(store: JobStore, clock: ManualClock) -> None:
    """A delivery is due at once, held for whoever took it, due again when postponed, and gone once it has ended."""
    job = await store.add(sample_job(callback_url=URL))
    claim = await store.claim(worker_id="w", lease_s=10)
    assert claim is not None
    assert await store.complete(claim, sample_result())

    (first,) = await store.due_deliveries(limit=9, hold_s=30)
    assert (first.url, first.job_id, first.attempts) == (URL, job.id, 1)
    assert await store.due_deliveries(limit=9, hold_s=30) == ()
    clock.advance(30)
    (second,) = await store.due_deliveries(limit=9, hold_s=30)
    assert (second.id, second.attempts) == (first.id, 2)

    await store.postpone_delivery(first.id, delay_s=100)
    clock.advance(99)
    assert await store.due_deliveries(limit=9, hold_s=30) == ()
    clock.advance(1)
    assert len(await store.due_deliveries(limit=9, hold_s=30)) == 1

    await store.end_delivery(first.id)
    await store.postpone_delivery(first.id, delay_s=0)
    clock.advance(1e6)
    assert await store.due_deliveries(limit=9, hold_s=30) == ()
