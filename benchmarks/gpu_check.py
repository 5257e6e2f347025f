"""Whether the diffusion computes rightly on your card: beside stock diffusers, in company, short of memory, unwaiting.

Usage: python -m benchmarks.gpu_check [--profile sd15 | --random-weights [FOLDER]] [--steps 10] [--out out/gpu_check]

Each row compares what the step engine computes with what it should be: latents by the norm of their difference, images
in levels of 0..255. It is no test of how good they are. A row that is not right, or raises, makes the exit status 1.
"""

from __future__ import annotations

import argparse
import gc
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.bench_requests import Arrival, controls, make_request, mixed_requests, reference
from benchmarks.gpu_models import MeasuredModels, add_options, measured_models
from benchmarks.report_files import Row, machine, table, write
from benchmarks.stock import StockPipelines
from composition.diffusion import DiffusionProgress, DiffusionRequest, DiffusionResult
from composition.images import Image
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.settings import EngineSettings
from runners.diffusion.engine.step_engine import StepEngine
from runners.diffusion.families.stable_diffusion.build import build_family
from runners.diffusion.families.stable_diffusion.components import load_components
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings
from runners.diffusion.torch_device import TorchDevice

COLUMNS = ("number format", "what", "found", "expected", "right")
FORMATS = ("float16", "float32")
MEAN_LEVELS = {torch.float16: 1.0, torch.bfloat16: 4.0, torch.float32: 0.1}
"""How far images may be apart, on average, that are computed in other batches: kernels add in another order there."""
RELATIVE = {torch.float16: 1e-2, torch.bfloat16: 5e-2, torch.float32: 5e-3}
"""The same of latents, by the norm of their difference over theirs; a card multiplies float32 in TF32."""
SPARE = 1.5
"""Where memory is to run short: what is left to the process, over what the greediest edit takes alone."""


