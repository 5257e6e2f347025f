"""A target's words -> **COCO's classes**: which of the 80 a phrase is about, by its head ("the red sports car")."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from runners.analyzer.labels import COCO_LABELS

_VEHICLES = ("car", "truck", "bus", "motorcycle", "bicycle", "train", "boat", "airplane")
_CALLED: Final[Mapping[tuple[str, ...], str]] = {
    ("person",): "man woman boy girl guy lady gentleman child kid baby toddler human adult pedestrian walker cyclist "
    "rider driver player footballer skier dancer runner model astronaut",
    ("bicycle", "motorcycle"): "bike",
    ("bicycle",): "cycle",
    ("motorcycle",): "motorbike scooter moped",
    ("car",): "automobile sedan suv taxi cab hatchback convertible limousine",
    ("car", "truck"): "van minivan pickup",
    ("truck",): "lorry",
    ("bus",): "coach minibus",
    _VEHICLES: "vehicle",
    ("airplane",): "plane aeroplane aircraft jet airliner",
    ("boat",): "ship sailboat yacht ferry canoe",
    ("train",): "locomotive tram",
    ("cat",): "kitten kitty",
    ("dog",): "puppy hound",
    ("horse",): "pony",
    ("sheep",): "lamb",
    ("cow",): "bull",
    ("couch",): "sofa settee",
    ("chair",): "armchair stool seat",
    ("dining table",): "table desk",
    ("potted plant",): "plant houseplant",
    ("cup",): "mug teacup",
    ("wine glass",): "glass goblet",
    ("tv",): "television monitor screen",
    ("laptop",): "notebook",
    ("cell phone",): "phone smartphone telephone mobile",
    ("refrigerator",): "fridge",
    ("sports ball",): "ball football basketball volleyball",
    ("handbag",): "bag purse",
    ("backpack",): "rucksack",
    ("suitcase",): "luggage",
    ("tie",): "necktie",
    ("donut",): "doughnut",
}
SYNONYMS: Final[Mapping[str, tuple[str, ...]]] = {
    word: labels for labels, words in _CALLED.items() for word in words.split()
}
_PLURALS: Final[Mapping[str, str]] = {
    "people": "person", "men": "man", "women": "woman", "children": "child", "mice": "mouse", "knives": "knife",
}  # fmt: skip
_TAIL = re.compile(r"\b(?:of|in|on|with|at|by|from|under|behind|near|beside|next|that|which|wearing|holding)\b.*")
"""What follows a phrase's head: "cup of coffee", "man in a hat"."""


def coco_labels(phrase: str) -> tuple[str, ...]:
    """The classes that a phrase's head names, by its longest name ("hot dog" is no dog); none when it names none."""
    words = re.findall(r"[a-z'-]+", _TAIL.sub("", phrase.lower()))
    for start in range(len(words)):
        for name in _singulars(words[start:]):
            if name in COCO_LABELS:
                return (name,)
            if name in SYNONYMS:
                return SYNONYMS[name]
    return ()


def _singulars(words: list[str]) -> Iterator[str]:
    """The words as they are, and with the last one in the singular that its form may be of."""
    before, last = " ".join(words[:-1]), words[-1]
    forms = [last, _PLURALS.get(last, last)]
    forms += [last.removesuffix(ending) + instead for ending, instead in (("s", ""), ("es", ""), ("ies", "y"))]
    for form in dict.fromkeys(forms):
        yield f"{before} {form}".strip()
