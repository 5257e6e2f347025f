"""What a step costs between the rows that were measured, and what is expected of a card."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.capacity.cards import CARDS, expected
from benchmarks.capacity.costs import Costs, ShapeCosts, interpolated, load, save

ROOT = Path(__file__).parents[4]
SHAPE = ShapeCosts(latent_size=(8, 8), encode_s=1, decode_s=2, unet_s={1: 3, 2: 5, 4: 6}, controlnet_s={2: 1})


@pytest.mark.parametrize(("rows", "seconds"), [(1, 3), (2, 5), (3, 5.5), (4, 6), (8, 8)])
def test_seconds_lie_on_straight_lines_and_the_last_one_goes_on(rows, seconds):
    assert interpolated(SHAPE.unet_s, rows) == seconds


def test_what_is_known_for_one_number_of_rows_grows_with_them():
    assert interpolated({2: 1.0}, 6) == 3.0


def test_a_line_that_falls_does_not_fall_below_nothing():
    assert interpolated({1: 2.0, 2: 1.0}, 9) == 0.0


def test_a_step_pays_each_controlnet_for_the_rows_that_want_it():
    assert SHAPE.step_s(4, [2, 4]) == 6 + 1 + 2


def test_a_controlnet_that_was_not_measured_is_refused():
    with pytest.raises(ValueError, match="no ControlNet"):
        ShapeCosts(latent_size=(8, 8), encode_s=0, decode_s=0, unet_s={1: 1}).step_s(2, [2])


def test_costs_come_back_from_their_file(tmp_path):
    costs = Costs(about="x", shapes={"square": SHAPE}, around_s=0.5, reference_s=0.25)
    save(costs, tmp_path / "new" / "costs.json")
    assert load(tmp_path / "new" / "costs.json") == costs


def test_another_file_is_refused_by_its_name(tmp_path):
    (tmp_path / "bench.json").write_text('{"ratios": {}}')
    with pytest.raises(ValueError, match=r"bench\.json holds no step costs"):
        load(tmp_path / "bench.json")


def test_a_shape_without_costs_is_refused_with_those_that_have_some():
    with pytest.raises(ValueError, match=r"'tall'.*only for square"):
        Costs(about="x", shapes={"square": SHAPE}).shape("tall")


@pytest.mark.parametrize("name", CARDS)
def test_a_card_s_batch_of_sixteen_has_the_cited_gain_and_its_square_edit_the_counted_work(name):
    card, square = CARDS[name], expected(name).shape("square")
    assert 16 * square.step_s(2) / square.step_s(32) == pytest.approx(card.gain)
    plain_s = square.encode_s + 20 * square.step_s(2) + square.decode_s
    assert plain_s * card.tflops * 0.4 == pytest.approx(36, rel=0.01)  # docs/performance.md: 36 TFLOP


def test_cards_have_the_speed_that_the_documentation_cites():
    rows = re.findall(r"^\| ([\w ]+) \| (\d+) \(", (ROOT / "docs/your-card.md").read_text(), re.MULTILINE)
    assert {name: float(speed) for name, speed in rows} == {name: card.tflops for name, card in CARDS.items()}
