from __future__ import annotations

from composition.errors import NotReady
from jobs.probe import why_not


class Fleet:
    """Only what the probe asks."""

    def __init__(self, *machines: str, away: bool = False) -> None:
        self._machines = machines
        self._away = away

    async def is_present(self, machine: str) -> bool:
        if self._away:
            raise NotReady("the job store is away")
        return machine in self._machines


async def test_a_worker_that_is_there_passes():
    assert await why_not(Fleet("a", "b"), "b") is None


async def test_a_worker_that_is_silent_does_not_pass():
    assert await why_not(Fleet("a"), "b") == "no worker of b gave a sign of life lately"


async def test_a_worker_is_not_ended_because_redis_is_away():
    assert await why_not(Fleet(away=True), "b") is None
