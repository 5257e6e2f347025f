"""What a prompt names, and what is painted there."""

from __future__ import annotations

import pytest

from composition.decision import BodyRegion, Position, ReferenceKind, Target
from composition.request import EditOptions
from prompt_reading.reader import GrammarPromptReader

READER = GrammarPromptReader()


def test_a_replaced_thing_is_gone_from_the_generation_prompt():
    reading = READER.read("could you please replace the old mug with a glass teapot, thanks!")
    assert reading.target == Target(phrase="old mug")
    assert reading.generation_prompt == "a glass teapot"


def test_substitute_for_and_substitute_with_name_their_things_the_other_way_round():
    for prompt in ("substitute a pear for the banana", "substitute the banana with a pear"):
        reading = READER.read(prompt)
        assert (reading.target.phrase, reading.generation_prompt) == ("banana", "a pear")


def test_one_stands_for_the_thing_that_is_replaced():
    assert READER.read("replace the dining table with a round one").generation_prompt == "a round dining table"
    assert READER.read("replace the old lamp with a new one").generation_prompt == "a new lamp"


def test_a_new_colour_takes_the_place_of_the_old_one():
    reading = READER.read("paint the red car blue")
    assert (reading.target.phrase, reading.generation_prompt) == ("red car", "blue car")


def test_a_new_material_takes_the_place_of_the_old_one():
    assert READER.read("turn the wooden table into marble").generation_prompt == "marble table"


def test_a_removed_thing_goes_to_the_negative_prompt():
    reading = READER.read("get rid of the trash can on the left")
    assert reading.target == Target(phrase="trash can", position=Position.LEFT)
    assert "trash" not in reading.generation_prompt
    assert reading.negative_terms == ("trash can",)


def test_removing_something_to_put_another_there_is_a_replacement():
    reading = READER.read("remove the mug and put a teapot there")
    assert (reading.target.phrase, reading.generation_prompt, tuple(other.asked for other in reading.others)) == (
        "mug",
        "a teapot",
        (),
    )


@pytest.mark.parametrize(
    ("prompt", "plural"),
    [
        ("make the chair red", False),
        ("make the chairs red", True),
        ("make all the furniture red", True),
        ("make both doors red", True),
        ("make two of the cups red", True),
        ("make every cup red", True),
        ("make the glass red", False),
        ("make the bus red", False),
        ("make the jeans red", False),
        ("make the shelves red", True),
        ("make the table and the lamp red", True),
    ],
)
def test_a_plural_makes_every_instance_a_target(prompt, plural):
    assert READER.read(prompt).target.plural is plural


@pytest.mark.parametrize(
    ("prompt", "phrase", "position"),
    [
        ("make the left chair red", "chair", Position.LEFT),
        ("remove the lamp on the right", "lamp", Position.RIGHT),
        ("replace the middle vase with a bowl", "vase", Position.MIDDLE),
        ("paint the car on the far left side green", "car", Position.LEFT),
        ("make the rightmost cup black", "cup", Position.RIGHT),
        ("make the cup in the centre black", "cup", Position.MIDDLE),
    ],
)
def test_a_position_picks_an_instance_and_leaves_its_name(prompt, phrase, position):
    assert READER.read(prompt).target == Target(phrase=phrase, position=position)


def test_the_person_named_by_position_wears_the_garment():
    reading = READER.read("the man on the left wearing this hat")
    assert reading.target == Target(region=BodyRegion.HEAD, position=Position.LEFT)


@pytest.mark.parametrize(
    ("garment", "region"),
    [
        ("hoodie", BodyRegion.UPPER),
        ("designer jacket", BodyRegion.UPPER),
        ("jeans", BodyRegion.LOWER),
        ("dress", BodyRegion.FULL),
        ("boots", BodyRegion.FEET),
        ("hat", BodyRegion.HEAD),
        ("sunglasses", BodyRegion.EYES),
        ("scarf", BodyRegion.NECK),
        ("shirt and trousers", BodyRegion.FULL),
    ],
)
def test_a_worn_thing_names_the_part_of_the_body_that_it_covers(garment, region):
    reading = READER.read(f"person wearing this {garment}")
    assert (reading.target.phrase, reading.target.region) == (None, region)
    assert reading.generation_prompt == f"person wearing {garment}"


