"""The whole service beside the same stages called directly, and the same photograph sent again."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from benchmarks.bench_engine import Outcome
from benchmarks.bench_requests import IP_VARIANT
from benchmarks.demo import run_case, to_base64
from benchmarks.demo_cases import Case, photo_cases
from benchmarks.server import ROOT, Server, free_port
from benchmarks.stock import StockPipelines
from composition.diffusion import DiffusionProgress, DiffusionRequest, DiffusionResult
from composition.ports.diffuser import Diffuser
from composition.request import EditOptions, EditRequest, OutputFormat
from runners.diffusion.families.stable_diffusion.paths import StableDiffusionPaths

STEPS = 20
REPEAT_STEPS = 4


def environment(paths: StableDiffusionPaths, dtype_name: str) -> dict[str, str]:
    """The service's settings: the measured diffusion model, and the tiny profile's for everything before it.

    Jobs and images are stored as they are by default, on the disk: every request waits for its flushes.
    """
    return {
        "COMPOSITION_MODELS__PROFILE": "tiny",
        "COMPOSITION_MODELS__DTYPE": dtype_name,
        "COMPOSITION_MODELS__BASE_MODEL": str(paths.base),
        **{
            f"COMPOSITION_MODELS__CONTROLNET__{name.upper()}": str(folder) for name, folder in paths.controlnets.items()
        },
        "COMPOSITION_MODELS__IP_ADAPTER__MODEL": str(paths.ip_adapter),
        "COMPOSITION_MODELS__SAFETY_CHECKER": "false",
    }


class StockDiffuser:
    """`composition.ports.Diffuser` that calls the stock pipeline."""

    def __init__(self, stock: StockPipelines) -> None:
        self._stock = stock

    async def diffuse(self, request: DiffusionRequest) -> AsyncGenerator[DiffusionProgress | DiffusionResult, None]:
        """No progress, then the image."""
        variant = IP_VARIANT if request.references else None
        image = await asyncio.to_thread(self._stock.image, request, variant)
        yield DiffusionResult(image=image, models_used=("sd-inpainting",))


class DirectEdits:
    """decode -> route -> detect -> mask -> diffuse -> blend -> encode in this process, with no service around."""

    def __init__(self, diffuser: Diffuser) -> None:
        # These read the configuration when they are imported: only after the environment is set.
        from api.codec import make_codec
        from composition.config import load_config
        from composition.editor import Editor
        from prompt_reading.reader import GrammarPromptReader
        from runners.analyzer.service import AnalyzerRunner
        from runners.detector.service import DetectorRunner
        from runners.structure.service import StructureRunner
        from runners.wiring import assemble

        config = load_config()
        runners: list[Any] = [AnalyzerRunner, DetectorRunner, StructureRunner]
        analyzer, detector, structure = (runner.inner() for runner in runners)
        assembly = assemble(config, analyzer=analyzer, detector=detector, structure=structure, diffusion=None)
        models = dataclasses.replace(assembly.models, diffuser=diffuser)
        self._codec = make_codec(config.limits)
        self._editor = Editor(
            config=config, models=models, native_size=assembly.native_size, reader=GrammarPromptReader()
        )

    def run(self, case: Case, name: str) -> None:
        """One edit from PNG bytes to PNG bytes."""
        asyncio.run(self._run(case, name))

    async def _run(self, case: Case, name: str) -> None:
        base = self._codec.decode(base64.b64decode(to_base64(case.base)))
        options = EditOptions(seed=7, num_inference_steps=STEPS, return_mask=True)
        request = EditRequest(base=base, prompt=case.prompt, options=options)
        result = await self._editor.edit(request, request_id=name, listener=lambda progress: None)
        self._codec.encode(result.image, OutputFormat.PNG)
        self._codec.encode_mask(result.mask)


def fresh(case: Case, number: int) -> Case:
    """The same case on an image that no cache has seen."""
    base = case.base.copy()
    base[0, 0] = (number, 255 - number, number // 2)
    return dataclasses.replace(case, base=base)


def measure_service(
    stock: StockPipelines, settings: Mapping[str, str], *, rounds: int, log: Path
) -> tuple[Outcome, Outcome]:
    """Overhead (REST p50 over the direct stages') and repeat (the same photo again over the first time)."""
    _import_other_models()
    direct = DirectEdits(StockDiffuser(stock))
    with Server(port=free_port(), log=log, environment=settings) as server:
        server.wait_until_healthy()
        with httpx.Client(base_url=server.url, timeout=600) as client:
            return _overhead(client, direct, rounds), _repeat(client, rounds)


def _overhead(client: httpx.Client, direct: DirectEdits, rounds: int) -> Outcome:
    case = photo_cases()[2]
    rest: list[float] = []
    alone: list[float] = []
    for number in range(rounds + 1):
        photo = fresh(case, number)
        measures: list[tuple[list[float], Callable[[], Any]]] = [
            (rest, partial(run_case, client, photo)),
            (alone, partial(direct.run, photo, f"direct-{number}")),
        ]
        for times, work in measures if number % 2 == 0 else reversed(measures):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
    # The first round warms up.
    ratio = statistics.median(rest[1:]) / statistics.median(alone[1:])
    return Outcome(
        ratio=ratio, details={"rest_s": rest[1:], "direct_s": alone[1:], "steps": STEPS, "prompt": case.prompt}
    )


def _repeat(client: httpx.Client, rounds: int) -> Outcome:
    """Kept when nothing but denoising and decoding ran again; how much time that is depends on the detectors' size."""
    first: list[float] = []
    again: list[float] = []
    found: list[Mapping[str, str]] = []
    for number in range(rounds + 1):
        photo = fresh(photo_cases()[0], 100 + number)
        for times in (first, again):
            start = time.perf_counter()
            result = run_controlled(client, photo)
            times.append(time.perf_counter() - start)
        found.append(result["metadata"]["cache"])
    computed = sorted({name for cache in found for name, outcome in cache.items() if outcome != "hit"})
    return Outcome(
        ratio=statistics.median(again[1:]) / statistics.median(first[1:]),
        details={
            "first_s": first[1:],
            "again_s": again[1:],
            "looked_up": sorted(found[-1]),
            "computed_again": computed,
        },
        kept=not computed,
    )


def run_controlled(client: httpx.Client, case: Case) -> dict[str, Any]:
    """A short edit that needs every model: both controls, and a reference where the case has one.

    Raises:
        httpx.HTTPStatusError: the service answered with an error.
    """
    settings = {"seed": 7, "num_inference_steps": REPEAT_STEPS, "control_types": ["pose", "depth"]}
    body = {"base_image": to_base64(case.base), "prompt": case.prompt, "config": settings}
    if case.reference is not None:
        body["reference_image"] = to_base64(case.reference)
    answer = client.post("/api/v1/generate", json=body).raise_for_status()
    result: dict[str, Any] = answer.json()["result"]
    return result


def _import_other_models() -> None:
    """The tiny profile's detectors and extractors, into the model store unless they are there."""
    subprocess.run([sys.executable, "-m", "models_store", "import", "tiny"], cwd=ROOT, check=True)
