"""A front service for tests: composes the batching runners as the product does, and floods them.

Served with `bentoml serve`, so that calls cross processes and BentoML's adaptive batching is at work.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import bentoml
import numpy as np

from api.connections import bound_connections
from composition.errors import CompositionError
from composition.images import Box, Detection, Outlines, Pose
from runners.analyzer.client import BentoAnalyzer
from runners.analyzer.service import AnalyzerRunner
from runners.detector.client import BentoDetector
from runners.detector.service import DetectorRunner
from runners.structure.client import BentoStructure
from runners.structure.service import StructureRunner

HEIGHT, WIDTH = 256, 320

bound_connections()  # as `service.py` does, whose import is the first thing in a runner's process too


def photo(seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def thing(x0: float = 40, width: float = 150) -> Detection:
    return Detection(label="person", score=0.9, box=Box(x0=x0, y0=30, x1=x0 + width, y1=220))


@bentoml.service(name="runner-probe", traffic={"timeout": 300}, metrics={"enabled": False})
class RunnerProbe:
    analyzer = bentoml.depends(AnalyzerRunner)
    detector = bentoml.depends(DetectorRunner)
    structure = bentoml.depends(StructureRunner)

    @bentoml.on_startup
    async def wire(self) -> None:
        self.clients = (BentoAnalyzer(self.analyzer), BentoDetector(self.detector), BentoStructure(self.structure))

    @bentoml.api
    async def flood(self, method: str, count: int, bad: int = -1, standing_s: float = 0) -> dict[str, Any]:
        """`count` concurrent calls of `method`, each with its own input; number `bad` is one that must fail.

        This process stands still for `standing_s` before: what runners close meanwhile it learns when it has asked.
        Gives the answer in numbers or the error code per call, and how many batches, items and forwards they made.
        """
        analyzer, detector, structure = self.clients
        client, ask = {
            "detect_objects": (analyzer, lambda i: analyzer.detect_objects(photo(i))),
            "classify_reference": (analyzer, lambda i: analyzer.classify_reference(photo(i))),
            "classify_prompt": (analyzer, lambda i: analyzer.classify_prompt(f"make the wall number {i} red")),
            "detect": (detector, lambda i: detector.detect(photo(i), " . " if i == bad else "red car")),
            "segment": (detector, lambda i: detector.segment(photo(i), [thing(width=0 if i == bad else 150)])),
            "estimate_pose": (
                structure,
                lambda i: structure.estimate_pose(photo(i), [thing(x0=i, width=0 if i == bad else 150)]),
            ),
            "estimate_depth": (structure, lambda i: structure.estimate_depth(photo(i))),
        }[method]
        before = (await client.state())["batches"].get(method, {})
        time.sleep(standing_s)  # noqa: ASYNC251  that is what it is for
        answers = await asyncio.gather(*[self._numbers(ask(index)) for index in range(count)])
        after = (await client.state())["batches"][method]
        made = {name: after[name] - before.get(name, 0) for name in ("batches", "items", "forwards")}
        return {"answers": answers, **made}

    @bentoml.api
    async def segment_many(self, count: int) -> list[list[float] | str]:
        """`count` concurrent segmentations of different images: numbers or the error code each."""
        _, detector, _ = self.clients
        return await asyncio.gather(
            *[self._numbers(detector.segment(photo(1000 + index), [thing()])) for index in range(count)]
        )

    async def _numbers(self, answer: Any) -> list[float] | str:
        try:
            return numbers_of(await answer)
        except CompositionError as error:
            return error.code

    @bentoml.api
    async def states(self) -> list[dict[str, Any]]:
        return [dict(await client.state()) for client in self.clients]


def numbers_of(value: Any) -> list[float]:
    """An answer as numbers: they tell answers apart, survive the hop and can be compared within a tolerance."""
    if isinstance(value, np.ndarray):
        return [*value.shape, float(value.mean())]
    if isinstance(value, Detection):
        return [value.score, value.box.x0, value.box.y0, value.box.x1, value.box.y1]
    if isinstance(value, Pose):
        return numbers_of(value.body)
    if isinstance(value, Outlines):
        return numbers_of(value.masks)
    if isinstance(value, Mapping):
        return [float(number) for number in value.values()]
    if isinstance(value, tuple):
        return [len(value), *(number for item in value for number in numbers_of(item))]
    return [float(value)]