def test_a_garment_that_is_there_is_named_and_bounded_by_its_region():
    assert READER.read("make the shirt green").target == Target(phrase="shirt", region=BodyRegion.UPPER)


def test_a_longer_garment_in_place_of_a_shorter_one_needs_the_longer_region():
    assert READER.read("replace the shirt with a dress").target == Target(phrase="shirt", region=BodyRegion.FULL)


def test_a_watch_goes_to_the_wrist():
    assert READER.read("wearing this watch").target == Target(phrase="wrist")


def test_the_background_is_everything_but_the_subject():
    reading = READER.read("replace the background with a beach")
    assert reading.target == Target(phrase="background", complement=True)
    assert reading.generation_prompt == "a beach"


@pytest.mark.parametrize(
    ("prompt", "place"),
    [
        ("add a plant in the corner", "corner"),
        ("put a candle on the windowsill", "windowsill"),
        ("there should be a cat on the roof", "roof"),
        ("hang a lantern from the branch", "branch"),
        ("add a bird in the top left corner", "corner"),
    ],
)
def test_an_insertion_names_its_place(prompt, place):
    target = READER.read(prompt).target
    assert (target.phrase, target.place) == (None, place)


def test_an_insertion_without_a_place_names_nothing():
    assert READER.read("add balloons").target == Target()


def test_the_part_is_the_target_and_the_whole_its_context():
    reading = READER.read("car with these sport rims")
    assert (reading.target.phrase, reading.target.plural) == ("rims", True)
    assert reading.generation_prompt == "car with sport rims"


@pytest.mark.parametrize("prompt", ["cartoon style", "make the photo sepia", "turn this picture into an oil painting"])
def test_a_style_for_the_picture_names_nothing(prompt):
    assert READER.read(prompt).target == Target()


@pytest.mark.parametrize(
    ("prompt", "keeps_shape", "recolour"),
    [
        ("make the car red", True, True),
        ("change the colour of the car to dark blue", True, True),
        ("colour the wall #ff8800", True, True),
        ("table with marble texture", True, False),
        ("make the car matte", True, False),
        ("replace the car with a van", False, False),
        ("wearing a red hat", False, False),
    ],
)
def test_only_a_change_of_looks_keeps_the_shape(decide, prompt, keeps_shape, recolour):
    decision = decide(prompt)
    assert (decision.keeps_shape, decision.recolour) == (keeps_shape, recolour)


def test_a_given_target_overrides_the_prompt(decide):
    decision = decide("make the car red", options=EditOptions(target="left rear doors"))
    assert decision.target == Target(phrase="rear doors", plural=True, position=Position.LEFT)


def test_a_given_target_is_what_pronouns_stand_for(decide):
    assert decide("a purple one", options=EditOptions(target="mug")).generation_prompt == "purple mug"
    assert decide("make it wooden", options=EditOptions(target="the vase")).generation_prompt == "wooden vase"
    removed = decide("remove it", options=EditOptions(target="street sign"))
    assert removed.negative_terms == ("street sign",)


def test_a_given_garment_has_its_region(decide):
    assert decide("make it red", options=EditOptions(target="jacket")).target.region is BodyRegion.UPPER


def test_a_given_target_that_is_furniture_counts_as_furniture(decide):
    assert decide("replace it", options=EditOptions(target="sofa")).rule == "structural_object"


def test_tags_for_quality_stay_with_the_generation_prompt():
    reading = READER.read("replace the car with a truck, highly detailed, 8k")
    assert (reading.target.phrase, reading.generation_prompt) == ("car", "a truck, highly detailed, 8k")


def test_remarks_about_the_rest_are_no_part_of_the_edit():
    for rest in ("but keep the wheels", "without changing the background", "and leave everything else as it is"):
        assert READER.read(f"make the car red {rest}").generation_prompt == "red car"


def test_two_edits_with_one_verb_are_two_edits():
    reading = READER.read("make the car red and the wheels black")
    assert (reading.target.phrase, reading.generation_prompt) == ("car", "red car")
    assert tuple(other.asked for other in reading.others) == ("make the wheels black",)


