"""Several views of one thing: denoised side by side, in one forward at every step, so that a family may join them.

What they have of each other is the family's business. The engine sees to it that they are there together: as many rows
as they take are one, which nothing divides.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from composition.errors import InvalidInput
from runners.diffusion.engine.joined import in_common
from runners.diffusion.engine.state import RequestState


@dataclass(kw_only=True, eq=False)
class ViewsState(RequestState):
    """`side_by_side` makes one."""

    views: tuple[RequestState, ...]

    @property
    def regions(self) -> tuple[RequestState, ...]:
        return self.views

    @property
    def acting(self) -> tuple[RequestState, ...]:
        return self.views

    @property
    def canvas(self) -> RequestState:
        return self.views[0]

    @property
    def canvases(self) -> tuple[RequestState, ...]:
        return self.views

    @property
    def rows(self) -> int:
        return sum(view.rows for view in self.views)

    @property
    def workload(self) -> Hashable:
        return tuple(view.workload for view in self.views)

    def settle(self) -> None:
        """One that has to compute all of the model takes the others along: steps of two kinds are two forwards."""
        if any(not view.bucket.shallow for view in self.views):
            for view in self.views:
                view.bucket = replace(view.bucket, shallow=0)
        self.step, self.bucket = self.canvas.step, self.canvas.bucket

    def lay_in(self, other: RequestState, *, waiting: bool) -> None:
        raise AssertionError("views have no areas")


def side_by_side(views: Sequence[RequestState]) -> RequestState:
    """The state of a request with these views, before its first step.

    Raises: InvalidInput: they cannot be in one forward, or have unequal steps.
    """
    first = views[0]
    if any((view.bucket, view.steps) != (first.bucket, first.steps) for view in views):
        raise InvalidInput("the views of a thing must have one size and one schedule")
    group = object()
    for view in views:
        view.group = group
    return ViewsState(bucket=first.bucket, steps=first.steps, views=tuple(views), **in_common(views))
