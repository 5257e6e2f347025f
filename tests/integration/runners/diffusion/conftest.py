"""Components of the tiny profiles, loaded once per format and IP-Adapter; engines are cheap and made per test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import pytest
import torch

from benchmarks.stock import StockPipelines
from models_store.store import ModelSet
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.settings import EngineSettings
from runners.diffusion.engine.step_engine import StepEngine
from runners.diffusion.families.sd15.build import SD15
from runners.diffusion.families.sdxl.build import SDXL
from runners.diffusion.families.stable_diffusion.build import build_family
from runners.diffusion.families.stable_diffusion.components import Components
from runners.diffusion.families.stable_diffusion.paths import StableDiffusionPaths, profile_paths
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings
from runners.diffusion.torch_device import TorchDevice
from tests.integration.runners.diffusion.served import Served

CPU = torch.device("cpu")

FOREIGN_WARNINGS = (
    # diffusers' DPM scheduler under numpy 2.4, and bentoml's import of pathspec.
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning",
    "ignore:GitWildMatchPattern:DeprecationWarning",
)


def pytest_configure(config: pytest.Config) -> None:
    for line in FOREIGN_WARNINGS:
        config.addinivalue_line("filterwarnings", line)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def sd15(tiny_models: ModelSet) -> Served:
    return Served(profile_paths(SD15, tiny_models))


@pytest.fixture(scope="session")
def sdxl(tiny_sdxl_models: ModelSet) -> Served:
    return Served(profile_paths(SDXL, tiny_sdxl_models))


@pytest.fixture(params=["sd15", "sdxl"])
def served(request: pytest.FixtureRequest) -> Served:
    """Each family in turn."""
    one: Served = request.getfixturevalue(request.param)
    return one


@pytest.fixture(scope="session")
def paths(sd15: Served) -> StableDiffusionPaths:
    return sd15.paths


@pytest.fixture(scope="session")
def load(sd15: Served) -> Callable[..., Components]:
    return sd15.load


@pytest.fixture
def make_engine(load: Callable[..., Components]) -> Iterator[Callable[..., StepEngine]]:
    """make_engine(components=None, threaded=False, clock=..., on_device_lost=..., **settings) -> a running engine.

    It is stopped at the end. Settings are the engine's and the family's.
    """
    engines: list[StepEngine] = []

    def make(components: Components | None = None, *, threaded: bool = False, **options: Any) -> StepEngine:
        clock = {"clock": options.pop("clock")} if "clock" in options else {}
        lost = {"on_device_lost": options.pop("on_device_lost")} if "on_device_lost" in options else {}
        limits = {field.name: options.pop(field.name) for field in fields(EngineSettings) if field.name in options}
        counters = Counters()
        engine = StepEngine(
            build_family(components or load(), StableDiffusionSettings(**options), counters, **clock),
            TorchDevice(CPU, asynchronous=threaded),
            EngineSettings(**limits),
            counters,
            **clock,
            **lost,
        )
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.stop()


@pytest.fixture
def engine(make_engine: Callable[..., StepEngine]) -> StepEngine:
    return make_engine()


@pytest.fixture(scope="session")
def stock(sd15: Served) -> Callable[[torch.dtype], StockPipelines]:
    return sd15.stock
