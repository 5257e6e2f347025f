"""Series of the runners: what the diffusion engine does with its steps, what batches the other models get."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_ROWS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
_NETWORKS = ("unet", "controlnet", "vae")
_REQUESTS = "requests_"
_ROWS_OF_THE_UNET = "unet_rows"


class DiffusionMetrics:
    """The step engine's. Some it is told as they happen, some are read from its statistics by `sample`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._read: dict[str, float] = {}
        self._step_requests = Histogram(
            "composition_diffusion_step_requests",
            "Requests that shared one denoising step; the sum is the steps taken for all requests.",
            buckets=_ROWS,
            registry=registry,
        )
        self._step_rows = Histogram(
            "composition_diffusion_step_rows",
            "Batch rows of one denoising step (a guided request has two).",
            buckets=_ROWS,
            registry=registry,
        )
        self._step_seconds = Histogram(
            "composition_diffusion_step_duration_seconds",
            "Time of one denoising step, with its ControlNets.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._forward_rows = Histogram(
            "composition_diffusion_forward_rows",
            "Batch rows of one forward of the UNet; a step takes several where memory is short.",
            buckets=_ROWS,
            registry=registry,
        )
        self._forwards = Counter(
            "composition_diffusion_forwards_total",
            "Forwards of the UNet by how its repeated blocks ran (compiled, partly, eager).",
            ("mode",),
            registry=registry,
        )
        self._blocks = Counter(
            "composition_diffusion_blocks_total",
            "Repeated blocks that ran (compiled, eager), by network (unet, controlnet, vae); 0 where nothing compiles.",
            ("network", "mode"),
            registry=registry,
        )
        for network in _NETWORKS:
            for mode in ("compiled", "eager"):
                self._blocks.labels(network, mode)
        self._compiled = Gauge(
            "composition_diffusion_compiled_blocks",
            "Calls of blocks that are compiled, and such as wait for it (compiled, waiting).",
            ("status",),
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._compiling = Counter(
            "composition_diffusion_compiling_seconds_total",
            "Time spent on compiling blocks, beside the requests.",
            registry=registry,
        )
        self._requests = Counter(
            "composition_diffusion_requests_total",
            "Requests to the diffusion model: accepted, completed, or ended by an error, by its code in lower case.",
            ("outcome",),
            registry=registry,
        )
        self._work = Counter(
            "composition_diffusion_work_total",
            "What else ran: text_encodes, vae_decodes, safety_checks, controlnet_<type>_forwards, out_of_memory_splits"
            " and the like.",
            ("work",),
            registry=registry,
        )
        self._phases = Gauge(
            "composition_diffusion_phase_requests",
            "Requests at the diffusion model by phase (encoding, denoising, finishing).",
            ("phase",),
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._loads = Counter(
            "composition_adapter_loads_total",
            "ControlNets and LoRAs read from the disk, because they were not in memory.",
            ("adapter",),
            registry=registry,
        )
        self._lookups = Counter(
            "composition_encoding_cache_lookups_total",
            "Questions to the diffusion model's cache of encodings, by what came of it (hit, miss).",
            ("outcome",),
            registry=registry,
        )

    def stepped(self, *, requests: int, rows: int, seconds: float) -> None:
        self._step_requests.observe(requests)
        self._step_rows.observe(rows)
        self._step_seconds.observe(seconds)

    def counted(self, name: str, amount: int) -> None:
        """One of the engine's `Counters` has risen."""
        if name.startswith(_REQUESTS):
            self._requests.labels(name.removeprefix(_REQUESTS)).inc(amount)
        elif name == _ROWS_OF_THE_UNET:
            self._forward_rows.observe(amount)
        else:
            self._work.labels(name).inc(amount)

    def sample(self, stats: Mapping[str, Any]) -> None:
        """Take over what `StepEngine.stats` says now."""
        for phase, count in stats["requests"].items():
            self._phases.labels(phase).set(count)
        for mode, total in stats.get("forwards", {}).items():
            self._rise(self._forwards, (mode,), total)
        self._sample_compilation(stats.get("compilation", {}))
        for adapter in ("controlnet", "lora"):
            self._rise(self._loads, (adapter,), stats.get(f"{adapter}_loads", 0))
        cache = stats.get("cache")
        if cache is not None:
            self._rise(self._lookups, ("hit",), cache["hits"])
            self._rise(self._lookups, ("miss",), cache["misses"])

    def _sample_compilation(self, stats: Mapping[str, Any]) -> None:
        self._compiled.labels("compiled").set(stats.get("blocks", 0))
        self._compiled.labels("waiting").set(stats.get("waiting", 0))
        self._rise(self._compiling, (), stats.get("seconds", 0.0))
        for network, modes in stats.get("run", {}).items():
            for mode, total in modes.items():
                self._rise(self._blocks, (network, mode), total)

    def _rise(self, counter: Counter, labels: tuple[str, ...], total: float) -> None:
        """Make a counter of ours follow a total of somebody else's."""
        key = "/".join((str(id(counter)), *labels))
        (counter.labels(*labels) if labels else counter).inc(max(0.0, total - self._read.get(key, 0.0)))
        self._read[key] = total


class BatchMetrics:
    """Of the runners that BentoML batches for: analyzer, detector, structure."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._batches = Histogram(
            "composition_runner_batch_items",
            "Questions in one batch to a model, by the runner's method; the count is the batches.",
            ("method",),
            buckets=_ROWS,
            registry=registry,
        )
        self._seconds = Histogram(
            "composition_runner_batch_duration_seconds",
            "Time of one batch in a model, by the runner's method.",
            ("method",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._failures = Counter(
            "composition_runner_failures_total",
            "Questions that a model could not answer, by the runner's method and the error's code.",
            ("method", "code"),
            registry=registry,
        )

    def answered(self, method: str, *, items: int, seconds: float) -> None:
        self._batches.labels(method).observe(items)
        self._seconds.labels(method).observe(seconds)

    def failed(self, method: str, code: str) -> None:
        self._failures.labels(method, code).inc()