def test_each_of_several_edits_is_read_as_if_it_were_alone_with_what_holds_for_all():
    reading = READER.read("make the car red, replace the lamp with this tree, don't touch the face, 8k")
    (other,) = reading.others
    alone = READER.read("replace the lamp with this tree, 8k")
    assert (other.target.phrase, other.generation_prompt) == (alone.target.phrase, alone.generation_prompt)
    assert (reading.appearance_only, other.appearance_only) == (True, False)
    assert (reading.points, other.points) == (False, True)
    assert reading.target.protected == other.target.protected == ("face",)
    assert other.others == ()


def test_what_goes_on_about_the_second_edit_is_part_of_it():
    reading = READER.read("remove the dog. Make the car blue. And make it shiny.")
    assert [other.target.phrase for other in reading.others] == ["car"]


def test_one_edit_of_two_things_is_one_edit():
    reading = READER.read("change the sofa and the chairs to blue")
    assert (reading.target.phrase, reading.generation_prompt, tuple(other.asked for other in reading.others)) == (
        "sofa and chairs",
        "blue sofa and chairs",
        (),
    )


def test_a_second_sentence_may_go_on_about_the_first():
    reading = READER.read("I want to change the color of my car. Make it red.")
    assert (reading.target.phrase, reading.generation_prompt, tuple(other.asked for other in reading.others)) == (
        "car",
        "red car",
        (),
    )


@pytest.mark.parametrize(
    ("kind", "paint"), [(ReferenceKind.GARMENT, "clothing"), (ReferenceKind.TEXTURE, "material texture")]
)
def test_a_prompt_that_only_points_lets_the_reference_speak(decide, kind, paint):
    assert decide("use this", reference={kind: 0.9}).generation_prompt == paint
    assert decide("use this").generation_prompt == "this"


def test_something_worn_without_a_name_is_clothing():
    reading = READER.read("try this on")
    assert (reading.target.region, reading.generation_prompt) == (BodyRegion.FULL, "person wearing clothing")


def test_a_picture_on_the_wall_is_a_thing_and_the_picture_is_everything():
    assert READER.read("make the picture on the wall blue").target.phrase == "picture"
    assert READER.read("make the picture blue").target == Target()


@pytest.mark.parametrize(
    ("prompt", "phrase", "paint"),
    [
        ("repalce the mug with a teapot", "mug", "a teapot"),
        ("chnage the car to red", "car", "red car"),
        ("supersize the burger", "burger", "burger"),
    ],
)
def test_a_verb_that_nobody_knows_does_what_its_preposition_says(prompt, phrase, paint):
    reading = READER.read(prompt)
    assert (reading.target.phrase, reading.generation_prompt) == (phrase, paint)


def test_the_same_thing_with_another_look_keeps_its_shape(decide):
    decision = decide("change the car to a red car")
    assert (decision.rule, decision.target.phrase, decision.generation_prompt) == ("appearance", "car", "red car")
    assert decide("replace the car with a red car").rule == "structural_object"


@pytest.mark.parametrize(
    ("prompt", "inserts", "removes"),
    [
        ("add a red car", True, False),
        ("put a vase on the table", True, False),
        ("remove the car", False, True),
        ("erase the mug", False, True),
        ("replace the mug with a teapot", False, False),
        ("make the car blue", False, False),
        ("put sport rims on the car", False, False),
        ("put this jacket on the man", False, False),
    ],
)
def test_what_is_added_or_taken_away_is_told_from_what_changes(prompt, inserts, removes):
    reading = READER.read(prompt)
    assert (reading.inserts, reading.removes) == (inserts, removes)


@pytest.mark.parametrize(
    ("prompt", "phrase", "paint"),
    [
        ("make the hue of the curtains teal", "curtains", "teal curtains"),
        ("make the bookshelf's finish glossy", "bookshelf", "glossy bookshelf"),
        ("set the color of the gate to black", "gate", "black gate"),
        ("paint the surface of the desk white", "desk", "white desk"),
        ("turn the chair's upholstery into velvet", "chair", "velvet chair"),
        ("make the color of the van's exterior orange", "van", "orange van"),
        ("I'd like the paint of the gate in black", "gate", "black gate"),
        ("make the look of the kitchen rustic", "kitchen", "rustic kitchen"),
        ("I don't like the color of the gate, make it black", "gate", "black gate"),
        ("make the violin's body red", "body", "red body"),
    ],
)
def test_what_has_the_quality_is_the_target_whatever_the_verb(prompt, phrase, paint):
    reading = READER.read(prompt)
    assert (reading.target.phrase, reading.generation_prompt) == (phrase, paint)
