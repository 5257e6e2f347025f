"""Captions and the nouns of this world."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from demo_models.world.cars import Car
from demo_models.world.furniture import Furniture
from demo_models.world.palette import LEATHER, MATERIALS, PLAIN
from demo_models.world.people import Person
from demo_models.world.scenes import SceneSpec
from demo_models.world.textures import Appearance

WORDS_FOR: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "car": ("car", "vehicle"),
        "wheels": ("wheels", "wheel"),
        "rims": ("rims", "wheel rims", "rim"),
        "windows": ("car windows", "car window"),
        "table": ("table", "desk"),
        "chair": ("chair",),
        "sofa": ("sofa", "couch"),
        "person": ("person", "woman", "man"),
        "t-shirt": ("shirt", "t-shirt"),
        "jacket": ("jacket", "coat"),
        "dress": ("dress",),
        "trousers": ("trousers", "pants", "jeans"),
        "hazard board": ("hazard board", "board"),
    }
)
"""The words a user may use for each label of a scene; the first is the commonest."""

_WITHOUT_LOOK: Final = 0.12
"""Share of captions that name no look: the image or the reference must then decide it."""


def look_phrase(look: Appearance, rng: np.random.Generator) -> str:
    """Puts a look in words, sometimes only in part ("marble", "wooden")."""
    if rng.random() < 0.8 or look.material in (PLAIN, LEATHER):
        return look.phrase
    loose = {"oak wood": "wooden", "walnut wood": "dark wood", "white marble": "marble", "metal": "steel"}
    return loose.get(look.material, look.phrase)


def caption(spec: SceneSpec, rng: np.random.Generator) -> str:
    """Describes what a scene is about, in one of the wordings that prompts are written in."""
    subject = spec.subject
    words = WORDS_FOR[subject.noun]
    noun = words[0] if rng.random() < 0.75 else str(rng.choice(words))
    if not isinstance(subject, Car | Furniture | Person):
        return str(rng.choice([f"a {noun}", f"{noun} with yellow and black stripes"]))
    if rng.random() < _WITHOUT_LOOK:
        return str(rng.choice([f"a {noun}", noun, *_bare_wordings(subject, noun)]))
    look = look_phrase(subject.appearance, rng)
    wordings = [f"a {look} {noun}", f"{look} {noun}", f"a photo of a {look} {noun}", *_wordings(subject, look, noun)]
    return _with_article(wordings[int(rng.integers(len(wordings)))])


def _with_article(words: str) -> str:
    return words.replace("a orange", "an orange").replace("a oak", "an oak")


def _bare_wordings(subject: Car | Furniture | Person, noun: str) -> list[str]:
    if isinstance(subject, Car):
        return [f"{noun} with {subject.rim.phrase}", f"{noun} with sport rims"]
    if isinstance(subject, Person):
        return [f"person wearing a {noun}", f"person wearing {noun}"]
    return [f"a {noun} in a room"]


def _wordings(subject: Car | Furniture | Person, look: str, noun: str) -> list[str]:
    if isinstance(subject, Car):
        return [f"a {look} {noun} on the street", f"a {look} {noun} with {subject.rim.phrase}"]
    if isinstance(subject, Person):
        return [f"a person wearing a {look} {noun}", f"person wearing {look} {noun}"]
    if subject.appearance.material in MATERIALS[:2]:
        return [f"a {look} {noun} in a room", f"a {noun} in {look}"]
    return [f"a {noun} of {look}", f"{noun} with {look} texture"]
