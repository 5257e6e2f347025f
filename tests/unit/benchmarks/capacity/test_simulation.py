"""Results of queueing theory, and that each way of serving is what it says."""

from __future__ import annotations

import dataclasses
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.capacity.costs import Costs, ShapeCosts
from benchmarks.capacity.servers import serve, servers, workers_needed
from benchmarks.capacity.simulation import simulate
from benchmarks.capacity.traffic import Kind, Request, draw
from benchmarks.capacity.workers import StepEngineWorker, WholeRequestWorker

PLAIN = Kind(name="plain", share=1, steps=4, guided=False)


def costs(unet_s, *, encode_s=0.0, decode_s=0.0, **changes) -> Costs:
    shape = ShapeCosts(latent_size=(8, 8), encode_s=encode_s, decode_s=decode_s, unet_s=unet_s, controlnet_s=unet_s)
    shapes = {"square": shape, "landscape": dataclasses.replace(shape, latent_size=(6, 8))}
    return Costs(about="of a test", shapes=shapes, **changes)


def at(*moments, kind=PLAIN):
    return [Request(number=number, kind=kind, at_s=moment) for number, moment in enumerate(moments)]


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_one_at_a_time_waits_as_an_m_d_1_queue_does(load):
    """Mean wait = load x cost / 2 (1 - load) (Pollaczek and Khinchine); the server is busy for arrivals x cost."""
    server, cost_s = WholeRequestWorker(costs({1: 0.25}), max_rows=1), 1.0
    outcome = simulate(draw([PLAIN], per_hour=3600 * load, count=40_000, seed=5), [server])
    assert statistics.mean(outcome.delays_s) == pytest.approx(load * cost_s / (2 * (1 - load)), rel=0.03)
    assert outcome.utilisation == pytest.approx(load * cost_s, rel=0.03)
    assert not outcome.overloaded


def test_a_step_engine_that_gains_nothing_by_sharing_is_a_processor_shared_by_all():
    """M/G/1 processor sharing: mean time to answer = cost / (1 - load), whatever is served."""
    kind = dataclasses.replace(PLAIN, steps=20)
    worker = StepEngineWorker(costs({1: 0.05}), in_flight=10_000, max_rows=10_000)
    outcome = simulate(draw([kind], per_hour=0.6 * 3600, count=2500, seed=5), [worker])
    assert statistics.mean(outcome.answers_s) == pytest.approx(1 / (1 - 0.6), rel=0.05)
    assert outcome.utilisation == pytest.approx(0.6, rel=0.03)


def test_a_step_engine_with_one_request_at_a_time_is_first_come_first_served():
    spent = costs({1: 0.25, 2: 0.4}, encode_s=0.3, decode_s=0.2, around_s=0.1, reference_s=0.05)
    mix = [PLAIN, Kind(name="posed", share=1, steps=3, shape="landscape", controls=("pose",), reference=True)]
    requests = draw(mix, per_hour=1200, count=300, seed=5)
    engine = simulate(requests, [StepEngineWorker(spent, in_flight=1, max_rows=16)])
    alone = simulate(requests, [WholeRequestWorker(spent, max_rows=1)])
    assert engine.answers_s == pytest.approx(alone.answers_s)
    assert engine.delays_s == pytest.approx(alone.delays_s)
    assert engine.utilisation == pytest.approx(alone.utilisation)


@pytest.mark.parametrize(
    ("second", "answers"),
    [
        # Together after the first's first step: 1 + 3 x 1.5 for both, the second's last one alone.
        (PLAIN, [1 + 3 * 1.5, 3 * 1.5 + 1 + 0.5]),
        # Another size shares no forward: a second each in turn, who came first before.
        (dataclasses.replace(PLAIN, shape="landscape"), [6, 7.5]),
        (dataclasses.replace(PLAIN, loras="film"), [6, 7.5]),
    ],
    ids=["same size", "another size", "other LoRAs"],
)
def test_who_comes_during_a_request_shares_its_steps_when_it_has_its_size_and_loras(second, answers):
    requests = [Request(number=0, kind=PLAIN, at_s=0.0), Request(number=1, kind=second, at_s=0.5)]
    outcome = simulate(requests, [StepEngineWorker(costs({1: 1.0, 2: 1.5}), in_flight=3, max_rows=16)])
    assert list(outcome.answers_s) == answers


@pytest.mark.parametrize(("in_flight", "max_rows"), [(1, 16), (3, 1)])
def test_neither_more_requests_nor_more_rows_than_allowed_share_a_step(in_flight, max_rows):
    worker = StepEngineWorker(costs({1: 1.0, 2: 1.0}), in_flight=in_flight, max_rows=max_rows)
    assert simulate(at(0.0, 0.0), [worker]).last_s == 8.0
    shared = StepEngineWorker(costs({1: 1.0, 2: 1.0}), in_flight=2, max_rows=2)
    assert simulate(at(0.0, 0.0), [shared]).last_s == 5.0  # the second is encoded after the first one's first step


