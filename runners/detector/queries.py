"""What the detector's runner is asked; shared by both ends of the hop, so no model framework is imported here."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from composition.errors import InvalidInput
from composition.images import Box, Image
from runners.detector.phrases import split_phrases


@dataclass(frozen=True, kw_only=True, eq=False)
class DetectQuery:
    """What to look for and where; several phrases are separated by full stops."""

    image: Image
    phrase: str


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentQuery:
    """Whose silhouettes to draw, by their boxes in pixels of the image."""

    image: Image
    boxes: tuple[Box, ...]


def shape_of(query: DetectQuery) -> Hashable:
    """What queries must agree on to share a forward: padding to a common size would move the boxes.

    Raises: InvalidInput when the query has no word.
    """
    split_phrases(query.phrase)
    return query.image.shape


def has_usable_boxes(query: SegmentQuery) -> Hashable:
    """All usable queries may share a batch. Raises: InvalidInput when a box has no area."""
    if any(box.area <= 0 for box in query.boxes):
        raise InvalidInput("a box without area has no silhouette")
    return None
