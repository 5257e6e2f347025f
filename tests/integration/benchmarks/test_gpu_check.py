"""The card's check on small random models: what it says is right is, and what is wrong is seen. The card is a CPU."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks import gpu_check
from benchmarks.stock import StockPipelines
from runners.diffusion.families.stable_diffusion.family import StableDiffusionFamily

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    # diffusers' DPM scheduler under numpy 2.4.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def check(tmp_path_factory):
    """The exit status, and what was found by row."""
    models = tmp_path_factory.mktemp("models")

    def run(out):
        random = ["--random-weights", str(models), "--random-size", "small"]
        status = gpu_check.main([*random, "--steps", "3", "--formats", "float32", "--out", str(out)])
        rows = json.loads((out / "gpu_check.json").read_text())["rows"]
        return status, {row["what"]: row for row in rows}

    return run


def test_the_engine_on_a_cpu_is_right_and_what_needs_a_card_is_not_checked(check, tmp_path):
    status, rows = check(tmp_path)
    assert status == 0
    told = {what: row["right"] for what, row in rows.items()}
    for what in ("previews change nothing", "waits for the card in a step", "eight edits where memory runs short"):
        assert told.pop(what) == "not checked"
    assert set(told.values()) == {"yes"}
    assert rows["a plain edit, beside stock diffusers"]["found"] == "0 (bit for bit)"


def test_one_bit_beside_stock_is_seen_and_a_check_that_raises_ends_no_other(check, tmp_path, monkeypatch):
    latents, predict = StockPipelines.latents, StableDiffusionFamily.predict

    def a_bit_apart(self, *arguments):
        given = latents(self, *arguments).clone()
        given[0, 0, 0, 0] = torch.nextafter(given[0, 0, 0, 0], torch.tensor(9.0))
        return given

    def not_in_company(self, states):
        if len(states) > 1:
            raise RuntimeError("mixed devices")
        return predict(self, states)

    monkeypatch.setattr(StockPipelines, "latents", a_bit_apart)
    monkeypatch.setattr(StableDiffusionFamily, "predict", not_in_company)
    status, rows = check(tmp_path)
    assert status == 1
    assert rows["a plain edit, beside stock diffusers"]["right"] == "NO"
    together = rows["eight edits at once, beside each alone"]
    assert (together["found"], together["right"]) == ("RuntimeError: mixed devices", "NO")
    assert rows["the same edit again"]["right"] == "yes"
