"""How a runner is seen from outside: its series, its spans, the name in its log lines.

Behind `bentoml serve` a runner is a process of its own, and speaks for it; in a Celery worker, or a test, somebody else
does, and the runner tells only what its models do.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from threading import Event
from typing import TYPE_CHECKING

import bentoml

from composition.config import Config
from composition.logs import format_logs
from observability.models import BatchMetrics, DiffusionMetrics
from observability.processes import ProcessMetrics, Sample, keep_sampling
from observability.series import process_registry
from observability.tracing import set_up_tracing
from runners.batch_account import MeasuredBatches

if TYPE_CHECKING:
    import torch

_A_RUNNER = "service"


class _Process:
    """Whether a runner speaks for this process already: of several in one the first does."""

    watched = False


@cache
def batch_account() -> MeasuredBatches:
    """What a desk tells of its batches to, in this process."""
    return MeasuredBatches(BatchMetrics(process_registry()))


@cache
def diffusion_metrics() -> DiffusionMetrics:
    """The process's, as a series can be made once."""
    return DiffusionMetrics(process_registry())


def watch_runner(config: Config, name: str, *samples: Sample, device: torch.device | None = None) -> Event:
    """Begin to sample; until the process ends, or the event is set.

    Args:
        config: says where traces and log lines go.
        name: analyzer, detector, structure, perception or diffusion.
        samples: what the runner itself adds, called every few seconds.
        device: whose memory is told; None for that of another runner's process.

    Raises:
        ConfigError: traces cannot go where they are to.
    """
    if bentoml.server_context.service_type != _A_RUNNER or _Process.watched:
        return keep_sampling(*samples) if samples else Event()
    _Process.watched = True
    format_logs(config.logging.format, name)
    set_up_tracing(config.tracing, name)
    process = ProcessMetrics(process_registry(), name)
    return keep_sampling(lambda: process.sample(lambda: _memory_of(device)), *samples)


def _memory_of(device: torch.device | None) -> Mapping[str, int]:
    if device is None:
        return {}
    from runners.device import memory_bytes

    return memory_bytes(device)
