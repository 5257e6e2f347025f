"""SPEC.md 9.1 and 9.2 on your GPU: latency and memory per use case, cold start, throughput; one file to send back.

Usage: python -m benchmarks.gpu_report [--profile sd15] [--rounds 3] [--tflops 71] [--quick] [--out out/gpu_report]

Each use case has SPEC.md's size, 512 or 1024 px, with Stable Diffusion 1.5; SDXL paints all of them at its own, 1024.
It is painted by the step engine and, beside it, by the stock diffusers pipeline on the same weights, taking turns;
medians are told. The floor is the counted work over the card's speed: `--tflops`, or what a large matrix product
reaches here. The part of an edit before and after the diffusion is not in it: `make bench` has it (overhead).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.bench_requests import controls, make_request, reference, run_all, seconds
from benchmarks.report_files import MEANINGLESS, Row, machine, table, write
from benchmarks.stock import StockPipelines
from composition.config import Config
from composition.diffusion import DiffusionRequest
from composition.request import ControlType
from models_store.manifest import profiles
from models_store.plan.decided import decide, resolve
from models_store.plan.words import summary
from models_store.store import ModelSet
from runners.compilers import reason_not_to_compile
from runners.device import choose_device, choose_dtype
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.settings import EngineSettings
from runners.diffusion.engine.step_engine import StepEngine
from runners.diffusion.families.sd15.build import SD15
from runners.diffusion.families.sdxl.build import SDXL
from runners.diffusion.families.stable_diffusion.build import build_family, compiler_for
from runners.diffusion.families.stable_diffusion.compilation.compiler import LEAST_ANSWERS
from runners.diffusion.families.stable_diffusion.components import load_components
from runners.diffusion.families.stable_diffusion.paths import profile_paths
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings
from runners.diffusion.torch_device import TorchDevice

KINDS = {"sd15": SD15, "sdxl": SDXL}
TOY = ("tiny", "demo", "tiny-sdxl")
CONCURRENT = (1, 2, 4, 8)
MATRIX_SIDE = 8192


@dataclass(frozen=True, kw_only=True)
class UseCase:
    """A row of SPEC.md 9.1; `spec_s` is its figure for an RTX 3090, `scale` the side in SD 1.5's native sizes."""

    name: str
    scale: int
    steps: int
    spec_s: float
    kinds: tuple[ControlType, ...] = ()
    with_reference: bool = False


USE_CASES = (
    UseCase(name="colour change", scale=1, steps=20, spec_s=4.2),
    UseCase(name="texture transfer", scale=1, steps=20, spec_s=5.8, with_reference=True),
    UseCase(name="object swap", scale=2, steps=25, spec_s=8.1),
    UseCase(name="clothing try-on", scale=1, steps=25, spec_s=12.3, kinds=("pose",), with_reference=True),
    UseCase(name="car rim replacement", scale=2, steps=25, spec_s=15.7, kinds=("depth",), with_reference=True),
)


