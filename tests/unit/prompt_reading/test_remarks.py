"""What must not change, what is excepted and what is not wanted: beside the edit, never instead of it."""

from __future__ import annotations

import pytest

from composition.decision import Target
from prompt_reading.reader import GrammarPromptReader

READER = GrammarPromptReader()


@pytest.mark.parametrize(
    ("prompt", "phrase", "protected"),
    [
        ("do not alter the roof; paint the house green", "house", ("roof",)),
        ("paint the house green and don't ever touch the roof or the chimney", "house", ("roof", "chimney")),
        ("please don't mess with the lamp, replace the vase with a clock", "vase", ("lamp",)),
        ("make sure not to change the hands, replace the ring with a watch", "ring", ("hands",)),
        ("I don't want the curtains changed. Replace the rug with a mat.", "rug", ("curtains",)),
        ("no changes to the bridge, make the river green", "river", ("bridge",)),
        ("leave the handle as it is and make the door blue", "door", ("handle",)),
        ("make the door blue but leave the handle", "door", ("handle",)),
        ("keep her hair exactly the same, make the scarf yellow", "scarf", ("hair",)),
        ("make the scarf yellow while preserving the necklace and the earrings", "scarf", ("necklace", "earrings")),
        ("the statue must remain, replace the fountain with a tree", "fountain", ("statue",)),
        (
            "replace the fountain with a tree; the statue and the benches stay as they are",
            "fountain",
            ("statue", "benches"),
        ),
        ("the ceiling should not be painted. Paint the walls pink.", "walls", ("ceiling",)),
        ("make the walls pink, the ceiling should not be pink", "walls", ("ceiling",)),
        ("make the boat red except for the sails", "boat", ("sails",)),
        ("make the boat red (not the sails)", "boat", ("sails",)),
        ("paint the boat red, everything but the sails", "boat", ("sails",)),
        ("with the exception of the sails, paint the boat red", "boat", ("sails",)),
        ("remove all the cups other than the blue one", "cups", ("blue cups",)),
        ("replace the sofa, but not the rug, with a bench", "sofa", ("rug",)),
        ("paint the boat, but not its sails, red", "boat", ("sails",)),
        ("a red boat with the sails unchanged", "boat", ("sails",)),
        ("paint the boat red, the flag on the left must not change", "boat", ("flag",)),
        ("replace her outfit with a gown, don't modify her face, hair, or hands", "outfit", ("face", "hair", "hands")),
        ("the sails are to stay white, make the rest of the boat red", "boat", ("sails",)),
        ("leave everything else as it is, only make the boat red", "boat", ()),
        ("under no circumstances change the mast; make the boat red", "boat", ("mast",)),
        ("do not let the mast change, make the boat red", "boat", ("mast",)),
        ("with the mast unchanged, make the boat red", "boat", ("mast",)),
        ("make the boat red and ensure the mast is not affected", "boat", ("mast",)),
        ("give the boat new sails without covering the mast", "sails", ("mast",)),
        ("make the boat red and do not change any part of the mast", "boat", ("mast",)),
    ],
)
def test_what_may_not_change_is_protected_and_not_the_target(prompt, phrase, protected):
    target = READER.read(prompt).target
    assert (target.phrase, target.protected) == (phrase, protected)


@pytest.mark.parametrize(
    ("prompt", "protected"),
    [
        ("turn everything but the moon purple", ("moon",)),
        ("make all of it gold except the clock and the lamp", ("clock", "lamp")),
        ("keep the horse and change everything else to snow", ("horse",)),
        ("make the photo sepia but not the rose", ("rose",)),
        ("don't touch the horse, turn the rest of the image blue", ("horse",)),
    ],
)
def test_everything_except_a_thing_is_its_complement(prompt, protected):
    expected = Target(phrase="background", complement=True, protected=protected, rest=True)
    assert READER.read(prompt).target == expected


def test_a_background_with_something_kept_is_still_all_but_the_subject():
    target = READER.read("replace the background with a beach but keep the bench").target
    assert target == Target(phrase="background", complement=True, protected=("bench",))


@pytest.mark.parametrize(
    ("prompt", "phrase", "paint"),
    [
        ("the vase should not be blue, make it yellow", "vase", "yellow vase"),
        ("keep the vase but paint it yellow", "vase", "yellow vase"),
        ("don't paint the vase blue, paint it yellow", "vase", "yellow vase"),
    ],
)
def test_it_means_what_the_remark_is_about(prompt, phrase, paint):
    reading = READER.read(prompt)
    assert (reading.target, reading.generation_prompt) == (Target(phrase=phrase), paint)


@pytest.mark.parametrize(
    "remark",
    ["keep the same pose", "without changing the lighting", "leave everything else alone", "nothing else", "only"],
)
def test_what_has_no_place_in_the_image_is_not_protected(remark):
    assert READER.read(f"make the vase yellow, {remark}").target == Target(phrase="vase")


@pytest.mark.parametrize(
    "prompt", ["make only the vase yellow", "only the vase should be yellow", "change nothing but the vase to yellow"]
)
def test_a_focus_is_no_part_of_the_name(prompt):
    assert READER.read(prompt).target == Target(phrase="vase")


@pytest.mark.parametrize(
    ("prompt", "phrase", "terms"),
    [
        ("green boat, no women", "boat", ("women",)),
        ("make the street snowy without any cars", "street", ("cars",)),
        ("no trucks or buses, make the street snowy", "street", ("trucks", "buses")),
        ("replace the vase with a clock and don't add any flowers", "vase", ("flowers",)),
        ("I don't want people in the photo. Make the sky pink.", "sky", ("people",)),
        ("make the bench blue with nobody on it", "bench", ("people",)),
        ("make the vase yellow, not green", "vase", ("green",)),
        ("a yellow vase but not too dark", "vase", ("dark",)),
    ],
)
def test_what_is_not_wanted_goes_to_the_negative_prompt(prompt, phrase, terms):
    reading = READER.read(prompt)
    assert (reading.target.phrase, reading.target.protected, reading.negative_terms) == (phrase, (), terms)


def test_refused_and_protected_words_do_not_route(decide):
    assert decide("green kite, no people, no cars").rule == "appearance"
    assert decide("replace the kite with a ball, don't change the man or the sofa").rule == "default"


@pytest.mark.parametrize(
    ("prompt", "removed"),
    [
        ("no weeds", "weeds"),
        ("the wall without the sign", "sign"),
        ("the sign should not be visible", "sign"),
        ("don't show the bin", "bin"),
    ],
)
def test_an_absence_alone_is_still_a_removal(prompt, removed):
    reading = READER.read(prompt)
    assert (reading.target.phrase, reading.negative_terms) == (removed, (removed,))


def test_an_edit_that_is_left_out_is_named_and_does_not_route(decide):
    decision = decide("make the mug green and replace the sofa with a bench, then remove the dog's bowl")
    assert (decision.rule, decision.target.phrase) == ("appearance", "mug")
    assert decision.warnings == (
        "only the first of 3 edits is done; left out: replace the sofa with a bench; remove the dog's bowl",
    )


def test_a_remark_between_two_edits_hides_neither():
    reading = READER.read("make the dress red, don't change the face, and remove the hat")
    assert (reading.target.phrase, reading.target.protected) == ("dress", ("face",))
    assert tuple(other.asked for other in reading.others) == ("remove the hat",)
