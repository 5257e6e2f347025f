"""`make bench`: one run, side by side with stock diffusers on the same weights; ratios, a plot, out/bench.json.

Usage: python -m benchmarks.bench [--size middle|full] [--only solo,flops] [--rounds 3] [--dtype auto] [--out out]

The weights are random and of the named size: large enough that the model is timed and not Python. Ratios are ours
over stock's, below 1 is better; each is of medians, the two sides taking turns in one run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import torch

from benchmarks.bench_engine import EngineBench, Lengths, Outcome
from benchmarks.bench_models import FULL, MIDDLE, SMALL, ModelSize, build_models
from benchmarks.bench_plot import draw
from benchmarks.bench_service import environment, measure_service
from benchmarks.stock import StockPipelines
from runners.device import DtypeName, choose_device, choose_dtype
from runners.diffusion.families.stable_diffusion.components import load_components
from runners.diffusion.families.stable_diffusion.paths import StableDiffusionPaths
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings

SIZES = {size.name: size for size in (SMALL, MIDDLE, FULL)}
PROMISED: dict[str, float | None] = {
    "solo": 1.05,
    "concurrent": 1.05,
    "short_during_long": 2.5,
    "repeat": None,
    "flops": 1.0,
    "weights": 1.0,
    "overhead": 1.10,
}
FULL_SIZE_MEASURES = ("solo", "weights")
"""Those that end within minutes without a GPU at full size, two steps each; on a GPU all do."""
TOLERANCE = 0.0005


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write; 1 when a promise is not kept."""
    options = _parse(arguments)
    size: ModelSize = SIZES["full" if options.full_size else options.size]
    device = choose_device("auto")
    dtype = choose_dtype(options.dtype, device)
    all_end_soon = size is not FULL or device.type == "cuda"
    names = options.only.split(",") if options.only else list(PROMISED if all_end_soon else FULL_SIZE_MEASURES)
    started = time.perf_counter()
    paths = build_models(size, options.models / size.name, torch.bfloat16 if size is FULL else torch.float32, device)
    results = measure(names, paths, size, device, dtype, options)
    report = {
        "machine": _machine(device),
        "model": {**asdict(size), "weights": "random", "dtype": str(dtype).removeprefix("torch.")},
        "rounds": options.rounds,
        "seconds": round(time.perf_counter() - started, 1),
        "promised": {name: PROMISED[name] for name in names},
        "ratios": {name: round(results[name].ratio, 4) for name in names},
        "kept": {name: is_kept(name, results[name]) for name in names},
        "details": {name: results[name].details for name in names},
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "bench.json").write_text(json.dumps(report, indent=2) + "\n")
    draw(report, options.out / "bench.png")
    _print(report)
    return 0 if all(report["kept"].values()) else 1


def is_kept(name: str, outcome: Outcome) -> bool:
    """Whether an outcome is what was promised; the outcome's own word counts where the promise is no ratio."""
    promised = PROMISED[name]
    return outcome.kept is not False and (promised is None or outcome.ratio <= promised + TOLERANCE)


def measure(
    names: list[str],
    paths: StableDiffusionPaths,
    size: ModelSize,
    device: torch.device,
    dtype: torch.dtype,
    options: argparse.Namespace,
) -> dict[str, Outcome]:
    """The asked-for outcomes by name."""
    settings = StableDiffusionSettings(safety_checker=False)
    stock = StockPipelines(paths, dtype, device)
    # Before anything else is measured, as LoRA layers stay on the models that the fast requests ran on.
    engine = EngineBench(
        load_components(paths, settings, device, dtype),
        stock,
        side_px=size.image_px,
        rounds=1 if size is FULL and device.type == "cpu" else options.rounds,
        lengths=_lengths(size, device),
    )
    steps: dict[str, Callable[[], Outcome]] = {
        "solo": engine.solo,
        "concurrent": engine.concurrent,
        "short_during_long": engine.short_during_long,
        "weights": lambda: engine.weights(paths),
        "flops": engine.flops,
    }
    results: dict[str, Outcome] = {}
    for name, step in steps.items():
        if name in names:
            results[name] = step()
            print(f"{name}: {results[name].ratio:.3f}", flush=True)
    if {"overhead", "repeat"} & set(names):
        surroundings = environment(paths, options.dtype)
        os.environ.update(surroundings)
        results["overhead"], results["repeat"] = measure_service(
            stock, surroundings, rounds=options.rounds, log=options.out / "bench-serve.log"
        )
    return results


def _lengths(size: ModelSize, device: torch.device) -> Lengths:
    if device.type == "cuda":
        return Lengths(solo=20, concurrent=20)
    return Lengths(solo=2) if size is FULL else Lengths()


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", choices=list(SIZES), default=MIDDLE.name)
    parser.add_argument("--full-size", action="store_true", help="Stable Diffusion 1.5's own widths, a few steps")
    parser.add_argument("--only", help=f"some of {','.join(PROMISED)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", choices=list(get_args(DtypeName)), default="auto")
    parser.add_argument("--out", type=Path, default=Path("out"))
    parser.add_argument("--models", type=Path, default=Path("var/bench"), help="where the random models are kept")
    options = parser.parse_args(arguments)
    options.models = options.models.resolve()
    if options.only and (unknown := set(options.only.split(",")) - set(PROMISED)):
        parser.error(f"unknown measures: {', '.join(sorted(unknown))}")
    return options


def _machine(device: torch.device) -> dict[str, Any]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {"device": device.type, "name": name, "cores": os.cpu_count(), "torch": torch.__version__}


def _print(report: dict[str, Any]) -> None:
    model, machine = report["model"], report["machine"]
    print(
        f"\n{model['name']} size (random weights), {model['image_px']} px, {model['dtype']}, "
        f"{machine['device']} with {machine['cores']} cores, {report['seconds']:.0f} s"
    )
    print(f"{'measure':<20} {'ratio':>7}  promised")
    for name, ratio in report["ratios"].items():
        promised = report["promised"][name]
        told = "nothing computed twice" if promised is None else f"<= {promised:g}"
        print(f"{name:<20} {ratio:>7.3f}  {told}{'' if report['kept'][name] else '  NOT KEPT'}")
    for name, saved in report["details"].get("flops", {}).get("options", {}).items():
        print(f"  FLOPs with {name}: {saved:.2f} of a normal {20}-step request")


if __name__ == "__main__":
    sys.exit(main())
