from __future__ import annotations

from composition.deadline import RUNNER_LEAD_S, Deadline


def test_a_runner_gets_what_is_left_less_its_lead_and_never_less_than_nothing():
    now = [100.0]
    deadline = Deadline.after(5.0, clock=lambda: now[0])
    assert deadline.left_for_runner_s() == 5.0 - RUNNER_LEAD_S
    now[0] = 103.0
    assert deadline.left_for_runner_s() == 2.0 - RUNNER_LEAD_S
    now[0] = 105.0
    assert deadline.left_for_runner_s() == 0.0
