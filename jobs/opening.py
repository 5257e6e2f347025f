"""Makes the job store, the blobs and the queue of one machine, as the configuration says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pydantic import SecretStr

from composition.config import Config, ConfigError
from composition.places import blobs_location, jobs_location, make_folder
from composition.ports.codec import ImageCodec
from composition.ports.network import Fetcher
from composition.ports.observation import NO_JOB_OBSERVER, JobObserver
from composition.ports.queue import BlobStore, JobHandler
from jobs.blobs.blob_stores import open_blob_store
from jobs.protocol.job_store import JobStore
from jobs.queues.embedded_queue import EmbeddedJobQueue
from jobs.queues.webhooks import WebhookListener, WebhookSender, nobody_listens
from jobs.stores.registry import make_job_store


def open_embedded_queue(
    config: Config,
    *,
    make_handler: Callable[[BlobStore], JobHandler],
    fetcher: Fetcher,
    preview_codec: ImageCodec | None = None,
    observer: JobObserver = NO_JOB_OBSERVER,
    on_webhook: WebhookListener = nobody_listens,
    ready: Callable[[], Awaitable[bool]] | None = None,
) -> tuple[EmbeddedJobQueue, BlobStore]:
    """The queue of a single machine, with the blobs that its jobs' images live in; start it before use.

    `make_handler` builds what runs a job, over the blobs; `ready` says whether the models are loaded (None: there are
    none to wait for).

    Raises: ConfigError when the storage cannot be used.
    """
    store, blobs = _stores(config)
    queue = EmbeddedJobQueue(
        store,
        make_handler(blobs),
        blobs,
        concurrency=config.limits.max_concurrent_requests,
        lease_s=config.queue.lease_s,
        retry_delay_s=config.queue.retry_delay_s,
        result_ttl_s=config.queue.result_ttl_seconds,
        webhooks=webhook_sender(config, store, fetcher, on_webhook),
        preview_codec=preview_codec,
        observer=observer,
        ready=ready,
    )
    return queue, blobs


async def check_storage(config: Config) -> None:
    """What opening the queue and starting it would find wrong, before there is a process that would start again.

    Raises:
        ConfigError: the storage cannot be used, or is in use.
    """
    store, blobs = _stores(config)
    await store.open()
    await store.close()
    await blobs.open()


def _stores(config: Config) -> tuple[JobStore, BlobStore]:
    storage = config.storage
    if storage.blobs == SecretStr("memory") and storage.jobs != "memory":
        raise ConfigError("storage.blobs: jobs that outlive the process need images that do; name a folder")
    if storage.jobs is None or storage.blobs is None:
        make_folder(storage)
    store = make_job_store(jobs_location(storage), max_pending=config.queue.max_pending)
    return store, open_blob_store(blobs_location(storage))


def webhook_sender(
    config: Config, store: JobStore, fetcher: Fetcher, on_webhook: WebhookListener = nobody_listens
) -> WebhookSender:
    """Sends what the store's outbox owes; several nodes may each have one."""
    queue = config.queue
    secret = queue.webhook_secret.get_secret_value() if queue.webhook_secret else None
    return WebhookSender(store, fetcher, secret=secret, max_attempts=queue.webhook_attempts, on_outcome=on_webhook)
