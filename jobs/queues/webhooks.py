"""Tells a job's `callback_url` that the job ended: store's outbox -> **sign** -> post -> done, or later again.

At least once: the delivery's id is the same at every attempt, so that a receiver can drop repeats. Headers and
signature follow the Standard Webhooks specification (https://www.standardwebhooks.com): `webhook-id`,
`webhook-timestamp`, and `webhook-signature: v1,<base64 of HMAC-SHA256 of "id.timestamp.body">`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import logging
import time
from collections.abc import Callable, Mapping

from composition.errors import CompositionError
from composition.ports.network import Fetcher
from jobs.protocol.claims import MAX_POSTPONEMENT_S, Delivery
from jobs.protocol.job_store import JobStore

logger = logging.getLogger(__name__)

AT_ONCE = 16
"""Posts in flight: a receiver that hangs holds up its own webhooks, not everybody's."""
_HOLD_S = 30.0

WebhookListener = Callable[[str], None]
"""Told what came of each call: delivered, postponed or given_up."""


def nobody_listens(outcome: str) -> None:
    """A `WebhookListener`."""


class WebhookSender:
    """Sends what the store's outbox owes. `secret` None sends unsigned."""

    def __init__(
        self,
        store: JobStore,
        fetcher: Fetcher,
        *,
        secret: str | None,
        max_attempts: int = 6,
        first_delay_s: float = 5.0,
        poll_s: float = 1.0,
        on_outcome: WebhookListener = nobody_listens,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """The delay before the n-th repeat is `first_delay_s` * 4^(n-1), at most an hour."""
        self._store = store
        self._fetcher = fetcher
        self._secret = secret
        self._max_attempts = max_attempts
        self._first_delay_s = first_delay_s
        self._poll_s = poll_s
        self._on_outcome = on_outcome
        self._clock = clock
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._posts: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin, in the running event loop."""
        self._task = asyncio.create_task(self._send_for_ever())

    def wake(self) -> None:
        """A job ended."""
        self._woken.set()

    async def stop(self) -> None:
        """What is owed stays in the outbox for the next start."""
        if self._task is not None:
            tasks = (self._task, *self._posts)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def send_due(self) -> int:
        """Begin with what is due now, as far as there is room, and wait for it; how many were tried."""
        begun = await self._begin_due()
        await asyncio.gather(*begun)
        return len(begun)

    async def _begin_due(self) -> list[asyncio.Task[None]]:
        room = AT_ONCE - len(self._posts)
        due = await self._store.due_deliveries(limit=room, hold_s=_HOLD_S) if room else ()
        begun = [asyncio.create_task(self._send(delivery)) for delivery in due]
        self._posts.update(begun)
        for post in begun:
            post.add_done_callback(self._on_post_ended)
        return begun

    def _on_post_ended(self, post: asyncio.Task[None]) -> None:
        self._posts.discard(post)
        self._woken.set()

    async def _send_for_ever(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self._begin_due()
            except CompositionError as error:
                logger.warning("webhooks wait: %s", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await self._woken.wait()

    async def _send(self, delivery: Delivery) -> None:
        try:
            await self._settle(delivery, await self._post(delivery))
        except CompositionError as error:
            logger.warning("webhook %s: the outbox is away, it will be repeated: %s", delivery.id, error)

    async def _settle(self, delivery: Delivery, outcome: str | None) -> None:
        if outcome is None or delivery.attempts >= self._max_attempts:
            if outcome is not None:
                logger.error("webhook %s of job %s is given up: %s", delivery.id, delivery.job_id, outcome)
            await self._store.end_delivery(delivery.id)
            self._on_outcome("delivered" if outcome is None else "given_up")
            return
        delay_s = min(self._first_delay_s * 4.0 ** (delivery.attempts - 1), MAX_POSTPONEMENT_S)
        logger.warning(
            "webhook %s of job %s failed (%s), again in %g s", delivery.id, delivery.job_id, outcome, delay_s
        )
        await self._store.postpone_delivery(delivery.id, delay_s=delay_s)
        self._on_outcome("postponed")

    async def _post(self, delivery: Delivery) -> str | None:
        """None when it arrived, else why not."""
        body = delivery.body.encode()
        headers = signed_headers(delivery.id, body, secret=self._secret, timestamp=int(self._clock()))
        try:
            status = await self._fetcher.post(delivery.url, body, headers)
        except CompositionError as error:
            return error.message
        except Exception:
            logger.exception("webhook %s of job %s", delivery.id, delivery.job_id)
            return "unexpected error"
        return None if 200 <= status < 300 else f"HTTP status {status}"


def signed_headers(delivery_id: str, body: bytes, *, secret: str | None, timestamp: int) -> Mapping[str, str]:
    """The headers of one attempt; without a secret there is no signature."""
    headers = {
        "content-type": "application/json",
        "webhook-id": delivery_id,
        "webhook-timestamp": str(timestamp),
    }
    if secret is not None:
        signed = f"{delivery_id}.{timestamp}.".encode() + body
        digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode('ascii')}"
    return headers
