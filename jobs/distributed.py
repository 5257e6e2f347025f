"""Puts the distributed queue together for service.py (API nodes) and worker.py, as the configuration says.

Needs the optional dependencies of the `distributed` extra; nothing else in the service imports this module.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from celery import Celery
from pydantic import SecretStr
from redis.asyncio import Redis

from composition.config import Config, ConfigError
from composition.places import blobs_location
from composition.ports.codec import ImageCodec
from composition.ports.diffuser import ModelHealth
from composition.ports.network import Fetcher
from composition.ports.observation import NO_JOB_OBSERVER, JobObserver
from composition.ports.queue import BlobStore, JobHandler
from jobs.blobs.blob_stores import open_blob_store
from jobs.blobs.retrying_blobs import RetryingBlobStore
from jobs.opening import webhook_sender
from jobs.queues.celery_app import create_celery_app
from jobs.queues.celery_queue import CeleryJobQueue
from jobs.queues.fleet_health import FleetHealth
from jobs.queues.tickets import Tickets
from jobs.queues.webhooks import WebhookListener, nobody_listens
from jobs.redis_connection import connect
from jobs.stores.redis_store import RedisJobStore
from jobs.worker.celery_worker import CeleryWorker
from jobs.worker.worker_node import WorkerParts


@dataclass(frozen=True, kw_only=True)
class WorkerModels:
    """What a worker runs jobs with, built in its event loop, and who is told of them; `close` frees it."""

    handler: JobHandler
    health: ModelHealth
    close: Callable[[], Awaitable[None]]
    observer: JobObserver = NO_JOB_OBSERVER


def open_celery_queue(
    config: Config, *, fetcher: Fetcher, on_webhook: WebhookListener = nobody_listens
) -> tuple[CeleryJobQueue, BlobStore, ModelHealth]:
    """An API node's queue, the blobs it shares with the workers, and the workers' health; start the queue before use.

    Raises: ConfigError.
    """
    blobs = _shared_blobs(config)
    redis, store = _redis_store(config)
    queue = CeleryJobQueue(
        store,
        blobs,
        Tickets(_celery(config), redis, store),
        lease_s=config.queue.lease_s,
        result_ttl_s=config.queue.result_ttl_seconds,
        webhooks=webhook_sender(config, store, fetcher, on_webhook),
    )
    return queue, blobs, FleetHealth(redis)


def celery_worker_app(
    config: Config,
    load_models: Callable[[BlobStore], Awaitable[WorkerModels]],
    *,
    preview_codec: ImageCodec | None = None,
) -> Celery:
    """The application for `celery -A worker worker`; `load_models` is awaited when the worker starts.

    Raises: ConfigError.
    """
    blobs = _shared_blobs(config)
    app = _celery(config)

    async def assemble() -> WorkerParts:
        await blobs.open()
        redis, store = _redis_store(config)
        models = await load_models(RetryingBlobStore(blobs))
        return WorkerParts(
            redis=redis, store=store, blobs=blobs, tickets=Tickets(app, redis, store), handler=models.handler,
            health=models.health, close=models.close, preview_codec=preview_codec, observer=models.observer,
        )  # fmt: skip

    CeleryWorker(app, assemble, config)
    return app


def _redis_store(config: Config) -> tuple[Redis, RedisJobStore]:
    try:
        redis = connect(config.queue.redis_url.get_secret_value())
    except ValueError:  # its message may quote what is a password's part
        raise ConfigError("queue.redis_url: is not a redis:// URL with a host and, if any, a numeric port") from None
    return redis, RedisJobStore(redis, max_pending=config.queue.max_pending)


def _shared_blobs(config: Config) -> BlobStore:
    if config.storage.blobs == SecretStr("memory"):
        raise ConfigError("storage.blobs: nodes share no memory; null keeps images in Redis")
    if config.storage.blobs:
        return open_blob_store(blobs_location(config.storage))
    return open_blob_store(config.queue.redis_url.get_secret_value(), key="queue.redis_url")


def _celery(config: Config) -> Celery:
    return create_celery_app(config.queue, concurrency=config.limits.max_concurrent_requests)