def test_a_slot_is_free_when_its_request_has_ended_and_not_before():
    worker = StepEngineWorker(costs({1: 1.0}, decode_s=2.0), in_flight=1, max_rows=16)
    outcome = simulate(at(0.0, 0.5), [worker])
    assert list(outcome.delays_s) == [0.0, 5.5]
    assert list(outcome.answers_s) == [6.0, 11.5]


def test_whole_batches_take_those_that_are_alike_and_nobody_joins_on_the_way():
    worker = WholeRequestWorker(costs({1: 1.0, 4: 1.0}), max_rows=4)
    outcome = simulate(at(0.0, 0.5, 1.0, 1.5), [worker])
    assert list(outcome.answers_s) == [4.0, 7.5, 7.0, 6.5]


@pytest.mark.parametrize("first", [{"reference": True}, {"loras": "film"}, {"shape": "landscape"}, {"guided": True}])
def test_requests_that_a_stock_pipeline_cannot_paint_together_are_in_no_batch(first):
    kinds = [dataclasses.replace(PLAIN, **first), PLAIN]
    requests = [Request(number=number, kind=kind, at_s=0.0) for number, kind in enumerate(kinds)]
    outcome = simulate(requests, [WholeRequestWorker(costs({1: 1.0, 4: 1.0}), max_rows=4)])
    assert list(outcome.answers_s) == [4.0, 8.0]


def test_two_references_are_in_no_batch_together():
    kind = dataclasses.replace(PLAIN, reference=True)
    outcome = simulate(at(0.0, 0.0, kind=kind), [WholeRequestWorker(costs({1: 1.0, 4: 1.0}), max_rows=4)])
    assert list(outcome.answers_s) == [4.0, 8.0]


def test_two_workers_serve_two_at_once_and_are_each_busy_half_the_time():
    outcome = simulate(at(0.0, 0.0, 8.0), [WholeRequestWorker(costs({1: 1.0}), max_rows=1) for _ in range(2)])
    assert list(outcome.answers_s) == [4.0, 4.0, 4.0]
    assert outcome.utilisation == 0.5


gaps = st.lists(st.floats(0.0, 4.0), min_size=1, max_size=12)


@given(gaps=gaps, kinds=st.data(), gain=st.floats(0.0, 1.0))
def test_sharing_never_takes_longer_for_all_than_one_at_a_time_where_a_batch_costs_no_more_than_its_parts(
    gaps, kinds, gain
):
    spent = costs({1: 1.0, 2: 2 - gain, 16: 16 - 15 * gain}, encode_s=0.1, decode_s=0.2)
    mix = [PLAIN, dataclasses.replace(PLAIN, shape="landscape"), dataclasses.replace(PLAIN, steps=2)]
    moments = [sum(gaps[: number + 1]) for number in range(len(gaps))]
    requests = [
        Request(number=number, kind=kinds.draw(st.sampled_from(mix)), at_s=moment)
        for number, moment in enumerate(moments)
    ]
    made = servers(spent, in_flight=3, max_rows=16)
    last_s = {name: simulate(requests, [server()]).last_s for name, server in made.items()}
    assert last_s["whole batches"] <= last_s["one at a time"] + 1e-9
    assert last_s["step engine"] <= last_s["one at a time"] + 1e-9


def test_more_than_can_be_served_is_told_as_such():
    outcome = simulate(
        draw([PLAIN], per_hour=3600 * 1.3, count=2000, seed=5), [WholeRequestWorker(costs({1: 0.25}), max_rows=1)]
    )
    assert outcome.overloaded
    assert outcome.utilisation == pytest.approx(1.0, abs=0.01)


def test_the_workers_needed_are_the_fewest_that_answer_in_time():
    made = servers(costs({1: 0.25}), in_flight=3, max_rows=16)["one at a time"]
    asked = {"mix": [PLAIN], "per_hour": 3600 * 2.5, "count": 2000, "seed": 5}
    needed = workers_needed(made, within_s=3.0, **asked)
    assert needed is not None
    assert needed >= 3  # two and a half are busy
    answers = {n: sorted(serve(made, workers=n, **asked).answers_s)[1899] for n in (needed - 1, needed)}
    assert answers[needed] <= 3.0 < answers[needed - 1]


def test_no_number_of_workers_answers_faster_than_a_request_alone():
    made = servers(costs({1: 0.25}), in_flight=3, max_rows=16)["step engine"]
    with pytest.raises(ValueError, match=r"plain alone takes 1\.0 s"):
        workers_needed(made, [PLAIN], within_s=0.9, per_hour=10, count=10, seed=5)
