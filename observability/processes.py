"""Series of the processes themselves: memory, processor time, starts, and of the device that they compute on."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge

logger = logging.getLogger(__name__)

SAMPLE_S = 5.0
_STATM = Path("/proc/self/statm")

Sample = Callable[[], None]
DeviceMemory = Callable[[], Mapping[str, int]]
"""Bytes by kind: free, total (of the whole device), allocated, reserved (by this process); empty for a CPU."""


class ProcessMetrics:
    """Of this process, under a name that every process of its kind has: front, diffusion, worker ..."""

    def __init__(self, registry: CollectorRegistry, process: str) -> None:
        self._process = process
        self._cpu_s = 0.0
        self._starts = Counter(
            "composition_process_starts_total",
            "Processes started, by their kind; a rise after the server's start is a process that was started again.",
            ("process",),
            registry=registry,
        )
        self._memory = Gauge(
            "composition_process_resident_memory_bytes",
            "Resident memory of the processes of a kind.",
            ("process",),
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._cpu = Counter(
            "composition_process_cpu_seconds_total",
            "Processor time of the processes of a kind, user and system.",
            ("process",),
            registry=registry,
        )
        self._device = Gauge(
            "composition_device_memory_bytes",
            "Memory of the GPU: free and total of the device, allocated and reserved by a process of this kind.",
            ("process", "kind"),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._starts.labels(process).inc()

    def sample(self, device_memory: DeviceMemory | None = None) -> None:
        """Read what the operating system and the device say now."""
        if _STATM.exists():
            pages = int(_STATM.read_text(encoding="ascii").split()[1])
            self._memory.labels(self._process).set(pages * os.sysconf("SC_PAGE_SIZE"))
        times = os.times()
        spent = times.user + times.system
        self._cpu.labels(self._process).inc(max(0.0, spent - self._cpu_s))
        self._cpu_s = spent
        for kind, size in (device_memory() if device_memory else {}).items():
            self._device.labels(self._process, kind).set(size)


class BuildMetrics:
    """What is served, as labels of a series that is always 1."""

    def __init__(self, registry: CollectorRegistry, *, version: str, profile: str) -> None:
        info = Gauge(
            "composition_build_info",
            "1; the labels say which version of the service runs, with which model profile.",
            ("version", "profile"),
            registry=registry,
            multiprocess_mode="livemax",
        )
        info.labels(version, profile).set(1)


def keep_sampling(*samples: Sample, interval_s: float = SAMPLE_S) -> threading.Event:
    """Call them now and every few seconds, in a thread that ends with the process or when the event is set."""
    stopped = threading.Event()

    def run() -> None:
        while True:
            for sample in samples:
                try:
                    sample()
                except Exception:
                    logger.exception("a sample for /metrics failed")
            if stopped.wait(interval_s):
                return

    threading.Thread(target=run, name="metrics-samples", daemon=True).start()
    return stopped
