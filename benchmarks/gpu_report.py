"""SPEC.md 9.1 and 9.2 on your GPU: latency and memory per use case, cold start, throughput; one file to send back.

Usage: python -m benchmarks.gpu_report [--profile sd15 | --random-weights [FOLDER]] [--rounds 3] [--tflops 71]
           [--compile-limit 1800] [--quick] [--out out/gpu_report]

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
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.bench_models import FULL
from benchmarks.bench_requests import controls, make_request, reference, run_all
from benchmarks.gpu_card import PeakMemory, measure_tflops
from benchmarks.gpu_models import MeasuredModels, add_options, measured_models
from benchmarks.report_files import MEANINGLESS, Row, machine, table, write, write_json
from benchmarks.stock import StockPipelines
from composition.diffusion import DiffusionRequest
from composition.request import ControlType
from runners.compilers import reason_not_to_compile
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.settings import EngineSettings
from runners.diffusion.engine.step_engine import StepEngine
from runners.diffusion.families.stable_diffusion.build import build_family, compiler_for
from runners.diffusion.families.stable_diffusion.compilation.compiler import LEAST_ANSWERS
from runners.diffusion.families.stable_diffusion.components import load_components
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings
from runners.diffusion.torch_device import TorchDevice

TOY = ("tiny", "demo", "tiny-sdxl")
CONCURRENT = (1, 2, 4, 8, 16)
MATRIX_SIDE = 8192
KINDS = ("latency", "throughput", "compiled")
"""Of what is measured; the first image is always."""
LATENCY = (
    "use case", "px", "steps", "ours, s", "steps compiled", "ours eager, s", "stock diffusers, s", "floor, s",
    "SPEC.md (RTX 3090), s", "TFLOP", "GPU peak, GB", "RAM, GB",
)  # fmt: skip


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
    """Measures one set of models; `quick` runs two steps, once; of `KINDS` the `kinds`.

    Attributes:
        report: all that is known so far.
        sections: the same as tables.
    """

    def __init__(
        self,
        models: MeasuredModels,
        *,
        rounds: int,
        quick: bool,
        tflops: float | None,
        compile_limit_s: float,
        kinds: Sequence[str] = KINDS,
    ) -> None:
        self._models, self._device = models, models.device
        settings = StableDiffusionSettings.from_config(
            models.config, on_cuda=self._device.type == "cuda", no_compiler=reason_not_to_compile()
        )
        # What earlier starts learnt is not compiled: only what the use cases take is, and the time for that is told.
        self._settings = replace(settings, cache_max_bytes=0, safety_checker=False, compiled_folder=None)
        self._rounds = 1 if quick else rounds
        self._steps: int | None = 2 if quick else None
        self._compile_limit_s, self._kinds = compile_limit_s, kinds
        begun = time.perf_counter()
        self._components = load_components(models.paths, self._settings, self._device, models.dtype)
        self._compiler = compiler_for(self._components, self._settings)
        self._engine = self._start_engine()
        self._start: list[dict[str, Any]] = [{"what": "weights loaded", "seconds": time.perf_counter() - begun}]
        self._stock = StockPipelines(models.paths, models.dtype, self._device)
        self._tflops = tflops or measure_tflops(self._device, models.dtype, 256 if quick else MATRIX_SIDE)
        self._seed = 1000
        self._latency: dict[str, dict[str, Any]] = {}
        self._throughput: dict[int, dict[str, Any]] = {}
        self._failures: list[str] = []

    def parts(self) -> Iterator[str]:
        """Measures one part after the other and names it; one that fails is named in the report and ends no other."""
        cases = USE_CASES if "latency" in self._kinds else ()
        counts = CONCURRENT if "throughput" in self._kinds else ()
        wanted: list[tuple[str, Callable[[], None]]] = [
            ("first image", self._first_image),
            *((f"{case.name}, alone", partial(self._alone, case)) for case in cases),
            *((f"{case.name}, beside stock diffusers", partial(self._beside_stock, case)) for case in cases),
            *((f"{count} at once", partial(self._at_once, count)) for count in counts),
        ]
        if "compiled" in self._kinds and self._compiler.on:
            wanted += [
                ("compiling", self._compile),
                *((f"{case.name}, compiled", partial(self._compiled_alone, case)) for case in cases),
                *((f"{count} at once, compiled", partial(self._compiled_at_once, count)) for count in counts),
            ]
        for name, measure in wanted:
            try:
                measure()
            except Exception as error:
                traceback.print_exc()
                self._failures.append(f"{name}: {type(error).__name__}: {str(error)[:300]}")
            yield name
        self._engine.stop()

    @property
    def report(self) -> dict[str, Any]:
        return {
            "machine": machine(),
            "device": self._device.type,
            "models": self._models.name,
            "plan": self._models.plan,
            "tflops": self._tflops,
            "latency": list(self._latency.values()),
            "throughput": list(self._throughput.values()),
            "cold_start": self._start,
            "compilation": {**self._compiler.stats(), "forwards": dict(self._compiler.forwards)},
            "failures": self._failures,
        }

    @property
    def sections(self) -> dict[str, Sequence[Row]]:
        return {
            "Latency and memory": list(self._latency.values()),
            "Throughput": list(self._throughput.values()),
            "Cold start": self._start,
            **({"Failures": [{"what": failure} for failure in self._failures]} if self._failures else {}),
        }

    def _first_image(self) -> None:
        self._start.append({"what": "first image", "seconds": run_all(self._engine, [self._request(USE_CASES[0])])})

    def _alone(self, case: UseCase) -> None:
        """Before the card holds anything of stock diffusers, so that the memory is ours."""
        row: dict[str, Any] = dict.fromkeys(LATENCY)
        row |= {"use case": case.name, "px": self._side(case), "steps": self._steps or case.steps}
        row["SPEC.md (RTX 3090), s"] = case.spec_s if self._models.family == "sd15" else None
        self._latency[case.name] = row
        run_all(self._engine, [self._request(case)])
        peak = PeakMemory(self._device)
        self._time_alone(case)
        held = peak.bytes()
        row["GPU peak, GB"] = None if held is None else held / 1e9
        row["RAM, GB"] = psutil.Process().memory_info().rss / 1e9

    def _time_alone(self, case: UseCase) -> None:
        row = self._latency[case.name]
        before = Counter(self._compiler.forwards)
        row["ours, s"] = statistics.median(run_all(self._engine, [self._request(case)]) for _ in range(self._rounds))
        row["steps compiled"] = self._compiled_since(before)

    def _beside_stock(self, case: UseCase) -> None:
        row = self._latency[case.name]
        operations = self._operations(case)
        row |= {"TFLOP": operations / 1e12, "floor, s": operations / (self._tflops * 1e12)}
        self._stock_seconds(self._request(case))
        ours: list[float] = []
        theirs: list[float | None] = []
        for _ in range(self._rounds):
            request = self._request(case)
            ours.append(run_all(self._engine, [request]))
            theirs.append(self._stock_seconds(request))
        row["ours, s"] = statistics.median(ours)
        row["stock diffusers, s"] = None if None in theirs else statistics.median(filter(None, theirs))

    def _at_once(self, count: int) -> None:
        requests = [self._request(USE_CASES[0]) for _ in range(count)]
        before = Counter(self._compiler.forwards)
        taken = min(run_all(self._engine, self._again(requests)) for _ in range(self._rounds))
        self._throughput[count] = {
            "at once": count,
            "images per minute": 60.0 * count / taken,
            "seconds for all": taken,
            "steps compiled": self._compiled_since(before),
            "eager images per minute": None,
        }

    def _compile(self) -> None:
        """All that the use cases took, as far as the time for it reaches."""
        begun = time.perf_counter()
        for case in USE_CASES:
            for _ in range(LEAST_ANSWERS):
                run_all(self._engine, [self._request(case, steps=2)])
        while time.perf_counter() - begun < self._compile_limit_s and self._compiler.run_next():
            pass
        self._start.append({"what": "compiling, beside requests", "seconds": self._compiler.seconds})

    def _compiled_alone(self, case: UseCase) -> None:
        row = self._latency[case.name]
        eager = row["ours, s"]
        run_all(self._engine, [self._request(case)])
        self._time_alone(case)
        row["ours eager, s"] = eager

    def _compiled_at_once(self, count: int) -> None:
        eager = self._throughput[count]["images per minute"]
        self._at_once(count)
        self._throughput[count]["eager images per minute"] = eager

    def _compiled_since(self, before: Counter[str]) -> str:
        ran = Counter(self._compiler.forwards) - before
        return f"{ran['compiled']} of {ran.total()}"

    def _again(self, requests: Sequence[DiffusionRequest]) -> list[DiffusionRequest]:
        return [replace(request, request_id=self._next_id()) for request in requests]

    def _request(self, case: UseCase, steps: int | None = None) -> DiffusionRequest:
        side = self._side(case)
        changes: dict[str, Any] = {"controls": controls(side, *case.kinds)}
        if case.with_reference:
            changes |= reference(self._seed, self._models.native_size)
        length = steps or self._steps or case.steps
        name = self._next_id()
        return make_request(self._seed, side, request_id=name, num_inference_steps=length, **changes)

    def _side(self, case: UseCase) -> int:
        return self._models.native_size * (case.scale if self._models.family == "sd15" else 1)

    def _next_id(self) -> str:
        self._seed += 1
        return f"report-{self._seed}"

    def _stock_seconds(self, request: DiffusionRequest) -> float | None:
        """None where the card has no room for a second copy of the weights."""
        begun = time.perf_counter()
        try:
            self._stock.image(request, self._models.variant if request.references else None)
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write after each part, print; 1 when a part failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_options(parser)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tflops", type=float, help="the card's dense speed in the number format, from its data sheet")
    parser.add_argument("--quick", action="store_true", help="two steps, once: to see that it works")
    parser.add_argument("--only", default=",".join(KINDS), help="some of %(default)s")
    parser.add_argument("--compile-limit", type=float, default=1800.0, metavar="SECONDS", help="for compiling, in all")
    parser.add_argument("--out", type=Path, default=Path("out/gpu_report"))
    options = parser.parse_args(arguments)
    kinds = options.only.split(",")
    if unknown := set(kinds) - set(KINDS):
        parser.error(f"--only: {', '.join(sorted(unknown))} is none of {', '.join(KINDS)}")
    models = measured_models(options)
    measured = GpuReport(
        models,
        rounds=options.rounds,
        quick=options.quick,
        tflops=options.tflops,
        compile_limit_s=options.compile_limit,
        kinds=kinds,
    )
    toy = models.name in TOY or options.random_size != FULL.name or models.device.type == "cpu"
    begun = time.perf_counter()
    for part in measured.parts():
        print(f"{time.perf_counter() - begun:6.1f} s  {part}", flush=True)
        write_json("gpu_report", measured.report | {"meaningless": toy}, options.out)
    bundle = write("gpu_report", measured.report | {"meaningless": toy}, measured.sections, options.out)
    print(f"\n{models.name}")
    if toy:
        print(MEANINGLESS)
    for title, rows in measured.sections.items():
        print(f"\n{title}\n{table(rows)}", end="")
    print(f"\nto send back: {bundle}")
    return 1 if measured.report["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