class Checked:
    """The models in one number format, and the requests that are compared."""

    def __init__(self, models: MeasuredModels, dtype: torch.dtype, steps: int) -> None:
        self._models, self._device, self._dtype, self._steps = models, models.device, dtype, steps
        self._settings = StableDiffusionSettings(cache_max_bytes=0, safety_checker=False)
        self._components = load_components(models.paths, self._settings, self._device, dtype)
        side = models.native_size
        everything: dict[str, Any] = {"controls": controls(side, "pose", "depth"), **reference(5, side)}
        self._requests = {
            "a plain edit": make_request(1, side, num_inference_steps=steps),
            "with ControlNets and a reference": make_request(2, side, num_inference_steps=steps, **everything),
        }

    def rows(self) -> Iterator[Row]:
        """One after the other, each computed when it is asked for."""
        checks: list[tuple[str, Callable[[], tuple[str, str, bool | None]]]] = [
            *((f"{name}, beside stock diffusers", partial(self._stock, one)) for name, one in self._requests.items()),
            ("eight edits at once, beside each alone", self._company),
            ("the same edit again", self._again),
            ("previews change nothing", self._previews),
            ("parts that visit the card only", self._offloaded),
            ("waits for the card in a step", self._waits),
            ("eight edits where memory runs short", self._short_of_memory),
        ]
        for what, check in checks:
            try:
                found, expected, right = check()
            except Exception as error:
                traceback.print_exc()
                found, expected, right = f"{type(error).__name__}: {str(error)[:300]}", "no failure", False
            told = {True: "yes", False: "NO", None: "not checked"}[right]
            values = (str(self._dtype).removeprefix("torch."), what, found, expected, told)
            yield dict(zip(COLUMNS, values, strict=True))

    def _stock(self, one: DiffusionRequest) -> tuple[str, str, bool | None]:
        stock = StockPipelines(self._models.paths, self._dtype, self._device)
        theirs = stock.latents(one, self._models.variant if one.references else None)
        del stock
        gc.collect()
        [ours] = self._latents([one])
        return _far([ours], [theirs]), "0 (bit for bit)", torch.equal(ours, theirs)

    def _company(self) -> tuple[str, str, bool | None]:
        mixed = mixed_requests(20, self._models.native_size, self._steps)
        alone = [self._latents([one])[0] for one in mixed]
        together, limit = self._latents(mixed), RELATIVE[self._dtype]
        return _far(together, alone), f"{limit:g} at most", _distance(together, alone) <= limit

    def _latents(self, requests: Sequence[DiffusionRequest]) -> list[torch.Tensor]:
        """Final latents (1, 4, h, w) of each; those of one bucket take their steps together."""
        family = build_family(self._components, self._settings, Counters())
        with torch.inference_mode():
            states = [family.encode(one) for one in requests]
            while waiting := [state for state in states if not state.done]:
                batch = [state for state in waiting if state.bucket == waiting[0].bucket]
                family.activate(batch[0].bucket)
                family.advance(batch, family.predict(batch))
        return [state.latents for state in states]

    def _close(self, images: Sequence[Image], expected: Sequence[Image]) -> tuple[str, str, bool | None]:
        limit = MEAN_LEVELS[self._dtype]
        got, wanted = np.stack(images), np.stack(expected)
        return _apart(got, wanted), f"{limit:g} on average at most", _mean(got, wanted) <= limit

    def _again(self) -> tuple[str, str, bool | None]:
        one = next(iter(self._requests.values()))
        first, second = (self._painted([one])[0] for _ in range(2))
        return _apart(first, second), "0 (bit for bit)", bool(np.array_equal(first, second))

    def _previews(self) -> tuple[str, str, bool | None]:
        if self._components.taesd is None:
            return "these models have no TAESD", "-", None
        one = next(iter(self._requests.values()))
        with self._engine(self._settings) as (engine, _):
            heard: list[Any] = []
            watched = Arrival(engine, replace(one, previews=True, request_id="watched"), also=heard.append)
            watched.wait()
        shown = sum(isinstance(event, DiffusionProgress) and event.preview is not None for event in heard)
        assert isinstance(watched.outcome, DiffusionResult)
        [plain] = self._painted([one])
        same = bool(np.array_equal(watched.outcome.image, plain))
        return f"{shown} shown, {_apart(watched.outcome.image, plain)}", "some shown, 0", same and shown > 0

    def _offloaded(self) -> tuple[str, str, bool | None]:
        requests = list(self._requests.values())
        expected = [self._painted([one])[0] for one in requests]
        settings = replace(self._settings, offload=True)
        parts = load_components(self._models.paths, settings, self._device, self._dtype)
        with self._engine(settings, parts) as (engine, _):
            images = [_run(engine, [one])[0] for one in requests]
        got, wanted = np.stack(images), np.stack(expected)
        return _apart(got, wanted), "0 (bit for bit)", bool(np.array_equal(got, wanted))

    def _waits(self) -> tuple[str, str, bool | None]:
        """Of one edit's steps and of a batch's; the first puts together what the others only use."""
        if self._device.type != "cuda":
            return "there is no card", "-", None
        counts: dict[str, list[int]] = {}
        for name, requests in {
            "alone": [next(iter(self._requests.values()))],
            "in company": [replace(one, num_inference_steps=self._steps) for one in self._requests.values()],
        }.items():
            family = build_family(self._components, self._settings, Counters())
            with torch.inference_mode():
                states = [family.encode(one) for one in requests]
                counts[name] = [
                    _waits_in(lambda: family.advance(states, family.predict(states)))  # noqa: B023  called at once
                    for _ in range(min(4, states[0].steps))
                ]
        found = "; ".join(f"{name}: {', '.join(map(str, waits))}" for name, waits in counts.items())
        return found, "0 after each first step", not any(sum(waits[1:]) for waits in counts.values())

    def _short_of_memory(self) -> tuple[str, str, bool | None]:
        if self._device.type != "cuda":
            return "there is no card", "-", None
        mixed = mixed_requests(40, self._models.native_size, self._steps)
        alone, most = [], 0
        for one in mixed:
            held = torch.cuda.memory_allocated(self._device)
            torch.cuda.reset_peak_memory_stats(self._device)
            alone += self._painted([one])
            most = max(most, torch.cuda.max_memory_allocated(self._device) - held)
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(self._device).total_memory
        allowed = torch.cuda.memory_reserved(self._device) + SPARE * most
        torch.cuda.set_per_process_memory_fraction(allowed / total, self._device)
        try:
            with self._engine(self._settings) as (engine, counters):
                images = _run(engine, mixed)
                counts = counters.snapshot()
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0, self._device)
        found, expected, right = self._close(images, alone)
        told = {name: counts.get(name, 0) for name in ("out_of_memory_splits", "out_of_memory_retries")}
        return f"{found}; {told}", f"all painted, {expected}", right

    def _painted(self, requests: Sequence[DiffusionRequest]) -> list[Image]:
        with self._engine(self._settings) as (engine, _):
            return _run(engine, requests)

    @contextmanager
    def _engine(
        self, settings: StableDiffusionSettings, components: Any = None
    ) -> Iterator[tuple[StepEngine, Counters]]:
        counters = Counters()
        family = build_family(components or self._components, settings, counters)
        limits = EngineSettings(max_rows=settings.max_rows, timeout_s=1e6, lease_s=1e6)
        engine = StepEngine(family, TorchDevice(self._device), limits, counters)
        try:
            yield engine, counters
        finally:
            engine.stop()


