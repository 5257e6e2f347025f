"""A few measured pieces foretell what other traffic costs; by the clock on the wall: tests/integration/benchmarks."""

from __future__ import annotations

import pytest

from benchmarks.capacity.validation import TRUTH, Compared, measure_stand_in, validate_simulated


def test_the_forecast_from_measured_pieces_holds_for_other_traffic():
    compared = validate_simulated(count=400)
    assert [one.name for one in compared] == ["time to answer, p50", "utilisation"]
    assert [(one.name, one.off_by) for one in compared if not one.kept] == []
    assert all(one.seen > 0.2 for one in compared)


def test_the_pieces_that_are_measured_are_those_that_were_spent():
    measured = measure_stand_in(rounds=41, real=False)
    for name, truth in TRUTH.shapes.items():
        found = measured.shape(name)
        assert found.encode_s == pytest.approx(truth.encode_s + TRUTH.around_s, rel=0.1)
        assert found.decode_s == pytest.approx(truth.decode_s, rel=0.1)
        assert found.step_s(1) == pytest.approx(truth.step_s(1), rel=0.1)
        assert found.step_s(6, [4]) == pytest.approx(truth.step_s(6, [4]), rel=0.15)


@pytest.mark.parametrize(("foretold", "kept"), [(0.84, False), (0.86, True), (1.14, True), (1.16, False)])
def test_a_forecast_is_kept_within_fifteen_per_cent_of_what_was_seen(foretold, kept):
    assert Compared(name="x", foretold=foretold, seen=1.0).kept is kept
