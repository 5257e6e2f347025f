from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from runners.diffusion.engine.batcher import PATIENCE_TURNS, Candidate, next_batch


def candidate(key, *, bucket="a", rows=2, last_served=0):
    return Candidate(key=key, bucket=bucket, rows=rows, last_served=last_served, arrival=key)


crowds = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 2), st.integers(0, 5)), min_size=1, max_size=12).map(
    lambda entries: [
        candidate(key, bucket=bucket, rows=rows, last_served=served)
        for key, (bucket, rows, served) in enumerate(entries)
    ]
)


def test_nobody_waiting_makes_no_batch():
    assert next_batch([], lambda bucket: 16) == ()


def test_all_of_one_bucket_run_together_while_rows_last():
    assert next_batch([candidate(k) for k in range(3)], lambda bucket: 16) == (0, 1, 2)
    assert next_batch([candidate(k) for k in range(3)], lambda bucket: 4) == (0, 1)


def test_a_request_wider_than_the_limit_still_runs():
    assert next_batch([candidate(0, rows=2)], lambda bucket: 1) == (0,)


def test_the_one_that_waited_longest_chooses_the_bucket():
    crowd = [candidate(0, last_served=5), candidate(1, bucket="b", last_served=2), candidate(2, last_served=5)]
    assert next_batch(crowd, lambda bucket: 16) == (1,)


@given(crowd=crowds, limit=st.integers(1, 16))
def test_a_batch_is_of_one_bucket_within_the_limit_and_has_who_waited_longest(crowd, limit):
    by_key = {c.key: c for c in crowd}
    chosen = [by_key[key] for key in next_batch(crowd, lambda bucket: limit)]
    leader = min(crowd, key=lambda c: (c.last_served, c.arrival))
    assert leader in chosen
    assert {c.bucket for c in chosen} == {leader.bucket}
    assert sum(c.rows for c in chosen) <= max(limit, leader.rows)
    assert [c.arrival for c in chosen] == sorted(c.arrival for c in chosen)


@given(crowd=crowds, limit=st.integers(1, 16))
def test_everybody_is_served_within_as_many_turns_as_there_are_requests(crowd, limit):
    served: set[int] = set()
    for turn in range(10, 10 + len(crowd)):
        batch = set(next_batch(crowd, lambda bucket: limit))
        served |= batch
        crowd = [dataclasses.replace(c, last_served=turn) if c.key in batch else c for c in crowd]
    assert served == {c.key for c in crowd}


def unready(key, last_served):
    return dataclasses.replace(candidate(key, bucket="b", last_served=last_served), ready=False)


def test_one_whose_model_must_be_loaded_waits_while_others_can_run():
    crowd = [unready(0, last_served=1), candidate(1, last_served=40), candidate(2, last_served=41)]
    assert next_batch(crowd, lambda bucket: 16, turn=PATIENCE_TURNS) == (1, 2)


def test_one_whose_model_must_be_loaded_leads_when_it_has_waited_long_enough():
    crowd = [unready(0, last_served=1), candidate(1, last_served=40)]
    assert next_batch(crowd, lambda bucket: 16, turn=1 + PATIENCE_TURNS) == (0,)


def test_one_whose_model_must_be_loaded_leads_when_nobody_else_is_there():
    assert next_batch([unready(0, last_served=7)], lambda bucket: 16, turn=8) == (0,)
