"""What runs beside the steps: finished requests leave before new ones come in."""

from __future__ import annotations

from runners.diffusion.engine.side_work import InlineSideWork, Urgency


def test_decoding_goes_before_encoding_and_else_first_come_first_served():
    work, done = InlineSideWork(), []
    for name, urgency in [("a", Urgency.ENCODE), ("b", Urgency.DECODE), ("c", Urgency.ENCODE), ("d", Urgency.DECODE)]:
        work.submit(urgency, lambda name=name: done.append(name))
    assert [work.run_one() for _ in range(5)] == [True] * 4 + [False]
    assert done == ["b", "d", "a", "c"]
