"""image + person boxes -> **a pose network, a second one where it is unsure** -> keypoints of every person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from composition.images import Pose
from runners.network import all_modules
from runners.structure.queries import PoseQuery

SURE = 0.75
"""Mean score of the body points from which on a pose is believed. Of people that it was trained on, the pose network of
model profile `demo` is sure by 0.86 and more, of people on photographs by 0.69 at most (docs/adr/0017)."""


class PoseModel(Protocol):
    """DWPose, MoveNet, OpenPose or several of them."""

    @property
    def module(self) -> object: ...

    def estimate(self, queries: Sequence[PoseQuery]) -> list[tuple[Pose, ...]]: ...


class PosesBySureness:
    """Estimates with `first`, and anew with `second` the people of whose bodies `first` is unsure."""

    def __init__(self, first: PoseModel, second: PoseModel) -> None:
        self._first, self._second = first, second
        self.module = all_modules(first, second)

    def estimate(self, queries: Sequence[PoseQuery]) -> list[tuple[Pose, ...]]:
        """One pose per person box and query, in order."""
        found = [list(poses) for poses in self._first.estimate(queries)]
        unsure = [[place for place, pose in enumerate(poses) if pose.body[:, 2].mean() < SURE] for poses in found]
        asked = [
            (number, replace(query, people=tuple(query.people[place] for place in places)))
            for number, (query, places) in enumerate(zip(queries, unsure, strict=True))
            if places
        ]
        if asked:
            again = self._second.estimate([query for _, query in asked])
            for (number, _), poses in zip(asked, again, strict=True):
                for place, pose in zip(unsure[number], poses, strict=True):
                    found[number][place] = pose
        return [tuple(poses) for poses in found]
