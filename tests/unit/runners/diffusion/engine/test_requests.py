from __future__ import annotations

import numpy as np
import pytest

from composition.diffusion import DiffusionProgress, DiffusionRequest, DiffusionResult
from composition.errors import Cancelled, CompositionError, InvalidInput, NotReady, Timeout
from runners.diffusion.engine.counters import Counters
from runners.diffusion.engine.requests import Phase, RequestRegistry
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
def registry(clock, counts):
    return RequestRegistry(lease_s=15.0, timeout_s=120.0, clock=clock, counters=counts)


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


def test_a_listener_hears_accepted_first(registry):
    events = []
    registry.open(request(), events.append)
    assert events == [Accepted(lease_s=15.0)]


def test_a_request_ends_once_whatever_comes_later(registry, counts):
    events = []
    ticket = registry.open(request(), events.append)
    assert registry.end(ticket, result())
    assert not registry.end(ticket, Timeout("late"))
    assert not registry.cancel("r")
    registry.tell(ticket, DiffusionProgress(step=1, total=1))
    assert isinstance(last(events), DiffusionResult)
    assert dict(counts.snapshot()) == {"requests_accepted": 1, "requests_completed": 1}


def test_a_cancel_ends_the_request_at_once(registry):
    events = []
    ticket = registry.open(request(), events.append)
    assert registry.cancel("r")
    assert ticket.ended
    assert registry.running() == []
    assert isinstance(last(events), Cancelled)


def test_a_cancel_before_the_request_is_remembered_for_a_while(registry, clock):
    assert not registry.cancel("r")
    with pytest.raises(Cancelled):
        registry.open(request(), lambda event: None)
    registry.cancel("r")
    clock.now += 61.0
    assert registry.open(request(), lambda event: None).request_id == "r"


def test_one_id_runs_once_at_a_time(registry):
    registry.open(request(), lambda event: None)
    with pytest.raises(InvalidInput):
        registry.open(request(), lambda event: None)


def test_an_id_may_come_again_after_it_ended(registry):
    registry.end(registry.open(request(), lambda event: None), result())
    assert registry.open(request(), lambda event: None).arrival == 2


def test_a_lease_lapses_unless_it_is_renewed(registry, clock):
    kept, lost = [], []
    registry.open(request("kept"), kept.append)
    registry.open(request("lost"), lost.append)
    clock.now += 14.0
    assert registry.renew("kept")
    assert registry.seconds_to_next_expiry() == 1.0
    clock.now += 1.0
    registry.end_overdue()
    assert [ticket.request_id for ticket in registry.running()] == ["kept"]
    assert isinstance(last(lost), NotReady)
    assert not registry.renew("lost")


@pytest.mark.parametrize(("deadline_s", "ends_after"), [(None, 120.0), (5.0, 5.0), (500.0, 120.0)])
def test_a_deadline_is_the_shorter_of_the_requests_and_the_services(clock, counts, deadline_s, ends_after):
    registry = RequestRegistry(lease_s=1e9, timeout_s=120.0, clock=clock, counters=counts)
    events = []
    registry.open(request(deadline_s=deadline_s), events.append)
    clock.now += ends_after - 0.1
    registry.end_overdue()
    assert len(events) == 1
    clock.now += 0.1
    registry.end_overdue()
    assert isinstance(last(events), Timeout)


def test_nothing_running_has_no_expiry(registry):
    assert registry.seconds_to_next_expiry() is None


def test_a_listener_that_raises_cancels_its_request(registry, counts):
    def gone(event):
        raise RuntimeError("loop is closed")

    ticket = registry.open(request(), gone)
    assert ticket.ended
    assert counts.snapshot()["requests_cancelled"] == 1


def test_closing_ends_everything_and_refuses_more(registry):
    events = []
    registry.open(request(), events.append)
    registry.close()
    assert isinstance(last(events), NotReady)
    with pytest.raises(NotReady):
        registry.open(request("other"), lambda event: None)


def test_requests_are_listed_by_phase_in_order_of_arrival(registry):
    first, second, third = (registry.open(request(name), lambda event: None) for name in "abc")
    first.phase = third.phase = Phase.DENOISING
    assert registry.running(Phase.DENOISING) == [first, third]
    assert registry.running() == [first, second, third]


def test_an_ended_request_keeps_no_state(registry):
    ticket = registry.open(request(), lambda event: None)
    ticket.state = object()
    registry.cancel("r")
    assert ticket.state is None
