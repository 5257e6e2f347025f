"""Joins a `WorkerNode` to a Celery worker process: `celery -A worker worker`.

Celery's pool threads wait for tickets' outcomes; everything asynchronous lives in one event loop in a thread of its
own, so that all jobs of the process share the models and the step engine.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from celery import Celery, signals

from composition.config import Config, ConfigError
from composition.errors import CompositionError
from composition.logs import format_logs
from composition.startup import end_the_process
from jobs.queues.celery_app import TASK_NAME
from jobs.worker.attempt import AttemptSettings
from jobs.worker.worker_node import WorkerNode, WorkerParts

logger = logging.getLogger(__name__)

_T = TypeVar("_T")


class LoopThread:
    """An event loop that runs in its own thread until it is stopped."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="jobs-loop", daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, _T]) -> Future[_T]:
        """Run it there; the future is for this thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def stop(self) -> None:
        """End the loop when what runs now has returned."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class CeleryWorker:
    """Starts with the Celery worker's process and ends with it."""

    def __init__(self, app: Celery, assemble: Callable[[], Awaitable[WorkerParts]], config: Config) -> None:
        """Register the task and the worker's signals; `assemble` is awaited in the worker's event loop only."""
        self._assemble = assemble
        self._config = config
        self._loop: LoopThread | None = None
        self._node: WorkerNode | None = None
        app.task(name=TASK_NAME, acks_late=True, ignore_result=True)(self.run_next)
        signals.after_setup_logger.connect(self.set_log_level, weak=False)
        signals.worker_init.connect(self.start, weak=False)
        signals.worker_shutting_down.connect(self.wind_down, weak=False)
        signals.worker_shutdown.connect(self.stop, weak=False)

    def set_log_level(self, logger: logging.Logger, **_: object) -> None:
        """A worker logs as an API node does, not at the level of Celery's own option (warnings)."""
        logger.setLevel(self._config.logging.level)
        format_logs(self._config.logging.format, "worker")

    def start(self, **_: object) -> None:
        """Load the models before the first ticket is taken.

        Celery passes over an exception of a signal's handler, and would take tickets that nothing can serve.

        Raises:
            SystemExit: the worker cannot be put together; stderr has why.
        """
        self._loop = LoopThread()
        try:
            self._node = self._loop.submit(self._start_node()).result()
        except (ConfigError, CompositionError) as error:
            end_the_process(error)
        except Exception as error:
            logger.exception("unexpected error")
            end_the_process(RuntimeError(f"the worker cannot start: {type(error).__name__}"))

    def run_next(self) -> None:
        """One ticket."""
        if self._loop is not None and self._node is not None:
            self._loop.submit(self._node.run_next()).result()

    def wind_down(self, **_: object) -> None:
        """The first signal to stop: the grace time begins."""
        if self._loop is not None and self._node is not None:
            self._loop.submit(self._node.wind_down(grace_s=self._config.queue.shutdown_grace_s))

    def stop(self, **_: object) -> None:
        """Celery's threads have ended."""
        if self._loop is not None and self._node is not None:
            self._loop.submit(self._node.stop()).result()
            self._loop.stop()
            self._loop = self._node = None

    async def _start_node(self) -> WorkerNode:
        queue = self._config.queue
        node = WorkerNode(
            await self._assemble(),
            settings=AttemptSettings(lease_s=queue.lease_s, retry_delay_s=queue.retry_delay_s),
            result_ttl_s=queue.result_ttl_seconds,
            concurrency=self._config.limits.max_concurrent_requests,
        )
        node.start()
        return node
