"""Puts the embedded queue together for service.py, as the configuration says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from composition.config import Config, ConfigError
from composition.ports import BlobStore, Fetcher, ImageCodec, JobHandler, JobQueue, JobStore, ModelHealth
from jobs.blob_stores import open_blob_store
from jobs.embedded_queue import EmbeddedJobQueue
from jobs.memory_store import MemoryJobStore
from jobs.sqlite_store import SqliteJobStore
from jobs.webhooks import WebhookSender


@dataclass(frozen=True, kw_only=True)
class ApiJobs:
    """What the front service needs. `close` comes after the queue's `stop`.

    `fleet` tells the health of the workers elsewhere; None when this process runs the jobs itself.
    """

    queue: JobQueue
    blobs: BlobStore
    fleet: ModelHealth | None
    close: Callable[[], Awaitable[None]]


async def embedded_jobs(
    config: Config,
    make_handler: Callable[[BlobStore], JobHandler],
    fetcher: Fetcher,
    *,
    preview_codec: ImageCodec | None = None,
) -> ApiJobs:
    """The queue inside the front service.

    Raises:
        ConfigError: more than one API worker, or the storage cannot be used.
    """
    if config.api.workers > 1:
        raise ConfigError(
            f"api.workers: the embedded queue runs in exactly one API worker, got {config.api.workers};"
            " several need queue.backend: celery"
        )
    blobs = open_blob_store(config.storage.blobs)
    store, close = await _open_store(config)
    queue = EmbeddedJobQueue(
        store,
        make_handler(blobs),
        blobs,
        concurrency=config.limits.max_concurrent_requests,
        lease_s=config.queue.lease_s,
        result_ttl_s=config.queue.result_ttl_seconds,
        webhooks=webhook_sender(config, store, fetcher),
        preview_codec=preview_codec,
    )
    return ApiJobs(queue=queue, blobs=blobs, fleet=None, close=close)


def webhook_sender(config: Config, store: JobStore, fetcher: Fetcher) -> WebhookSender:
    """The outbox's sender; every node may have one."""
    return WebhookSender(store, fetcher, secret=config.queue.webhook_secret, max_attempts=config.queue.webhook_attempts)


async def _open_store(config: Config) -> tuple[JobStore, Callable[[], Awaitable[None]]]:
    if config.storage.jobs == "memory":
        return MemoryJobStore(max_pending=config.queue.max_pending), _nothing
    if config.storage.blobs == "memory":
        raise ConfigError("storage.blobs: jobs that outlive the process need pictures that do; name a folder")
    store = SqliteJobStore(Path(config.storage.jobs), max_pending=config.queue.max_pending)
    await store.open()
    return store, store.close


async def _nothing() -> None:
    return None
