"""What runs beside the steps: finished requests leave before new ones come in."""

from __future__ import annotations

import threading
from contextlib import nullcontext

from runners.diffusion.engine.side_work import InlineSideWork, ThreadSideWork, Urgency


def test_decoding_goes_before_encoding_and_else_first_come_first_served():
    work, done = InlineSideWork(), []
    for name, urgency in [("a", Urgency.ENCODE), ("b", Urgency.DECODE), ("c", Urgency.ENCODE), ("d", Urgency.DECODE)]:
        work.submit(urgency, lambda name=name: done.append(name))
    assert [work.run_one() for _ in range(5)] == [True] * 4 + [False]
    assert done == ["b", "d", "a", "c"]


def test_work_in_another_thread_shows_while_it_runs_and_that_it_ran():
    work, inside, leave, left = ThreadSideWork(nullcontext), threading.Event(), threading.Event(), threading.Event()

    def task():
        inside.set()
        assert leave.wait(60)

    before = work.beside
    work.submit(Urgency.DECODE, task)
    assert inside.wait(60)
    assert work.beside % 2 == 1
    leave.set()
    work.submit(Urgency.DECODE, left.set)
    assert left.wait(60)
    work.stop()
    assert work.beside == before + 4
    assert work.beside % 2 == 0