def _run(engine: StepEngine, requests: Sequence[DiffusionRequest]) -> list[Image]:
    """Their images (H, W, 3), all painted at once. Raises: CompositionError: one failed."""
    images = []
    for arrival in [Arrival(engine, one) for one in requests]:
        arrival.wait()
        assert isinstance(arrival.outcome, DiffusionResult)
        images.append(arrival.outcome.image)
    return images


def _waits_in(work: Callable[[], object]) -> int:
    """How often the CPU waited for the card, by torch's own watch."""
    torch.cuda.synchronize()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            work()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    waits = [one for one in caught if "synchroniz" in str(one.message)]
    for one in waits:
        print(f"waits: {one.filename}:{one.lineno}")
    return len(waits)


def _distance(latents: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> float:
    """Of the pair that is farthest apart; NaN where one is no number."""
    pairs = [(got.double(), wanted.double()) for got, wanted in zip(latents, expected, strict=True)]
    return float(torch.stack([(got - wanted).norm() / wanted.norm() for got, wanted in pairs]).max())


def _far(latents: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> str:
    same = all(torch.equal(got, wanted) for got, wanted in zip(latents, expected, strict=True))
    return "0 (bit for bit)" if same else f"{_distance(latents, expected):.2g} of the latents"


def _mean(image: Any, expected: Any) -> float:
    return float(np.abs(image.astype(int) - expected.astype(int)).mean())


def _apart(image: Any, expected: Any) -> str:
    difference = np.abs(image.astype(int) - expected.astype(int))
    if not difference.any():
        return "0 (bit for bit)"
    return f"{difference.mean():.3g} on average, {difference.max()} at most"


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, print each row as it is known, write; 1 when one is not right."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_options(parser)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--formats", default=",".join(FORMATS), help="some of %(default)s,bfloat16")
    parser.add_argument("--out", type=Path, default=Path("out/gpu_check"))
    options = parser.parse_args(arguments)
    models = measured_models(options)
    rows: list[Row] = []
    for name in options.formats.split(","):
        for row in Checked(models, getattr(torch, name), options.steps).rows():
            rows.append(row)
            print(" | ".join(str(value) for value in row.values()), flush=True)
        gc.collect()
        torch.cuda.empty_cache()
    report = {"machine": machine(), "models": models.name, "device": models.device.type, "rows": rows}
    write("gpu_check", report, {"Right": rows}, options.out)
    print(f"\n{models.name}, on {models.device}\n{table(rows)}", end="")
    return 1 if any(row["right"] == "NO" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
