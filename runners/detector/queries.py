"""What the detector's runner is asked; shared by both ends of the hop, so no model framework is imported here."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from composition.errors import InvalidInput
from composition.images import Image
from composition.marks import Mark
from runners.detector.phrases import split_phrases


@dataclass(frozen=True, kw_only=True, eq=False)
class DetectQuery:
    """What to look for and where; several phrases are separated by full stops.

    `like`: the image whose kind says with which network, where that is another one.
    """

    image: Image
    phrase: str
    like: Image | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentQuery:
    """Whose silhouettes to draw: each mark is one thing, in pixels of the image."""

    image: Image
    marks: tuple[Mark, ...]


def shape_of(query: DetectQuery) -> Hashable:
    """What queries must agree on to share a forward: padding to a common size would move the boxes.

    Raises: InvalidInput when the query has no word.
    """
    split_phrases(query.phrase)
    return query.image.shape


def has_usable_marks(query: SegmentQuery) -> Hashable:
    """All usable queries may share a batch. Raises: InvalidInput when a box has no area, or nothing is marked."""
    for mark in query.marks:
        if mark.box is not None and mark.box.area <= 0:
            raise InvalidInput("a box without area has no silhouette")
        if mark.box is None and not mark.on_thing:
            raise InvalidInput("without a box, a point on the thing is needed")
    return None
