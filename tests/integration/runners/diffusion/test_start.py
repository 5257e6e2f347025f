"""From a configuration to a running engine: the base model's class decides which family runs."""

from __future__ import annotations

import json
import shutil
import sys
import time
from types import ModuleType

import pytest
import torch

from composition.config import Config
from models_store.pipelines import FAMILIES, UnservedPipeline
from models_store.store import ModelSet
from runners.diffusion.engine.counters import Counters
from runners.diffusion.start import UnloadableModel, start_engine
from tests.integration.runners.diffusion.requests import request, run
from tests.unit.runners.diffusion.engine.drifting import DRIFT, DriftFamily

pytestmark = pytest.mark.integration

CPU = torch.device("cpu")


@pytest.fixture
def drifting(tmp_path):
    """A configuration whose base model is a DriftPipeline."""
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "DriftPipeline"}))
    return Config.model_validate({"models": {"profile": "tiny", "base_model": str(tmp_path)}})


def test_a_family_is_a_module_of_its_own_and_one_line(drifting, monkeypatch):
    build = ModuleType("runners.diffusion.families.drift.build")
    build.load_family = lambda config, models, device, counters: DriftFamily()
    monkeypatch.setitem(sys.modules, "runners.diffusion.families.drift", ModuleType("drift"))
    monkeypatch.setitem(sys.modules, build.__name__, build)
    monkeypatch.setitem(FAMILIES, "DriftPipeline", "drift")
    engine = start_engine(drifting, ModelSet(drifting.models), CPU, Counters())
    try:
        [result] = run(engine, request(9, num_inference_steps=3))
    finally:
        engine.stop()
    assert set(result.image.flat) == {9 + 3 * DRIFT}
    assert result.models_used == ("drift",)


def test_a_class_that_no_family_serves_starts_nothing(drifting):
    with pytest.raises(UnservedPipeline, match="is a DriftPipeline; served: "):
        start_engine(drifting, ModelSet(drifting.models), CPU, Counters())


def test_a_model_whose_weights_are_not_there_is_refused_in_one_line(tiny_models, tmp_path):
    folder = tmp_path / "base"
    shutil.copytree(tiny_models.path("sd-inpainting"), folder, ignore=shutil.ignore_patterns("diffusion_pytorch*"))
    config = Config.model_validate(
        {"models": {"profile": "tiny", "base_model": str(folder), "dtype": "float32", "device": "cpu"}}
    )
    with pytest.raises(UnloadableModel, match="the diffusion models of profile tiny do not load: ") as caught:
        start_engine(config, ModelSet(config.models), CPU, Counters())
    assert "diffusion_pytorch_model" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_tiny_profile_is_served_by_stable_diffusion(tiny_models):
    config = Config.model_validate({"models": {"profile": "tiny", "dtype": "float32", "device": "cpu"}})
    engine = start_engine(config, tiny_models, CPU, Counters())
    try:
        [result] = run(engine, request())
        stats = engine.stats()
    finally:
        engine.stop()
    assert result.models_used == ("sd-inpainting", "safety-checker")
    assert stats["models_loaded"] == ["sd-inpainting", "ip-adapter", "safety-checker"]
    assert (stats["compilation"]["on"], stats["compilation"]["blocks"]) == (False, 0)
    json.dumps(stats)


def test_where_compiling_is_asked_for_what_came_is_kept_for_the_next_start(tiny_models, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "torch"))
    config = Config.model_validate(
        {
            "models": {"profile": "tiny", "dtype": "float32", "device": "cpu"},
            "generation": {"enable_torch_compile": True},
            "storage": {"folder": str(tmp_path)},
        }
    )
    engine = start_engine(config, tiny_models, CPU, Counters())
    try:
        run(engine, request(num_inference_steps=1))
        stats = engine.stats()["compilation"]
        until = time.monotonic() + 60
        while not list(tmp_path.glob("compiled/learnt-*.json")):
            assert time.monotonic() < until
            time.sleep(0.05)
    finally:
        engine.stop()
    assert (stats["on"], stats["blocks"], stats["waiting"]) == (True, 0, 0)  # of one answer nothing is compiled
    assert stats["run"]["unet"].keys() == stats["run"]["vae"].keys() == {"eager"}
