"""When a block runs compiled: after it came often, in the order of how often, and never after anything has failed."""

from __future__ import annotations

import threading
import time

import pytest
import torch

from runners.diffusion.families.stable_diffusion.compilation import compiler as module
from runners.diffusion.families.stable_diffusion.compilation.compiler import BlockCompiler
from runners.diffusion.families.stable_diffusion.precision import full_precision
from tests.integration.runners.diffusion.compilation.networks import Residual, adopted, compile_all, made

pytestmark = pytest.mark.integration


def sample(rows=2, side=8, width=8):
    return torch.randn(rows, width, side, side)


def answer(compiler, network, *samples, times=2):
    """So many images that each of the samples had a part in."""
    for _ in range(times):
        for one in samples:
            network(one)
        compiler.answered()


def run(compiler):
    return compiler.stats()["run"]["unet"]


def said(caplog, *words):
    return [record.message for record in caplog.records if all(word in record.message for word in words)]


def test_a_call_runs_eager_until_it_had_a_part_in_two_answers_and_was_compiled_beside(backend):
    compiler = BlockCompiler(backend, max_rows=4)
    network = adopted(made(Residual), compiler)
    expected = network(one := sample())
    assert not compiler.run_next()  # before the first answer there is nothing to compile
    compiler.answered()
    assert not compiler.run_next()
    answer(compiler, network, one, times=1)
    assert backend.graphs == []  # nothing was compiled in a request's way
    compile_all(compiler)
    assert len(backend.graphs) == 1  # both blocks are of one kind
    assert run(compiler) == {"eager": 4}
    assert torch.equal(network(one), expected)
    assert run(compiler) == {"eager": 4, "compiled": 2}


def test_one_compiled_block_serves_every_number_of_rows_but_one_and_every_network(backend):
    compiler = BlockCompiler(backend, max_rows=15)
    network, other = adopted(made(Residual), compiler), adopted(made(Residual), compiler, "controlnet")
    answer(compiler, network, sample())
    compile_all(compiler)
    plain = made(Residual, 1).eval()
    plain.blocks[0].load_state_dict(other.blocks[0].state_dict())
    other.blocks = other.blocks[:1]
    for rows in (2, 3, 7, 15):
        assert torch.equal(other(one := sample(rows)), plain(one))
    assert compiler.stats()["run"]["controlnet"] == {"compiled": 4}
    other(sample(1))
    other(sample(2, side=16))
    assert compiler.stats()["run"]["controlnet"] == {"compiled": 4, "eager": 2}
    assert len(backend.graphs) == 1


def test_what_came_most_often_is_compiled_first_and_the_rest_stays_eager_beyond_the_limit(backend):
    compiler = BlockCompiler(backend, max_rows=4, most=2)
    network = adopted(made(Residual, 1), compiler)
    small, large, seldom = sample(), sample(side=16), sample(side=24)
    answer(compiler, network, small, times=2)
    answer(compiler, network, seldom, times=2)
    answer(compiler, network, large, times=3)
    assert compiler.run_next()
    before = run(compiler)["eager"]
    network(small)
    network(large)
    assert (run(compiler)["compiled"], run(compiler)["eager"]) == (1, before + 1)
    compile_all(compiler)
    network(small)
    network(seldom)
    assert (run(compiler)["compiled"], run(compiler)["eager"]) == (2, before + 2)
    assert compiler.stats()["blocks"] == 2


def test_a_forward_is_compiled_partly_or_eager(backend):
    compiler = BlockCompiler(backend, max_rows=4)
    network = adopted(made(Residual, 1), compiler)
    answer(compiler, network, sample())
    compile_all(compiler)
    for sizes in ((8,), (8, 16), (16,), ()):
        with compiler.forward("unet"):
            for side in sizes:
                network(sample(side=side))
    assert compiler.forwards == {"compiled": 1, "partly": 1, "eager": 2}


def test_a_copy_of_a_block_asks_for_itself(backend):
    import copy

    compiler = BlockCompiler(backend, max_rows=4)
    network = adopted(made(Residual, 1), compiler)
    answer(compiler, network, one := sample())
    compile_all(compiler)
    with torch.inference_mode(mode=False), torch.no_grad():
        own = copy.deepcopy(network)
        own.blocks[0].conv2.weight.mul_(2.0)
    assert not torch.equal(own(one), network(one))
    assert run(compiler)["compiled"] == 2
    assert len(backend.graphs) == 1


