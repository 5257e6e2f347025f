"""The Celery application that API nodes and workers share: one queue of tickets on Redis.

A ticket says "there is a job": it names none. Which job runs, in what order and who may publish is decided by the job
store, so a ticket that is delivered twice, late or for nothing does no harm, and a lost one is replaced (`Tickets`).
"""

from __future__ import annotations

from celery import Celery

from composition.config import QueueConfig

QUEUE_NAME = "composition"
TASK_NAME = "composition.run_next_job"
SOCKET_TIMEOUT_S = 3.0


def create_celery_app(queue: QueueConfig, *, concurrency: int) -> Celery:
    """Acks late, threads pool, nothing prefetched beyond what runs, results kept by the job store only.

    Args:
        queue: where Redis is; the visibility timeout, longer than the longest job.
        concurrency: jobs at a time in one worker process (they share its GPU).
    """
    app = Celery("composition", broker=queue.redis_url.get_secret_value(), set_as_current=False)
    transport = {
        "visibility_timeout": queue.visibility_timeout_s,
        "socket_timeout": SOCKET_TIMEOUT_S,
        "socket_connect_timeout": SOCKET_TIMEOUT_S,
    }
    app.conf.update(
        task_default_queue=QUEUE_NAME,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        worker_pool="threads",
        worker_concurrency=concurrency,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_transport_options=transport,
        broker_connection_timeout=SOCKET_TIMEOUT_S,
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_pool_limit=2,
    )
    return app