class GpuReport:
    """Measures one profile; `quick` runs two steps, once."""

    def __init__(self, config: Config, *, rounds: int, quick: bool, tflops: float | None) -> None:
        self._plan = decide(config)
        config = resolve(config, self._plan)
        models = ModelSet(config.models)
        self._device = choose_device(config.models.device)
        dtype = choose_dtype(config.models.dtype, self._device)
        settings = StableDiffusionSettings.from_config(
            config, on_cuda=self._device.type == "cuda", no_compiler=reason_not_to_compile()
        )
        # What earlier starts learnt is not compiled: only what the use cases take is, and the time for that is told.
        self._settings = replace(settings, cache_max_bytes=0, safety_checker=False, compiled_folder=None)
        self._native, self._variant, self._family = models.native_size, models.ip_adapter_variant, models.family
        self._rounds = 1 if quick else rounds
        self._steps: int | None = 2 if quick else None
        paths = profile_paths(KINDS[models.family], models)
        begun = time.perf_counter()
        self._components = load_components(paths, self._settings, self._device, dtype)
        self._compiler = compiler_for(self._components, self._settings)
        self._engine = self._start_engine()
        self.load_s = time.perf_counter() - begun
        self._stock = StockPipelines(paths, dtype, self._device)
        self._tflops = tflops or measure_tflops(self._device, dtype, 256 if quick else MATRIX_SIDE)
        self._seed = 1000

    def run(self) -> tuple[dict[str, Any], dict[str, list[Row]]]:
        """The report, and its tables."""
        first_s = run_all(self._engine, [self._request(USE_CASES[0])])
        eager = self._compile() if self._compiler.on else {}
        latency = [self._latency(case, eager.get(case.name)) for case in USE_CASES]
        throughput = [self._throughput(count) for count in CONCURRENT]
        start: list[Row] = [
            {"what": "weights loaded", "seconds": self.load_s},
            {"what": "first image", "seconds": first_s},
            {"what": "compiling, beside requests", "seconds": self._compiler.seconds if eager else None},
        ]
        self._engine.stop()
        report = {
            "machine": machine(),
            "device": self._device.type,
            "tflops": self._tflops,
            "plan": summary(self._plan),
            "latency": latency,
            "throughput": throughput,
            "cold_start": start,
            "compilation": {**self._compiler.stats(), "forwards": dict(self._compiler.forwards)},
        }
        return report, {"Latency and memory": latency, "Throughput": throughput, "Cold start": start}

    def _compile(self) -> dict[str, float]:
        """All that the use cases take; the seconds of each before that, by its name."""
        eager = {}
        for case in USE_CASES:
            for _ in range(LEAST_ANSWERS):  # the first one warms up
                eager[case.name] = run_all(self._engine, [self._request(case)])
        while self._compiler.run_next():
            pass
        return eager

    def _latency(self, case: UseCase, eager_s: float | None) -> Row:
        ours: list[float] = []
        theirs: list[float | None] = []
        memory: list[int | None] = []
        run_all(self._engine, [self._request(case)])
        before = Counter(self._compiler.forwards)
        for _ in range(self._rounds):
            request = self._request(case)
            peak = PeakMemory(self._device)
            ours.append(run_all(self._engine, [request]))
            memory.append(peak.bytes())
            theirs.append(self._stock_seconds(request))
        compiled = self._compiled_since(before)
        operations = self._operations(case)
        return {
            "use case": case.name,
            "px": self._side(case),
            "steps": self._steps or case.steps,
            "ours, s": statistics.median(ours),
            "steps compiled": compiled,
            "ours eager, s": eager_s,
            "stock diffusers, s": None if None in theirs else statistics.median(filter(None, theirs)),
            "floor, s": operations / (self._tflops * 1e12),
            "SPEC.md (RTX 3090), s": case.spec_s if self._family == "sd15" else None,
            "TFLOP": operations / 1e12,
            "GPU peak, GB": None if memory[0] is None else max(filter(None, memory)) / 1e9,
            "RAM, GB": psutil.Process().memory_info().rss / 1e9,
        }

    def _throughput(self, count: int) -> Row:
        requests = [self._request(USE_CASES[0]) for _ in range(count)]
        before = Counter(self._compiler.forwards)
        taken = min(run_all(self._engine, self._again(requests)) for _ in range(self._rounds))
        return {
            "at once": count,
            "images per minute": 60.0 * count / taken,
            "seconds for all": taken,
            "steps compiled": self._compiled_since(before),
        }

    def _compiled_since(self, before: Counter[str]) -> str:
        ran = Counter(self._compiler.forwards) - before
        return f"{ran['compiled']} of {ran.total()}"

    def _again(self, requests: Sequence[DiffusionRequest]) -> list[DiffusionRequest]:
        return [replace(request, request_id=self._next_id()) for request in requests]

    def _request(self, case: UseCase, steps: int | None = None) -> DiffusionRequest:
        side = self._side(case)
        changes: dict[str, Any] = {"controls": controls(side, *case.kinds)}
        if case.with_reference:
            changes |= reference(self._seed, self._native)
        length = steps or self._steps or case.steps
        name = self._next_id()
        return make_request(self._seed, side, request_id=name, num_inference_steps=length, **changes)

    def _side(self, case: UseCase) -> int:
        return self._native * (case.scale if self._family == "sd15" else 1)

    def _next_id(self) -> str:
        self._seed += 1
        return f"report-{self._seed}"

    def _stock_seconds(self, request: DiffusionRequest) -> float | None:
        """None where the card has no room for a second copy of the weights."""
        begun = time.perf_counter()
        try:
            self._stock.image(request, self._variant if request.references else None)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            return None
        self._wait()
        return time.perf_counter() - begun

    def _operations(self, case: UseCase) -> float:
        """Counted for one and two steps, and drawn out to all of them: each costs the same."""
        one, two = (self._count(self._request(case, steps)) for steps in (1, 2))
        steps = self._steps or case.steps
        return one + (two - one) * (steps - 1)

    def _count(self, request: DiffusionRequest) -> int:
        family = build_family(self._components, self._settings, Counters())
        # On a CPU the counter does not see into fused attention; on a GPU it does, and the plain one would not fit.
        attention = nullcontext() if self._device.type == "cuda" else sdpa_kernel(SDPBackend.MATH)
        with self._compiler.eager(), torch.inference_mode(), FlopCounterMode(display=False) as counter, attention:
            state = family.encode(request)
            while not state.done:
                family.activate(state.bucket)
                family.advance([state], family.predict([state]))
            family.decoder.pixels(state.latents)
        return int(counter.get_total_flops())

    def _start_engine(self) -> StepEngine:
        counters = Counters()
        family = build_family(self._components, self._settings, counters, compiler=self._compiler)
        limits = EngineSettings(max_rows=self._settings.max_rows, timeout_s=1e6, lease_s=1e6)
        return StepEngine(family, TorchDevice(self._device), limits, counters)

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


class PeakMemory:
    """Of the GPU, from now on; None without one."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def bytes(self) -> int | None:
        return torch.cuda.max_memory_reserved(self._device) if self._device.type == "cuda" else None


def measure_tflops(device: torch.device, dtype: torch.dtype, side: int) -> float:
    """What a large matrix product reaches: the best of five."""
    left = torch.ones(side, side, device=device, dtype=dtype)

    def multiply() -> None:
        _ = left @ left
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    multiply()
    work: Callable[[], None] = multiply
    return 2 * side**3 / min(seconds(work) for _ in range(5)) / 1e12


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write, print; 0."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--profile", choices=profiles(), default="sd15")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tflops", type=float, help="the card's dense speed in the number format, from its data sheet")
    parser.add_argument("--quick", action="store_true", help="two steps, once: to see that it works")
    parser.add_argument("--out", type=Path, default=Path("out/gpu_report"))
    options = parser.parse_args(arguments)
    config = Config.model_validate({"models": {"profile": options.profile}})
    measured = GpuReport(config, rounds=options.rounds, quick=options.quick, tflops=options.tflops)
    report, sections = measured.run()
    report["profile"] = options.profile
    report["meaningless"] = options.profile in TOY or report["device"] == "cpu"
    bundle = write("gpu_report", report, sections, options.out)
    if report["meaningless"]:
        print(MEANINGLESS)
    for title, rows in sections.items():
        print(f"\n{title}\n{table(rows)}", end="")
    print(f"\nto send back: {bundle}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