def test_a_block_that_computes_in_another_format_for_a_request_runs_eager(backend):
    compiler = BlockCompiler(backend, max_rows=4)
    network = adopted(made(lambda: Residual(1).bfloat16()), compiler)
    answer(compiler, network, sample().bfloat16())
    compile_all(compiler)
    with full_precision(network):
        answer(compiler, network, sample(), times=3)
        assert not compiler.run_next()
        assert "compiled" not in run(compiler)
    network(sample().bfloat16())
    assert run(compiler)["compiled"] == 1
    assert compiler.on


def test_off_it_changes_nothing_of_a_network():
    network = adopted(made(Residual), BlockCompiler())
    assert all("forward" not in vars(block) for block in network.blocks)


def test_a_compilation_that_fails_ends_them_all_with_one_warning(backend, caplog):
    compiler = BlockCompiler(backend, max_rows=4)
    network = adopted(made(Residual), compiler)
    expected = network(one := sample())
    answer(compiler, network, one, sample(1), sample(side=16))
    backend.failing = RuntimeError("InvalidCxxCompiler: No working C++ compiler found")
    compile_all(compiler)
    backend.failing = None
    answer(compiler, network, one)
    assert not compiler.run_next()
    assert torch.equal(network(one), expected)
    assert "compiled" not in run(compiler)
    assert len(said(caplog, "torch.compile")) == len(said(caplog, "runs eager", "No working C++ compiler")) == 1
    assert not compiler.on
    assert "InvalidCxxCompiler" in compiler.stats()["given_up"]


def broken(graph, error):
    """Runs once, when it is tried, and fails from then on."""
    calls = []

    def call(*given):
        calls.append(1)
        if len(calls) > 1:
            raise error
        return graph.forward(*given)

    return call


def test_a_compiled_block_that_fails_later_is_given_up_and_the_request_is_not(caplog):
    error = RuntimeError("Triton Error [CUDA]: device kernel image is invalid")
    compiler = BlockCompiler(lambda graph, inputs: broken(graph, error))
    network = adopted(made(Residual), compiler)
    expected = network(one := sample())
    answer(compiler, network, one)
    compile_all(compiler)
    assert torch.equal(network(one), expected)
    assert torch.equal(network(one), expected)
    assert len(said(caplog, "runs eager", "device kernel image is invalid")) == 1
    assert compiler.stats()["blocks"] == 0


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), torch.AcceleratorError("lost")])
def test_memory_that_runs_out_and_a_lost_device_are_the_engines_business(error):
    compiler = BlockCompiler(lambda graph, inputs: broken(graph, error))
    network = adopted(made(Residual, 1), compiler)
    answer(compiler, network, one := sample())
    compile_all(compiler)
    with pytest.raises(type(error)):
        network(one)
    assert compiler.on


def test_a_call_that_fails_eager_too_is_no_reason_to_give_up(backend):
    compiler = BlockCompiler(backend, max_rows=4)
    network = adopted(made(Residual, 1), compiler)
    answer(compiler, network, one := sample())
    compile_all(compiler)
    network.blocks[0].conv2.weight = made(lambda: torch.nn.Parameter(torch.zeros(8, 5, 3, 3)))
    with pytest.raises(RuntimeError):
        network(one)
    assert compiler.on


def test_a_block_that_changed_under_its_kind_is_not_compiled_anew_in_a_requests_way(backend, caplog):
    compiler = BlockCompiler(backend, max_rows=4)
    network = adopted(made(Residual, 1), compiler)
    answer(compiler, network, one := sample())
    compile_all(compiler)
    network.blocks[0].output_scale_factor = 2.0
    with torch.inference_mode():
        halved = network(one)
    network.blocks[0].output_scale_factor = 1.0
    assert torch.equal(halved * 2.0, network(one))
    assert len(backend.graphs) == 1
    assert said(caplog, "run eager") == ["what torch compiled does not hold for batches of 2 rows: they run eager"]
    assert run(compiler) == {"eager": 4}
    network(sample(3))
    assert run(compiler)["compiled"] == 1


