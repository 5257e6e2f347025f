"""detect -> **select** -> mask: which of several instances an edit is about."""

from __future__ import annotations

from collections.abc import Sequence

from composition.decision import Position
from composition.images import Box, Detection
from composition.masking.find import PERSON, people_in

BACKGROUND_SHARE = 0.1
"""Of people smaller than this share of the largest one's area, none is meant by "the man on the left"."""
SAME_PERSON = 0.7
"""From this intersection over union on, two detectors' boxes are around the same person."""


def select(
    found: Sequence[Detection], *, position: Position | None = None, plural: bool = False, people: bool = False
) -> tuple[Detection, ...]:
    """The instances that are meant: the one at a named position, else all for a plural, else the best one.

    Positions go by the boxes' centres from left to right; in the middle of an even number is the better of the two
    middle ones. What is better, and who takes part, is all that people and things differ in:

    - Of people the largest is the best, as a photograph is of whom it shows large, and those far smaller than the
      largest one (`BACKGROUND_SHARE`) are passers-by: they have no position.
    - Of things the one of the highest score is the best, and each has its position, however small it is: things of one
      name differ in size by nature (a golf ball beside a football), and a side that is named may be all that tells them
      apart. The price: "the left car" is a small far one if that is the leftmost.

    Args:
        found: the instances, in any order; a box without area is none.
        position: left, middle or right; it is stronger than the plural.
        plural: whether all of them are named.
        people: whether they are people.

    Returns:
        In the order of `found`; empty only when nothing is found.
    """
    seen = tuple(item for item in found if item.box.area > 0.0)
    if not seen or (plural and position is None):
        return seen
    merit = _area if people else _score
    if position is None:
        return (max(seen, key=merit),)
    smallest = BACKGROUND_SHARE * max(map(_area, seen)) if people else 0.0
    row = sorted((item for item in seen if item.box.area >= smallest), key=lambda item: item.box.x0 + item.box.x1)
    middle = row[(len(row) - 1) // 2 : len(row) // 2 + 1]
    candidates = {Position.LEFT: row[:1], Position.MIDDLE: middle, Position.RIGHT: row[-1:]}[position]
    return (max(candidates, key=merit),)


def are_people(found: Sequence[Detection], objects: Sequence[Detection]) -> bool:
    """Whether the best of the instances is a person: by its label, or because the analyzer saw one in the same box.

    Words alone do not tell ("the skier", "the old man", "the toy soldier").
    """
    best = max(found, key=_score, default=None)
    if best is None:
        return False
    return best.label == PERSON or any(likeness(best.box, person.box) >= SAME_PERSON for person in people_in(objects))


def _area(item: Detection) -> float:
    return item.box.area


def _score(item: Detection) -> float:
    return item.score


def likeness(one: Box, other: Box) -> float:
    """Intersection over union, 0..1."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    shared = max(0.0, width) * max(0.0, height)
    return shared / (one.area + other.area - shared) if shared else 0.0
