"""Judging times that were written down, on a machine whose clock may be set: by NTP, by hand, by waking from sleep.

What is kept for others to read is UTC. What decides over a job is counted by a clock that only runs: that a lease is
not renewed any more is seen by watching it, and a step of the clock is no age.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

Monotonic = Callable[[], float]
"""Seconds of a clock that is never set."""

STEP_S = 2.0
"""Two clocks drift apart by less than this between two looks; more is a step of the one that can be set."""


class LeaseWatch:
    """How long each lease has gone without a renewal, as far as this process has seen."""

    def __init__(self, monotonic: Monotonic) -> None:
        self._monotonic = monotonic
        self._seen: dict[str, tuple[float, float]] = {}

    def renewed(self, name: str, until: float) -> None:
        """This process renewed it itself; `until` is its end, in UTC seconds, and serves to tell renewals apart."""
        self._seen[name] = (until, self._monotonic())

    def silences(self, leases: Mapping[str, float]) -> Mapping[str, float]:
        """For each of the leases that there are now, with their ends: the seconds that it was seen unchanged."""
        now, seen = self._monotonic(), self._seen
        self._seen = {
            name: seen[name] if name in seen and seen[name][0] == until else (until, now)
            for name, until in leases.items()
        }
        return {name: now - since for name, (_, since) in self._seen.items()}


class AgeClock:
    """UTC seconds for telling what is old: a step forward makes nothing older."""

    def __init__(self, monotonic: Monotonic) -> None:
        self._monotonic = monotonic
        self._last: tuple[float, float] | None = None
        self._stepped_s = 0.0
        self._stepped_at = 0.0

    def without_steps(self, now: float, *, within_s: float) -> float:
        """`now`, less what the clock was set forward in the last `within_s` seconds: ask at least every few minutes.

        What was written before a step seems older by it, and what was written after does not. When `within_s` have
        passed, everything that is older than that was written before.
        """
        moment = self._monotonic()
        if self._last is not None:
            step_s = (now - self._last[0]) - (moment - self._last[1])
            if abs(step_s) > STEP_S:
                self._stepped_s, self._stepped_at = max(0.0, self._stepped_s + step_s), moment
        self._last = (now, moment)
        if moment - self._stepped_at >= within_s:
            self._stepped_s = 0.0
        return now - self._stepped_s
