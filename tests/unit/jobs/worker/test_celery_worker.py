"""What the configuration says also holds in a worker's process."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from celery import signals

from composition.config import Config, ConfigError, LoggingConfig
from composition.errors import NotReady
from jobs.queues.celery_app import create_celery_app
from jobs.worker.celery_worker import CeleryWorker
from jobs.worker.worker_node import WorkerParts


async def assemble() -> WorkerParts:
    raise NotImplementedError


def test_a_worker_logs_at_the_configured_level():
    config = Config(logging=LoggingConfig(level="DEBUG"))
    worker = CeleryWorker(create_celery_app(config.queue, concurrency=1), assemble, config)
    logger = logging.Logger("of a worker", level=logging.WARNING)
    with connected(worker):
        signals.after_setup_logger.send(sender=None, logger=logger, loglevel=logging.WARNING)
    assert logger.level == logging.DEBUG


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConfigError("models.device is cuda, but there is none"), "models.device is cuda, but there is none"),
        (NotReady("sam is missing; run: import it"), "sam is missing; run: import it"),
        (ValueError("a bug with a secret"), "the worker cannot start: ValueError"),
    ],
)
def test_a_worker_whose_models_cannot_be_loaded_ends_with_one_line(error, said, capsys):
    async def fail() -> WorkerParts:
        raise error

    config = Config()
    worker = CeleryWorker(create_celery_app(config.queue, concurrency=1), fail, config)
    with connected(worker), pytest.raises(SystemExit) as ended:
        signals.worker_init.send(sender=None)
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"error: {said}\n"


@contextmanager
def connected(worker: CeleryWorker) -> Iterator[None]:
    """Its signals are Celery's, of this process."""
    try:
        yield
    finally:
        signals.after_setup_logger.disconnect(worker.set_log_level)
        signals.worker_init.disconnect(worker.start)
        signals.worker_shutting_down.disconnect(worker.wind_down)
        signals.worker_shutdown.disconnect(worker.stop)
