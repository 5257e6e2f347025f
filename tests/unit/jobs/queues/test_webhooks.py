from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Mapping

import pytest

from composition.errors import NotReady
from composition.jobs import JobError
from jobs.queues.webhooks import WebhookSender, signed_headers
from jobs.stores.memory_store import MemoryJobStore
from tests.fakes.fake_fetcher import FakeFetcher
from tests.unit.jobs.job_samples import ManualClock, sample_job, sample_result

URL = "https://shop.example/hook"


class Owed:
    """A store in which a job with a callback has ended."""

    def __init__(self, *, max_attempts: int = 3) -> None:
        self.clock = ManualClock()
        self.store = MemoryJobStore(clock=self.clock)
        self.fetcher = FakeFetcher()
        self.sender = WebhookSender(
            self.store, self.fetcher, secret="s3cret", max_attempts=max_attempts, first_delay_s=5.0, clock=self.clock
        )

    async def completed_job(self) -> str:
        job = await self.store.add(sample_job(callback_url=URL))
        claim = await self.store.claim(worker_id="w", lease_s=10)
        assert await self.store.complete(claim, sample_result())
        return job.id


async def test_the_end_of_a_job_is_posted_once_with_its_account():
    owed = Owed()
    job_id = await owed.completed_job()
    assert await owed.sender.send_due() == 1
    assert await owed.sender.send_due() == 0
    ((url, body, headers),) = owed.fetcher.posted
    document = json.loads(body)
    assert url == URL
    assert (document["type"], document["data"]["job_id"]) == ("job.completed", job_id)
    assert document["data"]["result"]["metadata"] == {"seed_used": 7}
    assert headers["webhook-id"] == document["id"]


async def test_a_job_without_callback_owes_nothing():
    owed = Owed()
    await owed.store.add(sample_job())
    claim = await owed.store.claim(worker_id="w", lease_s=10)
    await owed.store.fail(claim, JobError(code="MODEL_ERROR", message="no"), retry=False)
    assert await owed.sender.send_due() == 0


async def test_the_signature_is_the_standard_one():
    headers = signed_headers("id-1", b'{"a":1}', secret="s3cret", timestamp=1_700_000_000)
    expected = hmac.new(b"s3cret", b'id-1.1700000000.{"a":1}', hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(expected).decode()
    assert headers["webhook-timestamp"] == "1700000000"
    assert "webhook-signature" not in signed_headers("id-1", b"{}", secret=None, timestamp=1)


async def test_a_refused_webhook_is_repeated_with_growing_rests_and_the_same_id():
    owed = Owed(max_attempts=3)
    await owed.completed_job()
    owed.fetcher.post_status = 500
    assert await owed.sender.send_due() == 1
    for delay_s in (5.0, 20.0):
        owed.clock.advance(delay_s - 0.1)
        assert await owed.sender.send_due() == 0
        owed.clock.advance(0.1)
        assert await owed.sender.send_due() == 1
    assert len({headers["webhook-id"] for _, _, headers in owed.fetcher.posted}) == 1
    assert len({headers["webhook-timestamp"] for _, _, headers in owed.fetcher.posted}) == 3
    owed.clock.advance(1e6)
    assert await owed.sender.send_due() == 0, "given up after the last attempt"


@pytest.mark.parametrize("status", [200, 204, 299])
async def test_every_2xx_counts_as_delivered(status):
    owed = Owed()
    await owed.completed_job()
    owed.fetcher.post_status = status
    await owed.sender.send_due()
    owed.clock.advance(1e6)
    assert await owed.sender.send_due() == 0


@pytest.mark.parametrize("status", [199, 301, 404, 503])
async def test_any_other_status_is_repeated(status):
    owed = Owed()
    await owed.completed_job()
    owed.fetcher.post_status = status
    await owed.sender.send_due()
    owed.clock.advance(5.0)
    assert await owed.sender.send_due() == 1


async def test_a_forbidden_address_is_repeated_like_any_failure():
    owed = Owed()
    await owed.completed_job()
    owed.fetcher.forbidden.add(URL)
    await owed.sender.send_due()
    assert owed.fetcher.posted == []
    owed.fetcher.forbidden.clear()
    owed.clock.advance(5.0)
    await owed.sender.send_due()
    assert len(owed.fetcher.posted) == 1


async def test_a_sender_that_died_in_mid_post_leaves_the_webhook_owed():
    owed = Owed()
    await owed.completed_job()
    (taken,) = await owed.store.due_deliveries(limit=1, hold_s=30.0)
    assert await owed.sender.send_due() == 0
    owed.clock.advance(30.0)
    assert await owed.sender.send_due() == 1
    assert owed.fetcher.posted[0][2]["webhook-id"] == taken.id


async def test_a_receiver_that_hangs_does_not_hold_up_the_others():
    class Hanging(FakeFetcher):
        hangs, delivered = asyncio.Event(), asyncio.Event()

        async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
            if not self.hangs.is_set():
                self.hangs.set()
                await asyncio.Event().wait()
            self.delivered.set()
            return await super().post(url, body, headers)

    owed, fetcher = Owed(), Hanging()
    sender = WebhookSender(owed.store, fetcher, secret=None, clock=owed.clock)
    sender.start()
    await owed.completed_job()
    sender.wake()
    await fetcher.hangs.wait()
    quick = await owed.completed_job()
    sender.wake()
    async with asyncio.timeout(60):
        await fetcher.delivered.wait()
    await sender.stop()
    assert [json.loads(body)["data"]["job_id"] for _, body, _ in fetcher.posted] == [quick]


async def test_a_sender_that_stops_ends_its_posts_and_owes_them():
    class Hanging(FakeFetcher):
        hangs, ended = asyncio.Event(), asyncio.Event()

        async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
            self.hangs.set()
            try:
                return await asyncio.Event().wait()
            finally:
                self.ended.set()

    owed, fetcher = Owed(), Hanging()
    sender = WebhookSender(owed.store, fetcher, secret=None, clock=owed.clock)
    await sender.stop()
    sender.start()
    await owed.completed_job()
    sender.wake()
    await fetcher.hangs.wait()
    async with asyncio.timeout(60):
        await sender.stop()
    assert fetcher.ended.is_set()
    owed.clock.advance(30.0)
    assert len(await owed.store.due_deliveries(limit=9, hold_s=1)) == 1


async def test_an_unexpected_error_counts_as_an_attempt(caplog):
    class Broken(FakeFetcher):
        async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
            raise ValueError("of a broken fetcher")

    owed = Owed()
    sender = WebhookSender(owed.store, Broken(), secret=None, max_attempts=2, clock=owed.clock)
    await owed.completed_job()
    for expected in (1, 1, 0):
        assert await sender.send_due() == expected
        owed.clock.advance(1e6)
    assert "of a broken fetcher" in caplog.text


async def test_a_webhook_whose_outcome_cannot_be_noted_is_repeated():
    owed = Owed()
    await owed.completed_job()
    end = owed.store.end_delivery

    async def away(delivery_id: str) -> None:
        raise NotReady("away")

    owed.store.end_delivery = away
    await owed.sender.send_due()
    owed.store.end_delivery = end
    owed.clock.advance(30.0)
    assert await owed.sender.send_due() == 1
    assert len({headers["webhook-id"] for _, _, headers in owed.fetcher.posted}) == 1
