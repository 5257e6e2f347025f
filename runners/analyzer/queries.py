"""What the analyzer's runner is asked; shared by both ends of the hop, so no model framework is imported here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from composition.images import Detection, Image
from runners.detectors_by_home import Detector


@dataclass(frozen=True, kw_only=True, eq=False)
class ObjectsQuery:
    """Where to look for objects; `like`: the image whose kind says with which network, where that is another one."""

    image: Image
    like: Image | None = None


class AskedByQueries:
    """An object detector, which is asked by images, asked by queries."""

    def __init__(self, objects: Detector[Image]) -> None:
        self._objects = objects

    @property
    def module(self) -> object:
        return self._objects.module

    def detect(self, queries: Sequence[ObjectsQuery]) -> list[tuple[Detection, ...]]:
        """Objects per query, best first."""
        return self._objects.detect([query.image for query in queries])
