"""Calls of compiled blocks and the tracing of others keep out of each other's way: torch has one memory for both."""

from __future__ import annotations

import threading

import pytest
import torch

from runners.diffusion.families.stable_diffusion.compilation.compiler import BlockCompiler
from runners.diffusion.families.stable_diffusion.compilation.turns import Turns
from tests.integration.runners.diffusion.compilation.networks import (
    CountingBackend,
    Residual,
    adopted,
    compile_all,
    made,
)

pytestmark = pytest.mark.integration

WAIT_S = 60


class HeldBackend(CountingBackend):
    """A call of what it made lasts while `gate` is closed; `inside` says that one is at work.

    `during` is done while it makes one.
    """

    def __init__(self):
        super().__init__()
        self.gate, self.inside = threading.Event(), threading.Event()
        self.gate.set()
        self.during = lambda: None

    def __call__(self, graph, inputs):
        self.during()
        run = super().__call__(graph, inputs)

        def call(*given):
            self.inside.set()
            assert self.gate.wait(WAIT_S)
            return run(*given)

        return call


@pytest.fixture
def held():
    yield HeldBackend()
    torch._dynamo.reset()


def sample(rows=2, side=8):
    return torch.randn(rows, 8, side, side)


def seen_twice(compiler, network, one):
    for _ in range(2):
        network(one)
        compiler.answered()


def beside(work, *arguments):
    def run():
        with torch.inference_mode():
            work(*arguments)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_what_is_traced_while_a_call_is_at_work_is_kept_for_its_own_function(held):
    compiler = BlockCompiler(held, max_rows=4)
    network = adopted(made(Residual, 1), compiler)
    seen_twice(compiler, network, small := sample())
    compile_all(compiler)
    seen_twice(compiler, network, other := sample(rows=1))
    held.gate.clear()
    held.inside.clear()
    calls = []

    def call_and_go_on():
        calls.append(beside(network, small))
        assert held.inside.wait(WAIT_S)

    held.during = call_and_go_on
    compiling = beside(compiler.run_next)
    assert held.inside.wait(WAIT_S)
    compiling.join(1.0)  # what was traced would be noted by now, for the function that is being called
    held.gate.set()
    for one in (*calls, compiling):
        one.join(WAIT_S)
    network(other)
    assert compiler.stats()["run"]["unet"] == {"eager": 4, "compiled": 2}
    assert len(held.graphs) == 2


def test_while_a_block_is_traced_calls_run_eager_and_compiled_while_code_is_made_of_it(held):
    compiler = BlockCompiler(held, max_rows=4)
    network = adopted(made(Residual, 1), compiler)
    seen_twice(compiler, network, small := sample())
    compile_all(compiler)
    expected = network(small)
    with compiler.turns.alone():
        assert torch.equal(network(small), expected)
    assert compiler.stats()["run"]["unet"] == {"eager": 3, "compiled": 1}
    seen_twice(compiler, network, sample(side=16))
    held.during = lambda: beside(network, small).join(WAIT_S)
    compile_all(compiler)
    assert compiler.on
    assert compiler.stats()["run"]["unet"] == {"eager": 5, "compiled": 2}


def test_a_call_waits_for_another_one(held):
    compiler = BlockCompiler(held, max_rows=4)
    network = adopted(made(Residual, 1), compiler)
    seen_twice(compiler, network, small := sample())
    compile_all(compiler)
    held.gate.clear()
    calls = [beside(network, small) for _ in range(3)]
    calls[0].join(0.3)
    held.gate.set()
    for one in calls:
        one.join(WAIT_S)
    assert compiler.stats()["run"]["unet"] == {"eager": 2, "compiled": 3}


def test_what_is_loaded_waits_until_code_is_made_and_calls_do_not():
    turns, loaded = Turns(), threading.Event()

    def load():
        with turns.alone():
            loaded.set()

    with turns.alone():
        assert not turns.begin_call()
        with turns.calls_beside():
            loading = beside(load)
            assert not loaded.wait(0.2)
            assert turns.begin_call()
            turns.end_call()
    loading.join(WAIT_S)
    assert loaded.is_set()
    assert turns.begin_call()
