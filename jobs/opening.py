"""Opens the job store, the blobs and the queue that a configuration names."""

from __future__ import annotations

from collections.abc import Callable

from composition.config import Config
from composition.ports import BlobStore, Fetcher, ImageCodec, JobHandler, JobStore
from jobs.embedded_queue import EmbeddedJobQueue
from jobs.memory_blobs import MemoryBlobStore
from jobs.memory_store import MemoryJobStore
from jobs.webhooks import WebhookSender


def open_embedded_queue(
    config: Config,
    *,
    make_handler: Callable[[BlobStore], JobHandler],
    fetcher: Fetcher,
    preview_codec: ImageCodec,
) -> tuple[EmbeddedJobQueue, BlobStore]:
    """The queue of a single machine, with the blobs that its jobs' pictures live in; start it before use.

    Args:
        config: `storage` says where, `queue` and `limits` say how.
        make_handler: builds what runs a job, over the blobs.
        fetcher: sends webhooks.
        preview_codec: encodes previews for the event stream.
    """
    store, blobs = _open_store(config), _open_blobs(config)
    queue = config.queue
    webhooks = WebhookSender(store, fetcher, secret=queue.webhook_secret, max_attempts=queue.webhook_attempts)
    return (
        EmbeddedJobQueue(
            store,
            make_handler(blobs),
            blobs,
            concurrency=config.limits.max_concurrent_requests,
            lease_s=queue.lease_s,
            result_ttl_s=queue.result_ttl_seconds,
            job_timeout_s=config.limits.request_timeout_seconds,
            webhooks=webhooks,
            preview_codec=preview_codec,
        ),
        blobs,
    )


def _open_store(config: Config) -> JobStore:
    return MemoryJobStore(max_pending=config.queue.max_pending)


def _open_blobs(config: Config) -> BlobStore:
    return MemoryBlobStore()
