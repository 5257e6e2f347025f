"""Visitors leave for the device and come back without a copy; only one of them is there at a time."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

from runners.visits import ModelVisits

pytestmark = pytest.mark.integration

AWAY = torch.device("meta")
"""A device that is not the CPU and is everywhere."""


@pytest.fixture
def network() -> nn.Module:
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    return module.eval()


def addresses(module: nn.Module) -> list[int]:
    return [tensor.data_ptr() for tensor in (*module.parameters(), *module.buffers())]


def test_weights_and_buffers_are_on_the_device_inside_and_the_same_memory_afterwards(network):
    before, values = addresses(network), [parameter.clone() for parameter in network.parameters()]
    visits = ModelVisits(AWAY, offload=True)
    for _ in range(2):
        with torch.inference_mode(), visits.on_device(network):
            assert {tensor.device for tensor in (*network.parameters(), *network.buffers())} == {AWAY}
        assert addresses(network) == before, "nothing was copied back"
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), values, strict=True))
    assert visits.visits == 2


def test_what_a_visit_did_to_the_format_is_undone(network):
    visits = ModelVisits(torch.device("cpu"), offload=True)
    with visits.on_device(network):
        network.to(torch.float64)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def test_a_failure_on_the_device_brings_the_model_back(network):
    before = addresses(network)
    with pytest.raises(RuntimeError), ModelVisits(AWAY, offload=True).on_device(network):
        raise RuntimeError
    assert addresses(network) == before


def test_without_offloading_nothing_moves_and_no_turn_is_taken(network, tmp_path):
    turn = tmp_path / "turn"
    with ModelVisits(AWAY, offload=False, turn=turn).on_device(network):
        assert next(network.parameters()).device.type == "cpu"
    assert not turn.exists()


def test_two_visitors_with_one_turn_are_never_there_together(network, tmp_path):
    turn = tmp_path / "state" / "turn"
    first, second = (ModelVisits(AWAY, offload=True, turn=turn) for _ in range(2))
    inside, arrived = threading.Event(), threading.Event()

    def visit() -> None:
        inside.set()
        with second.on_device(nn.Linear(1, 1)):
            arrived.set()

    other = threading.Thread(target=visit)
    with first.on_device(network):
        other.start()
        inside.wait(10)
        assert not arrived.wait(0.05), "the second waits for the first to leave"
    other.join(10)
    assert arrived.is_set()
