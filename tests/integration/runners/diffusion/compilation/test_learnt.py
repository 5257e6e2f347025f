"""What was learnt outlives a start; a file that is hostile, stale or broken is ignored and written anew."""

from __future__ import annotations

import json
import logging

import pytest
import torch

from runners.diffusion.families.stable_diffusion.compilation.calls import form_of
from runners.diffusion.families.stable_diffusion.compilation.compiler import BlockCompiler
from runners.diffusion.families.stable_diffusion.compilation.learnt import MOST_ANSWERS, MOST_KEPT, LearntCalls
from tests.integration.runners.diffusion.compilation.networks import Residual, adopted, compile_all, made

pytestmark = pytest.mark.integration

MADE_FOR = {"weights": "sd/1", "torch": "2.14.1", "diffusers": "0.40", "device": "cpu"}


def learnt(folder, **changes):
    return LearntCalls(folder, "abc", MADE_FOR | changes)


def call(number, width=8):
    return f"{number:032x}", form_of([torch.zeros(2, width)], {})


def sample(side=8):
    return torch.randn(2, 8, side, side)


def start(backend, folder, **changes):
    """A process that serves one small network."""
    compiler = BlockCompiler(backend, learnt=learnt(folder, **changes), max_rows=4)
    return compiler, adopted(made(Residual, 1), compiler)


def test_what_came_is_compiled_at_the_next_start_before_the_first_answer_most_frequent_first(backend, tmp_path):
    compiler, network = start(backend, tmp_path / "new")
    for side, answers in ((8, 1), (16, 3), (24, 2)):
        for _ in range(answers):
            network(sample(side))
            compiler.answered()
    compiler.save()
    assert backend.graphs == []
    again, network = start(backend, tmp_path / "new")
    assert again.stats()["waiting"] == 2
    assert again.run_next()
    network(sample(24))
    network(sample(16))
    assert again.stats()["run"]["unet"] == {"eager": 1, "compiled": 1}
    compile_all(again)
    network(sample(24))
    network(sample(8))  # came once: that is no habit
    assert again.stats()["run"]["unet"] == {"eager": 2, "compiled": 2}


def test_a_kind_of_block_that_is_not_there_yet_waits_until_it_is(backend, tmp_path):
    compiler, network = start(backend, tmp_path)
    for _ in range(2):
        network(sample())
        compiler.answered()
    compiler.save()
    again = BlockCompiler(backend, learnt=learnt(tmp_path), max_rows=4)
    compile_all(again)
    assert (again.graphs, again.stats()["waiting"]) == (0, 1)
    adopted(made(Residual, 1), again)
    compile_all(again)
    assert (again.graphs, again.stats()["waiting"]) == (1, 0)


def test_the_file_keeps_the_most_frequent_calls_and_those_of_other_processes(tmp_path):
    learnt(tmp_path).write({call(1): 5, call(2): MOST_ANSWERS + 7})
    learnt(tmp_path).write({call(1): 6, call(3): 1})
    assert learnt(tmp_path).read() == {call(1): 6, call(2): MOST_ANSWERS, call(3): 1}
    learnt(tmp_path).write({call(number): 2 for number in range(10, 10 + 2 * MOST_KEPT)})
    kept = learnt(tmp_path).read()
    assert len(kept) == MOST_KEPT
    assert {call(1), call(2)} <= kept.keys()
    assert [one.name for one in tmp_path.iterdir()] == ["learnt-abc.json"]


@pytest.mark.parametrize("changed", ["weights", "torch", "diffusers", "device"])
def test_what_was_learnt_of_other_versions_weights_or_another_device_is_not_used_and_said(tmp_path, caplog, changed):
    caplog.set_level(logging.INFO)
    learnt(tmp_path).write({call(1): 5})
    other = learnt(tmp_path, **{changed: "another"})
    assert other.read() == {}
    assert f"is of {', '.join(MADE_FOR.values())} and is not used" in caplog.text
    other.write({call(2): 3})
    assert other.read() == {call(2): 3}


def entries(*blocks):
    return json.dumps({"made_for": MADE_FOR, "blocks": list(blocks)})


GOOD = {"kind": "0" * 32, "call": [[["tensor", "torch.float32", [0, 8], [8, 1]]], []], "answers": 3}


