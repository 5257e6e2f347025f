"""image + phrase -> **the detector that knows the image's kind** -> boxes of what the phrase names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from composition.images import Detection
from runners.detector.queries import DetectQuery
from runners.home import Home, ask_by_home
from runners.network import all_modules


class Grounding(Protocol):
    """GroundingDINO, or what stands in for it."""

    @property
    def module(self) -> object: ...

    def detect(self, queries: Sequence[DetectQuery]) -> list[tuple[Detection, ...]]: ...


class GroundingsByHome:
    """Finds what a phrase names: with `here` in images that `home` knows, with `elsewhere` in all others."""

    def __init__(self, home: Home, *, here: Grounding, elsewhere: Grounding) -> None:
        self._home, self._here, self._elsewhere = home, here, elsewhere
        self.module = all_modules(home, here, elsewhere)

    def detect(self, queries: Sequence[DetectQuery]) -> list[tuple[Detection, ...]]:
        """Instances per query, best first, boxes inside the image. All images must have one size."""
        return ask_by_home(self._home, queries, lambda query: query.image, self._here.detect, self._elsewhere.detect)
