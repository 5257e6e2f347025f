"""Several regions of one request on one canvas: denoised row by row, put together after every step.

Each region predicts and steps by itself, with its own text and its own schedule; then every one is given what the
others have in their areas. That is MultiDiffusion (arXiv 2302.08113, equation 3) for areas that do not overlap. A
region of less strength begins later, as it would alone: until then its area shows the image, as noisy as the others
are.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from runners.diffusion.engine.state import RequestState


@dataclass(kw_only=True, eq=False)
class JoinedState(RequestState):
    """`joined` makes one. Its bucket is that of the region that takes most steps; others may be of other buckets."""

    several: tuple[RequestState, ...]

    @property
    def regions(self) -> tuple[RequestState, ...]:
        return self.several

    @property
    def acting(self) -> tuple[RequestState, ...]:
        return tuple(region for region in self.several if not self._waits(region))

    @property
    def canvas(self) -> RequestState:
        return max(self.several, key=lambda region: region.steps)

    @property
    def rows(self) -> int:
        return sum(region.rows for region in self.acting)

    @property
    def workload(self) -> Hashable:
        return tuple(region.workload for region in self.acting)

    def settle(self) -> None:
        """The canvas is as far as the region that takes most steps; every region has what the others painted."""
        self.step, self.bucket = self.canvas.step, self.canvas.bucket
        self.join()

    def lay_in(self, other: RequestState, *, waiting: bool) -> None:
        raise AssertionError("only regions are laid into one another")

    def join(self) -> None:
        """Give every region that acts what the others have in their areas."""
        for region in self.acting:
            for other in self.several:
                if other is not region:
                    region.lay_in(other, waiting=self._waits(other))

    def _begin(self, region: RequestState) -> int:
        """The step of the canvas that is the region's first."""
        return self.steps - region.steps

    def _waits(self, region: RequestState) -> bool:
        return self._begin(region) > self.step


def joined(regions: Sequence[RequestState]) -> RequestState:
    """The state of a request with these regions, before its first step; one region is itself the state."""
    if len(regions) == 1:
        return regions[0]
    longest = max(regions, key=lambda region: region.steps)
    state = JoinedState(bucket=longest.bucket, steps=longest.steps, several=tuple(regions), **in_common(regions))
    state.join()
    return state


def in_common(states: Sequence[RequestState]) -> dict[str, Any]:
    """What is told of a request's states once: `models_used`, `notes`, and in `cache` a miss where any has one."""
    cache: dict[str, str] = {}
    for state in states:
        cache |= {name: outcome for name, outcome in state.cache.items() if cache.get(name) != "miss"}
    return {
        "models_used": _each_once(state.models_used for state in states),
        "notes": _each_once(state.notes for state in states),
        "cache": cache,
    }


def _each_once(lists: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for names in lists for name in names))
