from __future__ import annotations

import numpy as np
import pytest

from composition.diffusion import DiffusionProgress, DiffusionRequest, DiffusionResult
from composition.errors import Cancelled, CompositionError, InvalidInput, NotReady, Timeout
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.requests import Ledger, Phase
from runners.diffusion.transport.events import Accepted


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def counts():
    return Counters()


@pytest.fixture
def ledger(clock, counts):
    return Ledger(lease_s=15.0, timeout_s=120.0, clock=clock, counters=counts)


def request(request_id="r", deadline_s=None):
    return DiffusionRequest(
        request_id=request_id,
        image=np.zeros((8, 8, 3), np.uint8),
        mask=np.zeros((8, 8), np.uint8),
        prompt="p",
        negative_prompt="",
        num_inference_steps=1,
        guidance_scale=1.0,
        seed=0,
        deadline_s=deadline_s,
    )


def result():
    return DiffusionResult(image=np.zeros((8, 8, 3), np.uint8), models_used=())


def last(events):
    assert sum(isinstance(event, DiffusionResult | CompositionError) for event in events) == 1
    return events[-1]


def test_a_listener_hears_accepted_first(ledger):
    events = []
    ledger.open(request(), events.append)
    assert events == [Accepted(lease_s=15.0)]


def test_a_request_ends_once_whatever_comes_later(ledger, counts):
    events = []
    ticket = ledger.open(request(), events.append)
    assert ledger.end(ticket, result())
    assert not ledger.end(ticket, Timeout("late"))
    assert not ledger.cancel("r")
    ledger.tell(ticket, DiffusionProgress(step=1, total=1))
    assert isinstance(last(events), DiffusionResult)
    assert dict(counts.snapshot()) == {"requests_accepted": 1, "requests_completed": 1}


def test_a_cancel_ends_the_request_at_once(ledger):
    events = []
    ticket = ledger.open(request(), events.append)
    assert ledger.cancel("r")
    assert ticket.ended
    assert ledger.running() == []
    assert isinstance(last(events), Cancelled)


def test_a_cancel_before_the_request_is_remembered_for_a_while(ledger, clock):
    assert not ledger.cancel("r")
    with pytest.raises(Cancelled):
        ledger.open(request(), lambda event: None)
    ledger.cancel("r")
    clock.now += 61.0
    assert ledger.open(request(), lambda event: None).request_id == "r"


def test_one_id_runs_once_at_a_time(ledger):
    ledger.open(request(), lambda event: None)
    with pytest.raises(InvalidInput):
        ledger.open(request(), lambda event: None)


def test_an_id_may_come_again_after_it_ended(ledger):
    ledger.end(ledger.open(request(), lambda event: None), result())
    assert ledger.open(request(), lambda event: None).arrival == 2


def test_a_lease_lapses_unless_it_is_renewed(ledger, clock):
    kept, lost = [], []
    ledger.open(request("kept"), kept.append)
    ledger.open(request("lost"), lost.append)
    clock.now += 14.0
    assert ledger.renew("kept")
    assert ledger.seconds_to_next_expiry() == 1.0
    clock.now += 1.0
    ledger.end_overdue()
    assert [ticket.request_id for ticket in ledger.running()] == ["kept"]
    assert isinstance(last(lost), Cancelled)
    assert not ledger.renew("lost")


@pytest.mark.parametrize(("deadline_s", "ends_after"), [(None, 120.0), (5.0, 5.0), (500.0, 120.0)])
def test_a_deadline_is_the_shorter_of_the_requests_and_the_services(clock, counts, deadline_s, ends_after):
    ledger = Ledger(lease_s=1e9, timeout_s=120.0, clock=clock, counters=counts)
    events = []
    ledger.open(request(deadline_s=deadline_s), events.append)
    clock.now += ends_after - 0.1
    ledger.end_overdue()
    assert len(events) == 1
    clock.now += 0.1
    ledger.end_overdue()
    assert isinstance(last(events), Timeout)


def test_nothing_running_has_no_expiry(ledger):
    assert ledger.seconds_to_next_expiry() is None


def test_a_listener_that_raises_cancels_its_request(ledger, counts):
    def gone(event):
        raise RuntimeError("loop is closed")

    ticket = ledger.open(request(), gone)
    assert ticket.ended
    assert counts.snapshot()["requests_cancelled"] == 1


def test_closing_ends_everything_and_refuses_more(ledger):
    events = []
    ledger.open(request(), events.append)
    ledger.close()
    assert isinstance(last(events), NotReady)
    with pytest.raises(NotReady):
        ledger.open(request("other"), lambda event: None)


def test_requests_are_listed_by_phase_in_order_of_arrival(ledger):
    first, second, third = (ledger.open(request(name), lambda event: None) for name in "abc")
    first.phase = third.phase = Phase.DENOISING
    assert ledger.running(Phase.DENOISING) == [first, third]
    assert ledger.running() == [first, second, third]


def test_an_ended_request_keeps_no_state(ledger):
    ticket = ledger.open(request(), lambda event: None)
    ticket.state = object()
    ledger.cancel("r")
    assert ticket.state is None
