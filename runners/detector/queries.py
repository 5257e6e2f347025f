"""What the detector's runner is asked; shared by both ends of the hop, so no model framework is imported here."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from composition.types import Image
from runners.detector.phrases import split_phrases


@dataclass(frozen=True, kw_only=True, eq=False)
class DetectQuery:
    """What to look for and where; several phrases are separated by full stops."""

    image: Image
    phrase: str


def shape_of(query: DetectQuery) -> Hashable:
    """What queries must agree on to share a forward: padding to a common size would move the boxes.

    Raises:
        InvalidInput: the query has no word.
    """
    split_phrases(query.phrase)
    return query.image.shape