@pytest.mark.parametrize(
    "written",
    [
        "",
        "\x00\xff",
        "[]",
        "{}",
        "[" * 100_000,
        json.dumps({"made_for": MADE_FOR}),
        json.dumps({"made_for": MADE_FOR, "blocks": 7}),
        entries(GOOD, "x"),
        entries(GOOD, {**GOOD, "answers": -1}),
        entries(GOOD, {**GOOD, "answers": "many"}),
        entries(GOOD, {**GOOD, "answers": True}),
        entries(GOOD, {**GOOD, "kind": "../../etc/passwd"}),
        entries(GOOD, {**GOOD, "call": [[["tensor", "torch.float32", [1 << 40], [1]]], []]}),
        entries(GOOD) + " " * (9 << 20),
    ],
    ids=lambda written: repr(written[-40:]),
)
def test_a_file_that_is_not_what_was_written_is_ignored_with_a_line_and_written_anew(tmp_path, caplog, written):
    caplog.set_level(logging.INFO)
    one = learnt(tmp_path)
    one.path.write_text(written, encoding="latin-1")
    assert one.read() == {}
    assert f"compilation: {one.path} is" in caplog.text
    assert "not used" in caplog.text
    one.write({call(1): 2})
    assert one.read() == {call(1): 2}


def test_an_entry_that_no_block_can_be_called_with_is_put_aside_and_the_rest_is_compiled(backend, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    compiler, network = start(backend, tmp_path)
    for _ in range(2):
        network(sample())
        compiler.answered()
    compiler.save()
    [(kind, _)] = learnt(tmp_path).read()
    learnt(tmp_path).write({(kind, form_of([torch.zeros(2, 5, 8, 8), torch.zeros(2, 4)], {})): 50})
    again, network = start(backend, tmp_path)
    compile_all(again)
    network(sample())
    assert again.stats()["run"]["unet"] == {"compiled": 1}
    assert "that was learnt is none" in caplog.text
    assert again.on


def test_a_folder_that_cannot_be_written_to_is_told_once_and_everything_else_works(backend, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    compiler, network = start(backend, tmp_path / "file")
    for _ in range(3):
        network(sample())
        compiler.answered()
        compiler.save()
    compile_all(compiler)
    network(sample())
    assert compiler.stats()["run"]["unet"] == {"eager": 3, "compiled": 1}
    assert sum("cannot be kept" in record.message for record in caplog.records) == 1


def lost(graph, inputs):
    def call(*given):
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    return call


def test_after_a_device_that_was_lost_in_a_try_the_next_start_stays_eager_and_says_what_to_do(
    backend, tmp_path, caplog
):
    compiler, network = start(lost, tmp_path)
    for _ in range(2):
        network(sample())
        compiler.answered()
    compile_all(compiler)
    compiler.save()
    again, network = start(backend, tmp_path)
    assert not again.on
    [mark] = tmp_path.glob("trying-*")
    assert f"To try again, delete {mark}" in caplog.text
    compile_all(again)
    assert backend.graphs == []
    other, _ = start(backend, tmp_path, torch="2.15")
    assert other.on  # of another version it says nothing
    assert not list(tmp_path.glob("trying-*"))


def test_a_process_that_is_trying_right_now_is_no_sign_of_one_that_did_not_survive(tmp_path):
    with learnt(tmp_path).trying("a block"):
        assert len(list(tmp_path.glob("trying-*"))) == 1
        assert learnt(tmp_path).not_survived() is None
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="other"), learnt(tmp_path).trying("a block"):
        raise ValueError("other")
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_is_told_to_end_while_it_tries_leaves_no_sign(tmp_path):
    ending = learnt(tmp_path)
    with ending.trying("a block"):
        ending.end()
        assert list(tmp_path.iterdir()) == []
    with ending.trying("another block"):
        assert list(tmp_path.iterdir()) == []


def test_what_came_is_kept_when_it_stops_before_the_next_time_to_write(backend, tmp_path):
    compiler, network = start(backend, tmp_path)
    compiler.start()
    network(sample())
    compiler.answered()
    compiler.stop()
    assert len(learnt(tmp_path).read()) == 1