def test_what_torch_has_a_limit_in_between_for_has_two_graphs_and_is_compiled_on_either_side(backend):
    """On a CPU it takes other convolutions from 16 rows on."""
    compiler = BlockCompiler(backend, max_rows=16)
    network = adopted(made(Residual, 1), compiler)
    answer(compiler, network, sample())
    compile_all(compiler)
    assert len(backend.graphs) == 2
    for rows in (2, 15, 16):
        network(sample(rows))
    assert run(compiler) == {"eager": 2, "compiled": 3}
    assert compiler.stats()["blocks"] == 1


def test_a_compiled_block_that_gives_other_numbers_is_never_used(caplog):
    compiler = BlockCompiler(lambda graph, inputs: lambda *given: tuple(one * 1.1 for one in graph.forward(*given)))
    network = adopted(made(Residual, 1), compiler)
    expected = network(one := sample())
    answer(compiler, network, one)
    compile_all(compiler)
    assert torch.equal(network(one), expected)
    assert len(said(caplog, "runs eager", "other numbers")) == 1


def test_where_memory_runs_out_while_one_is_tried_that_one_stays_eager(backend):
    compiler = BlockCompiler(backend, max_rows=4)
    network = adopted(made(Residual, 1), compiler)
    answer(compiler, network, sample(), times=3)
    answer(compiler, network, other := sample(side=16))
    backend.failing = torch.OutOfMemoryError("CUDA out of memory")
    assert compiler.run_next()
    backend.failing = None
    compile_all(compiler)
    network(sample())
    network(other)
    assert run(compiler)["compiled"] == 1
    assert compiler.on


class Day:
    """A clock that passes only in `pass_beside` and by `TAKES_S` for each graph, the beginnings of which it notes.

    However long a slow machine takes to trace a block, no second passes in that: a compilation takes `TAKES_S`.
    """

    TAKES_S = 20.0

    def __init__(self, backend):
        self.now, self.began, self._backend, self._busy = 100.0, [], backend, False

    def __call__(self):
        return self.now

    def watch(self, compiler):
        """Stand still while this one is at work."""
        run_next = compiler.run_next

        def run():
            self._busy = True
            try:
                return run_next()
            finally:
                self._busy = False

        compiler.run_next = run

    def compile(self, graph, inputs):
        self.began.append(self.now)
        self.now += self.TAKES_S
        return self._backend(graph, inputs)

    def pass_beside(self, work, until):
        """Let a second pass with each piece of work."""
        limit = time.monotonic() + 60
        while not until():
            assert time.monotonic() < limit
            self.now += 0.0 if self._busy else 1.0
            work()
            time.sleep(0.02)


@pytest.fixture
def day(backend, monkeypatch):
    monkeypatch.setattr(module, "_LOOK_EVERY_S", 0.005)
    return Day(backend)


def test_a_thread_compiles_beside_and_rests_while_requests_run(day, monkeypatch):
    monkeypatch.setattr(module, "_IDLE_S", 2.5 * day.TAKES_S)  # no pause is seen where the clock leaps
    compiler = BlockCompiler(day.compile, clock=day)
    network = adopted(made(Residual, 1), compiler)
    answer(compiler, network, sample(), sample(side=16))
    began = day.now
    day.watch(compiler)
    compiler.start()
    try:
        day.pass_beside(lambda: network(sample()), lambda: compiler.stats()["blocks"] == 2)
    finally:
        compiler.stop()
    first, *_, last = day.began
    assert first - began >= module.PATIENCE_S
    assert last - first >= (1 + module.REST) * day.TAKES_S
    assert not [one for one in threading.enumerate() if one.name == "diffusion-compiler"]


def test_when_requests_pause_it_is_compiled_at_once(day):
    compiler = BlockCompiler(day.compile, clock=day)
    network = adopted(made(Residual, 1), compiler)
    answer(compiler, network, sample())
    began = day.now
    day.watch(compiler)
    compiler.start()
    try:
        day.pass_beside(lambda: None, lambda: compiler.stats()["blocks"] == 1)
    finally:
        compiler.stop()
    assert day.began[0] - began < module.PATIENCE_S


def wait_for(condition):
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)
