"""The capacity simulation beside what it stands for: the tiny profile's step costs, the engine by the wall's clock."""

from __future__ import annotations

import pytest
import torch

from benchmarks.capacity import __main__ as capacity
from benchmarks.capacity import measuring, profile_models
from benchmarks.capacity.cards import SHAPES
from benchmarks.capacity.costs import load
from benchmarks.capacity.measuring import ROWS
from benchmarks.capacity.validation import validate_real
from runners.diffusion.families.stable_diffusion.compilation.compiler import BlockCompiler
from tests.integration.runners.diffusion.compilation.networks import CountingBackend

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    # diffusers' DPM scheduler under numpy 2.4.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]


def test_the_tiny_profiles_pieces_are_measured_and_simulated(tiny_models, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COMPOSITION_MODELS__PROFILE", "tiny")
    monkeypatch.setattr(capacity, "MEASURING_ROUNDS", 1)
    assert capacity.main(["--measure", "tiny", "--out", str(tmp_path)]) == 0
    costs = load(tmp_path / "costs-tiny.json")
    assert {name: shape.latent_size for name, shape in costs.shapes.items()} == {
        "square": (32, 32),
        "landscape": (24, 32),
        "portrait": (32, 24),
    }
    for shape in costs.shapes.values():
        assert set(shape.unet_s) == set(ROWS)
        assert set(shape.controlnet_s) == set(ROWS) - {1}
        assert min(shape.encode_s, shape.decode_s, *shape.unet_s.values()) > 0
    assert costs.around_s > 0
    assert costs.about.endswith("profile tiny, float32, eager")
    simulated = ["--costs", str(tmp_path / "costs-tiny.json"), "--rates", "10", "--workers", "1", "--requests", "20"]
    assert capacity.main([*simulated, "--out", str(tmp_path)]) == 0
    assert "profile tiny" in capsys.readouterr().out


def test_where_blocks_are_compiled_what_is_measured_runs_compiled(tiny_models, monkeypatch):
    monkeypatch.setenv("COMPOSITION_MODELS__PROFILE", "tiny")
    compiler = BlockCompiler(CountingBackend(), max_rows=4)
    monkeypatch.setattr(profile_models, "compiler_for", lambda components, settings: compiler)
    monkeypatch.setattr(profile_models, "SHAPES", {"square": SHAPES["square"]})
    monkeypatch.setattr(measuring, "ROWS", (1, 2))
    costs = measuring.measure_profile("tiny", rounds=1)
    torch._dynamo.reset()
    assert costs.about.endswith(", compiled")
    # Two passes before, which are not told.
    assert compiler.forwards["compiled"] * 2 == compiler.forwards["eager"] > 0
    assert compiler.forwards["partly"] == 0


def test_the_forecast_holds_by_the_clock_on_the_wall():
    assert [(one.name, one.foretold, one.seen) for one in validate_real() if not one.kept] == []
