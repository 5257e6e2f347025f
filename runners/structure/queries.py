"""What the structure runner is asked; shared by both ends of the hop, so no model framework is imported here."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from composition.errors import InvalidInput
from composition.images import Box, Image


@dataclass(frozen=True, kw_only=True, eq=False)
class PoseQuery:
    """Whose poses to estimate, by their boxes in pixels of the image."""

    image: Image
    people: tuple[Box, ...]


def has_usable_people(query: PoseQuery) -> Hashable:
    """All usable queries may share a batch: people are cut out to one size.

    Raises: InvalidInput when a person's box has no area.
    """
    if any(box.area <= 0 for box in query.people):
        raise InvalidInput("a person box without area has no pose")
    return None


def shape_of(image: Image) -> Hashable:
    """What images must agree on to share a forward of the depth model."""
    return image.shape
