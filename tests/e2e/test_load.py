"""The short form of `make load`."""

from __future__ import annotations

from benchmarks.load import run


def test_a_crowd_and_rubbish_leave_no_500_and_no_lost_job():
    """Times and growth are judged by `make load`, in minutes and on a machine that does nothing else."""
    load = run(clients=24, seconds=5, refusals=1, profile="tiny", seed=7, timed=False)
    assert load.wrong == []
    assert load.figures["jobs_accepted"] > 0
    assert {"generate", "async", "analyze", "status", "garbage"} <= load.figures["answers"].keys()
