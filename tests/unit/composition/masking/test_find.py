"""What the detector is asked for, and when it is not asked at all."""

from __future__ import annotations

import numpy as np
import pytest

from composition.decision import BodyRegion, Position, Target
from composition.journal import Journal
from composition.masking.find import GARMENT_WORDS, find, find_protected, people_in, phrase_for, side_of
from tests.fakes.fake_detector import FakeDetector, detection

PERSON, DOG, CAR = (detection(label, 0, 0, 10, 10) for label in ("person", "dog", "car"))
IMAGE = np.zeros((20, 30, 3), np.uint8)


@pytest.mark.parametrize(
    ("target", "objects", "phrase"),
    [
        (Target(phrase="rims", plural=True), (CAR,), "rims"),
        (Target(phrase="shirt", region=BodyRegion.UPPER), (PERSON,), "shirt"),
        (Target(region=BodyRegion.EYES), (PERSON,), "glasses . sunglasses . goggles"),
        (Target(phrase="background", complement=True), (CAR, DOG), "dog"),
        (Target(phrase="background", complement=True), (DOG, PERSON), "person"),
        (Target(phrase="background", complement=True), (), "person"),
        (Target(place="table"), (), "table"),
        (Target(place="table", position=Position.LEFT), (), "table"),
        (Target(place="left"), (), None),
        (Target(place="side", position=Position.RIGHT), (), None),
        (Target(position=Position.MIDDLE), (), None),
        (Target(), (), None),
    ],
)
def test_a_target_says_what_the_detector_is_asked_for(target, objects, phrase):
    assert phrase_for(target, objects) == phrase


def test_only_an_insertion_names_a_side_of_the_image():
    assert side_of(Target(place="centre")) is Position.MIDDLE
    assert side_of(Target(position=Position.LEFT)) is Position.LEFT
    assert side_of(Target(phrase="car", position=Position.LEFT)) is None
    assert side_of(Target(region=BodyRegion.FEET, position=Position.LEFT)) is None
    assert side_of(Target(place="table", position=Position.LEFT)) is None


async def test_each_protected_phrase_is_one_call_and_the_background_none():
    detector, journal = FakeDetector({"car": [CAR, CAR]}), Journal(listener=lambda _: None)
    target = Target(phrase="dog", protected=("car", "background", "wheels"))
    found = await find_protected(IMAGE, target, detector=detector, journal=journal)
    assert found == {"car": (CAR, CAR), "wheels": ()}
    assert detector.phrases == ["car", "wheels"]


def test_everything_but_what_is_protected_needs_no_subject():
    assert phrase_for(Target(phrase="background", complement=True, protected=("car",), rest=True), (DOG,)) is None


async def test_what_names_nothing_costs_no_model_call():
    detector, journal = FakeDetector({"*": [CAR]}), Journal(listener=lambda _: None)
    assert await find(IMAGE, Target(place="left"), (), detector=detector, journal=journal) == ()
    assert (detector.phrases, journal.models_used) == ([], [])
    assert await find(IMAGE, Target(phrase="car"), (), detector=detector, journal=journal) == (CAR,)
    assert (detector.phrases, journal.models_used) == (["car"], ["grounding-dino"])


def test_people_keep_the_order_in_which_the_analyzer_saw_them():
    other = detection("person", 5, 5, 9, 9)
    assert people_in([other, DOG, PERSON]) == (other, PERSON)


def test_every_region_has_words_for_what_may_be_worn_there():
    assert set(GARMENT_WORDS) == set(BodyRegion)
    assert all(words and all(word == word.lower().strip() for word in words) for words in GARMENT_WORDS.values())


def test_the_subject_in_front_of_a_background_is_the_first_that_counts_as_one():
    counting = ("person", "dog", "cat", "horse", "bird", "car", "motorcycle", "bus", "truck", "bicycle")
    background = Target(phrase="background", complement=True)
    seen = [detection(label, 0, 0, 10, 10) for label in ("bench", *reversed(counting))]
    for label in reversed(counting):
        assert phrase_for(background, seen[: 1 + len(counting) - counting.index(label)]) == label
    assert phrase_for(background, seen[:1]) == "person"
