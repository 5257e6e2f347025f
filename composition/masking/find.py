"""route -> **detect** -> mask: from a target to the instances that the detector sees of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from composition.decision import BodyRegion, Position, Target
from composition.images import Detection, Image
from composition.journal import Journal
from composition.ports.vision import Detector

PERSON = "person"
BACKGROUND = "background"
"""No detector finds it: it is what the thing itself is not."""
SUBJECT_LABELS = (PERSON, "dog", "cat", "horse", "bird", "car", "motorcycle", "bus", "truck", "bicycle")
"""What counts as the subject in front of a background, in this order, when the prompt does not name it."""

GARMENT_WORDS: Mapping[BodyRegion, tuple[str, ...]] = {
    BodyRegion.UPPER: ("shirt", "t-shirt", "top", "blouse", "sweater", "hoodie", "jacket", "coat", "vest"),
    BodyRegion.LOWER: ("trousers", "jeans", "pants", "shorts", "skirt", "leggings"),
    BodyRegion.FULL: ("dress", "suit", "coat", "jumpsuit", "gown", "shirt", "jacket", "trousers", "skirt"),
    BodyRegion.FEET: ("shoes", "sneakers", "boots", "sandals", "socks"),
    BodyRegion.HEAD: ("hat", "cap", "helmet", "beanie", "headband"),
    BodyRegion.EYES: ("glasses", "sunglasses", "goggles"),
    BodyRegion.NECK: ("scarf", "tie", "bow tie", "necklace"),
}
"""What may already be worn on a region: the words that the detector is asked for."""

SIDES: Mapping[str, Position] = {
    "left": Position.LEFT,
    "middle": Position.MIDDLE,
    "center": Position.MIDDLE,
    "centre": Position.MIDDLE,
    "right": Position.RIGHT,
}
"""Places that are parts of the image, which no detector finds."""


async def find(
    image: Image, target: Target, objects: Sequence[Detection], *, detector: Detector, journal: Journal
) -> tuple[Detection, ...]:
    """The instances that a target names, best first; none, and no model call, when it names nothing to look for.

    Args:
        image: (H, W, 3), the photograph.
        target: what is looked for.
        objects: what the analyzer saw: the subject in front of a background is among them.
        detector: finds a phrase.
        journal: notes that the detector ran.
    """
    phrase = phrase_for(target, objects)
    if phrase is None:
        return ()
    found = await detector.detect(image, phrase)
    journal.used("grounding-dino")
    return found


async def find_protected(
    image: Image, target: Target, *, detector: Detector, journal: Journal
) -> dict[str, tuple[Detection, ...]]:
    """Every instance of what may not change, by phrase; one detector call for each.

    Args:
        image: (H, W, 3), the photograph.
        target: says what is protected.
        detector: finds a phrase.
        journal: notes that the detector ran.
    """
    found = {}
    for phrase in target.protected:
        if phrase != BACKGROUND:
            found[phrase] = await detector.detect(image, phrase)
            journal.used("grounding-dino")
    return found


def phrase_for(target: Target, objects: Sequence[Detection]) -> str | None:
    """A named garment is looked for by its name; for one that is yet to be worn, whatever is worn there now."""
    if target.rest:
        return None
    if target.complement:
        return _subject_label(objects)
    if target.phrase is None and target.region is not None:
        return " . ".join(GARMENT_WORDS[target.region])
    return target.phrase or (None if side_of(target) else target.place)


def side_of(target: Target) -> Position | None:
    """The side of the image that an insertion names instead of a thing: "on the left", "on the right side"."""
    if target.phrase is not None or target.region is not None:
        return None
    return target.position if target.place in (None, "side") else SIDES.get(target.place)


def names_nothing(target: Target) -> bool:
    """Whether all of the image is repainted because neither a thing nor a side of the image is named."""
    return side_of(target) is None and not (target.phrase or target.region or target.place)


def people_in(objects: Sequence[Detection]) -> tuple[Detection, ...]:
    """The people among the analyzer's objects, in their order: those whose poses are estimated."""
    return tuple(item for item in objects if item.label == PERSON)


def _subject_label(objects: Sequence[Detection]) -> str:
    """The likeliest subject that the analyzer saw; a person when it saw none."""
    seen = {item.label for item in objects}
    return next((label for label in SUBJECT_LABELS if label in seen), PERSON)
