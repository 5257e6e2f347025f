"""The short form of `make load`."""

from __future__ import annotations

from benchmarks.load import run


def test_a_crowd_and_rubbish_leave_no_500_no_lost_job_and_a_service_as_fast_as_before():
    load = run(clients=40, seconds=15, refusals=1, profile="tiny", seed=7)
    assert load.wrong == []
    assert load.figures["jobs_accepted"] > 0
    assert {"generate", "async", "analyze", "status", "garbage"} <= load.figures["answers"].keys()
