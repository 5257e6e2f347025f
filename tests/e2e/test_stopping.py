"""The short form of `make stop-test`."""

from __future__ import annotations

import pytest

from benchmarks.stopping import MODES, run


@pytest.mark.parametrize("mode", MODES)
def test_sigterm_loses_no_job_and_leaves_nobody_without_an_answer(mode: str) -> None:
    assert run(mode, runs=1, seed=11)
