"""Which of several instances is meant: one answer for everything that asks."""

from __future__ import annotations

import pytest

from composition.decision import Position
from composition.masking.select import are_people, select
from tests.fakes.fake_detector import detection


def person(*box, score=0.9, label="person"):
    return detection(label, *box, score=score)


def car(*box, score=0.9):
    return detection("car", *box, score=score)


def people_at(found, position=None):
    return select(found, position=position, people=True)


LEFT, CENTRE, RIGHT = person(0, 0, 50, 100), person(60, 0, 120, 150), person(130, 0, 180, 120)
A, B, C, D = (
    car(0, 0, 40, 40, score=0.4),
    car(50, 0, 90, 40, score=0.8),
    car(100, 0, 190, 90, score=0.6),
    car(200, 0, 240, 40, score=0.5),
)


def test_the_largest_person_is_meant_unless_a_position_is_named():
    row = [RIGHT, LEFT, CENTRE]
    assert people_at(row) == (CENTRE,)
    assert people_at(row, Position.LEFT) == (LEFT,)
    assert people_at(row, Position.RIGHT) == (RIGHT,)
    assert people_at(row, Position.MIDDLE) == (CENTRE,)


def test_a_certain_passer_by_is_not_preferred_to_a_large_person():
    assert people_at([person(0, 0, 10, 20, score=0.99), person(50, 0, 150, 200, score=0.5)])[0].score == 0.5


def test_the_crowd_in_the_background_has_no_position():
    crowd = [person(x, 0, x + 10, 20) for x in (-40, -25, 185, 200, 215)]
    row = [*crowd, LEFT, CENTRE, RIGHT]
    assert people_at(row, Position.LEFT) == (LEFT,)
    assert people_at(row, Position.MIDDLE) == (CENTRE,)
    assert people_at(row, Position.RIGHT) == (RIGHT,)


def test_a_tenth_of_the_largest_is_just_large_enough_for_the_foreground():
    tall = person(100, 0, 200, 100)
    assert people_at([tall, person(0, 0, 20, 50)], Position.LEFT)[0].box.x0 == 0
    assert people_at([tall, person(0, 0, 20, 49)], Position.LEFT) == (tall,)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2), (2, 3, 1, 0)])
def test_in_the_middle_of_four_people_is_the_larger_of_the_middle_two(order):
    row = [person(0, 0, 50, 200), person(60, 0, 110, 120), person(120, 0, 170, 130), person(180, 0, 280, 300)]
    assert people_at([row[index] for index in order], Position.MIDDLE) == (row[2],)
    row[1] = person(60, 0, 110, 140)
    assert people_at([row[index] for index in order], Position.MIDDLE) == (row[1],)


def test_in_the_middle_of_two_people_is_the_larger_one():
    assert people_at([LEFT, CENTRE], Position.MIDDLE) == (CENTRE,)
    assert people_at([CENTRE, RIGHT], Position.MIDDLE) == (CENTRE,)
    assert people_at([RIGHT], Position.MIDDLE) == (RIGHT,)


def test_the_best_thing_is_the_one_that_the_detector_is_surest_of():
    assert select([A, B, C, D]) == (B,)
    assert select([C, D, A]) == (C,)


def test_things_are_ordered_by_their_centres_whatever_their_scores():
    row = [B, C, A]
    assert select(row, position=Position.LEFT) == (A,)
    assert select(row, position=Position.MIDDLE) == (B,)
    assert select(row, position=Position.RIGHT) == (C,)
    wide = car(0, 0, 300, 50)
    assert select([wide, A], position=Position.LEFT) == (A,), "by the centre, not by the edge"


def test_in_the_middle_of_four_things_is_the_surer_of_the_middle_two():
    assert select([D, A, C, B], position=Position.MIDDLE) == (B,)


def test_a_small_thing_has_its_position_too():
    golf_ball, football = detection("ball", 0, 90, 10, 100), detection("ball", 50, 0, 150, 100)
    assert select([football, golf_ball], position=Position.LEFT) == (golf_ball,)


def test_a_plural_takes_all_and_a_position_one_of_them():
    assert select([B, C, A], plural=True) == (B, C, A)
    assert select([B, C, A], plural=True, position=Position.RIGHT) == (C,)
    crowd = [person(0, 0, 5, 9), CENTRE]
    assert select(crowd, plural=True, people=True) == tuple(crowd)


@pytest.mark.parametrize("people", [False, True])
@pytest.mark.parametrize("position", [None, *Position])
def test_nothing_and_boxes_without_area_select_nothing(people, position):
    flat, inverted = person(10, 10, 10, 50), person(10, 10, 5, 5)
    assert select([], position=position, people=people) == ()
    assert select([flat, inverted], position=position, people=people) == ()
    assert select([flat, LEFT, inverted], position=position, people=people) == (LEFT,)
    assert select([flat, LEFT], plural=True, people=people) == (LEFT,)


def test_a_found_thing_is_a_person_by_its_label_or_where_the_analyzer_sees_one():
    skier = detection("skier", 2, 2, 50, 100)
    assert are_people([LEFT], ())
    assert are_people([skier], [LEFT])
    assert not are_people([skier], ())
    assert not are_people([skier], [detection("dog", 0, 0, 50, 100)])
    assert not are_people([detection("hat", 10, 0, 40, 20)], [LEFT]), "what a person wears is no person"
    assert not are_people([], [LEFT])


def test_the_surest_instance_says_whether_they_are_people():
    statue = detection("figure", 300, 0, 350, 100, score=0.95)
    assert not are_people([detection("figure", 0, 0, 50, 100, score=0.4), statue], [LEFT])
