"""What `make load` must not let pass."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from benchmarks.load import Load, percentile
from benchmarks.load_clients import GARBAGE, Account


@pytest.mark.parametrize(
    ("answer", "expected", "says"),
    [
        (httpx.Response(500, text="boom"), (200,), "edit: 500 boom"),
        (httpx.Response(504, text="late"), (200,), "edit: 504 late"),
        (httpx.Response(503), (200,), "edit: 503 without Retry-After"),
        (httpx.Response(200, text="fine"), GARBAGE, "edit: 200 fine"),
    ],
)
def test_an_answer_that_the_request_does_not_deserve_is_wrong(answer: httpx.Response, expected, says: str):
    account = Account()
    account.note("edit", answer, 0.1, expected=expected)
    assert account.wrong == {says: 1}


def test_a_refusal_that_says_when_to_come_again_is_an_answer():
    account = Account()
    account.note("edit", httpx.Response(503, headers={"Retry-After": "3"}), 0.1, expected=(200,))
    assert (account.wrong, account.answers["edit"]) == ({}, {503: 1})


def test_a_broken_connection_is_the_service_s_fault_unless_the_crowd_stood_still():
    account = Account(stalls=[(10.0, 12.0)])
    account.note_broken("edit", httpx.ReadError("cut"), since=11.0, until=13.0)
    assert (account.wrong, account.lapsed) == ({}, 1)
    account.note_broken("edit", httpx.ReadError("cut"), since=12.5, until=13.0)
    assert (account.wrong, account.lapsed) == ({"edit: ReadError: cut": 1}, 1)


@pytest.mark.parametrize(("grown_mb", "wrong"), [(20, []), (40, ["front 7 grew from 200 to 240 MB"])])
def test_a_process_that_grows_is_seen_and_its_warming_up_is_not(grown_mb: int, wrong: list[str]):
    load = Load("http://x", 1, Path("log"), seed=1)
    warm_up = [(float(at), 100.0) for at in range(25)]
    load._memory["front 7"] = warm_up + [(float(at), 200.0 + (at >= 80) * grown_mb) for at in range(25, 101)]
    load._judge_memory(0.0, 100.0)
    assert load.wrong == wrong
    assert load.figures["memory"] == {"front": {"first_mb": 200, "last_mb": 200 + grown_mb}}


def test_a_process_that_was_replaced_is_seen():
    load = Load("http://x", 1, Path("log"), seed=1)
    load._memory["front 7"] = [(float(at), 100.0) for at in range(40)]
    load._judge_memory(0.0, 100.0)
    assert load.wrong == ["front 7 did not live through the load"]


@pytest.mark.parametrize(("percent", "value"), [(1, 1), (50, 50), (99, 99), (100, 100)])
def test_a_percentile_is_a_value_that_was_seen(percent: int, value: int):
    assert percentile(list(range(100, 0, -1)), percent) == value
