"""What the configuration says also holds in a worker's process."""

from __future__ import annotations

import logging

from celery import signals

from composition.config import Config, LoggingConfig
from jobs.queues.celery_app import create_celery_app
from jobs.worker.celery_worker import CeleryWorker
from jobs.worker.worker_node import WorkerParts


async def assemble() -> WorkerParts:
    raise NotImplementedError


def test_a_worker_logs_at_the_configured_level():
    config = Config(logging=LoggingConfig(level="DEBUG"))
    worker = CeleryWorker(create_celery_app(config.queue, concurrency=1), assemble, config)
    logger = logging.Logger("of a worker", level=logging.WARNING)
    try:
        signals.after_setup_logger.send(sender=None, logger=logger, loglevel=logging.WARNING)
    finally:
        signals.after_setup_logger.disconnect(worker.set_log_level)
        signals.worker_init.disconnect(worker.start)
        signals.worker_shutting_down.disconnect(worker.wind_down)
        signals.worker_shutdown.disconnect(worker.stop)
    assert logger.level == logging.DEBUG
