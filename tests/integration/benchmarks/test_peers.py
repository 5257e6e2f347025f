"""The comparison of servers on small ones: one that sleeps in place of painting, the naive one and this service."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.peers import __main__ as peers
from benchmarks.peers.adapters import Launch, Naive
from benchmarks.peers.edit import changed_outside, make_edit
from benchmarks.peers.measures import COLUMNS, Effort, PeerBench
from benchmarks.peers.naive import create_app
from tests.unit.benchmarks.peers import stand_ins

pytestmark = [
    pytest.mark.integration,
    # diffusers' DPM scheduler under numpy 2.4.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]
EFFORT = Effort(side_px=128, steps=5, rounds=1)


@dataclass(frozen=True, kw_only=True)
class Sleeper(Naive):
    """0.4 s for an edit of five steps."""

    name: str = "sleeper"

    def launch(self, port: int, folder: Path) -> Launch:
        return Launch(command=[sys.executable, stand_ins.__file__, str(port), "0.08"], cwd=folder)


def test_a_server_that_paints_one_after_the_other_forgets_and_goes_on_shows_as_such(tmp_path):
    row = PeerBench(Sleeper(model=tmp_path, dtype="float32"), EFFORT, tmp_path / "run").run()
    assert tuple(row) == COLUMNS
    assert row["note"] is None
    assert 0 < row["healthy, s"] < row["first answer, s"]
    assert row["alone, s"] >= 0.4
    assert row["4 at once, s"] >= 1.6
    assert row["first of 4, s"] < row["4 at once, s"]
    assert row["8 at once, s"] >= 3.2
    assert row["failed at once"] == "0 of 12"
    left_of_long_s = 2.0 - row["alone, s"] / 2
    assert row["short during long, of alone"] * row["alone, s"] >= left_of_long_s + 0.4
    assert row["after a client left, of alone"] * row["alone, s"] >= left_of_long_s  # nobody tells it to stop
    assert row["answered of 3 after kill -9"] == "0"
    assert row["memory, MB"] > 10
    assert (row["changed outside, %"], row["changed far outside, %"]) == (0.0, 0.0)


def test_what_is_not_asked_for_is_not_measured(tmp_path):
    effort = Effort(side_px=128, steps=1, rounds=1, at_once=[4], measures=["at-once"])
    row = PeerBench(Sleeper(model=tmp_path, dtype="float32"), effort, tmp_path / "run").run()
    assert {name for name in COLUMNS if row[name] is None} == {
        "8 at once, s",
        "short during long, of alone",
        "after a client left, of alone",
        "answered of 3 after kill -9",
        "note",
    }
    assert row["failed at once"] == "0 of 4"


def test_random_weights_are_the_same_each_time_and_kept(tmp_path):
    one, other = (peers._random_model("small", tmp_path / name, "float32") for name in ("one", "other"))
    files = [folder / "unet" / "diffusion_pytorch_model.safetensors" for folder in (one, other)]
    assert files[0].read_bytes() == files[1].read_bytes()
    built_at = files[0].stat().st_mtime_ns
    assert peers._random_model("small", tmp_path / "one", "float32") == one
    assert files[0].stat().st_mtime_ns == built_at
    assert sorted(folder.name for folder in one.parent.iterdir()) == ["sd-inpainting", "size.json"]


def test_the_naive_server_paints_the_whole_photo(tiny_models):
    edit = make_edit(1, side_px=256, steps=2)
    naive = Naive(model=tiny_models.path("sd-inpainting"), dtype="float32")
    with stand_ins.served(create_app(str(naive.model), naive.dtype)) as client:
        assert client.get(naive.health_path).is_success
        painted, again = naive.paint(client, edit), naive.paint(client, edit)
        other = naive.paint(client, edit.again(seed=2))
    assert painted.shape == (256, 256, 3)
    assert (painted == again).all()
    assert (painted != other).any()
    assert changed_outside(edit, painted)[1] > 0.9  # nothing brings the photo back


@pytest.mark.slow
def test_this_service_and_the_naive_one_are_measured_on_the_tiny_model(tiny_models, tmp_path, capsys):
    model = tiny_models.path("sd-inpainting")
    asked = ["--model", str(model), "--px", "256", "--steps", "2", "--rounds", "1", "--only", "ours,naive"]
    status = peers.main([*asked, "--out", str(tmp_path)])
    said = capsys.readouterr().out
    assert status == 0, said
    ours, naive = json.loads((tmp_path / "peers.json").read_text())["rows"]
    assert (ours["note"], naive["note"]) == (None, None)
    assert (ours["failed at once"], naive["failed at once"]) == ("0 of 12", "0 of 12")
    assert ours["answered of 3 after kill -9"] == "3"
    assert naive["answered of 3 after kill -9"] == "0"
    assert ours["changed outside, %"] == 0
    assert naive["changed far outside, %"] > 90
    assert "|  | this service | naive |" in said
