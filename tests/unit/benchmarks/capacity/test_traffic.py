"""Who comes and when."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from benchmarks.capacity.traffic import BURST, SHOP, SIMPLE, Kind, draw, load_mix


@pytest.mark.parametrize("arrivals", ["poisson", "even", "bursts"])
def test_as_many_come_in_an_hour_as_are_said_to(arrivals):
    requests = draw(SIMPLE, per_hour=900, count=20_000, seed=3, arrivals=arrivals)
    assert requests[-1].at_s / 3600 == pytest.approx(20_000 / 900, rel=0.03)
    assert [request.at_s for request in requests] == sorted(request.at_s for request in requests)


def test_a_burst_comes_at_one_moment():
    moments = Counter(request.at_s for request in draw(SIMPLE, per_hour=900, count=100, seed=3, arrivals="bursts"))
    assert set(moments.values()) == {BURST}


def test_kinds_come_in_their_shares():
    requests = draw(SHOP, per_hour=10, count=20_000, seed=3)
    found = Counter(request.kind.name for request in requests)
    assert {kind.name: found[kind.name] / 20_000 for kind in SHOP} == pytest.approx(
        {kind.name: kind.share for kind in SHOP}, abs=0.01
    )


def test_a_seed_is_a_crowd_and_another_rate_has_the_same_kinds():
    drawn = [draw(SHOP, per_hour=rate, count=50, seed=seed) for rate, seed in ((10, 1), (10, 1), (20, 1), (10, 2))]
    assert drawn[0] == drawn[1]
    assert [one.kind for one in drawn[0]] == [one.kind for one in drawn[2]]
    assert [one.kind for one in drawn[0]] != [one.kind for one in drawn[3]]


def test_a_mix_of_one_s_own_is_read_from_a_file(tmp_path):
    (tmp_path / "mine.json").write_text(json.dumps([{"name": "a", "share": 2, "steps": 4, "controls": ["pose"]}]))
    assert load_mix(str(tmp_path / "mine.json")) == (Kind(name="a", share=2, steps=4, controls=("pose",)),)


@pytest.mark.parametrize("names", [("a", "a"), ("a", "all")])
def test_kinds_that_could_not_be_told_apart_are_refused(tmp_path, names):
    (tmp_path / "mine.json").write_text(json.dumps([{"name": name, "share": 1} for name in names]))
    with pytest.raises(ValueError, match="one name"):
        load_mix(str(tmp_path / "mine.json"))


@pytest.mark.parametrize("text", ["[]", "{", '[{"name": "a"}]', '[{"name": "a", "share": 0}]', '{"name": "a"}'])
def test_a_file_that_is_no_mix_is_refused_by_its_name(tmp_path, text):
    (tmp_path / "mine.json").write_text(text)
    with pytest.raises(ValueError, match=r"mine\.json"):
        load_mix(str(tmp_path / "mine.json"))


def test_a_mix_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(ValueError, match=r"'shops'.*simple, shop, drafts"):
        load_mix("shops")
