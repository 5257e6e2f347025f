"""Hands in a photograph, by the colour of the face, where a pose has no fingers."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from composition.decision import BodyRegion
from composition.masking.body import protected_mask
from tests.unit.composition.masking.test_body import STANDING, at, keypoints, pose_of

SIZE = (680, 480)
SKIN, COAT, WALL = (205, 160, 135), (30, 34, 50), (120, 150, 170)
HAND = (340, 285)
"""Beside the left wrist, and not where the forearm points: the arm is folded."""
ALONG = (400, 336)
"""Where the forearm points to; the coat is there."""


def photograph(*, hand=HAND, radius=20, skin=SKIN, wall=WALL, arms=COAT, coat=COAT):
    """Somebody in a coat; a hand of that radius at a place. RGB (680, 480, 3)."""
    image = np.full((*SIZE, 3), wall, np.uint8)
    cv2.rectangle(image, (90, 130), (440, 420), coat, -1)
    cv2.ellipse(image, (200, 75), (38, 52), 0, 0, 360, skin, -1)
    cv2.line(image, STANDING["l_elbow"], STANDING["l_wrist"], arms, 34)
    if hand is not None:
        cv2.circle(image, hand, radius, skin, -1)
    return image


def protected(image, pose=None):
    return protected_mask(pose_of() if pose is None else pose, SIZE, BodyRegion.UPPER, image)


def guessed():
    return protected_mask(pose_of(), SIZE, BodyRegion.UPPER)


def test_a_hand_is_where_skin_is_and_the_cloth_along_the_forearm_is_not():
    assert at(guessed(), HAND, ALONG) == [0, 1]
    assert at(protected(photograph()), HAND, (HAND[0] - 19, HAND[1]), ALONG) == [1, 1, 0]


def sleeve(end):
    """The outline of a coat whose left sleeve ends so many pixels beyond the wrist."""
    outline = np.zeros(SIZE, np.uint8)
    cv2.rectangle(outline, (150, 130), (280, 420), 255, -1)
    elbow, wrist = (np.array(STANDING[name], float) for name in ("l_elbow", "l_wrist"))
    along = (wrist - elbow) / np.linalg.norm(wrist - elbow)
    filled = np.zeros(SIZE, np.uint8)
    cv2.line(filled, tuple(elbow.astype(int)), tuple((wrist + 200 * along).astype(int)), 255, 34)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    beyond = (columns - wrist[0]) * along[0] + (rows - wrist[1]) * along[1]
    outline[(filled > 0) & (beyond < end)] = 255
    return outline


@pytest.mark.parametrize(("end", "is_guessed"), [(0, False), (12, False), (50, True), (-60, True)])
def test_a_hand_is_not_guessed_where_a_sleeves_outline_ends_at_the_wrist(end, is_guessed):
    """Beyond it, the outline may hold the hand; far before it, it says nothing of it."""
    image = photograph(hand=None)
    with_outline = protected_mask(pose_of(), SIZE, BodyRegion.UPPER, image, sleeve(end))
    assert at(with_outline, STANDING["l_wrist"]) == [int(is_guessed)]
    right = np.s_[:, :240]
    assert np.array_equal(with_outline[right], guessed()[right]), "no sleeve is there"


def test_a_hand_whose_fingers_or_skin_were_seen_is_protected_whatever_the_sleeves_outline_is():
    image = photograph()
    assert np.array_equal(protected_mask(pose_of(), SIZE, BodyRegion.UPPER, image, sleeve(0)), protected(image))
    pose = pose_of(left_hand=keypoints((380, 310), (400, 300), (420, 305), (405, 330), (390, 335)))
    alone = protected_mask(pose, SIZE, BodyRegion.UPPER)
    assert np.array_equal(protected_mask(pose, SIZE, BodyRegion.UPPER, None, sleeve(0)), alone)


def test_all_of_a_hand_is_protected_in_its_own_shade_too():
    image = photograph()
    cv2.circle(image, HAND, 20, (140, 100, 80), 9)  # its rim is darker, and touches what is surely skin
    hand = np.zeros(SIZE, np.uint8)
    cv2.circle(hand, HAND, 24, 255, -1)
    assert (protected(image)[hand > 0] == 255).all()


def test_the_other_hand_is_where_its_pose_puts_it():
    """No skin is near the right wrist, behind a bag."""
    right = np.s_[:, :240]
    assert np.array_equal(protected(photograph())[right], guessed()[right])


@pytest.mark.parametrize(
    "image",
    [
        photograph(arms=SKIN),
        photograph(hand=None),
        photograph(wall=SKIN, hand=(430, 300), radius=60),
        np.repeat(photograph().mean(axis=2).astype(np.uint8)[..., None], 3, axis=2),
        photograph(radius=2),
        photograph(coat=(200, 165, 140)),
    ],
    ids=["bare arms", "no hand to be seen", "a wall like skin", "no colours", "a speck", "a coat like skin"],
)
def test_where_colour_tells_nothing_the_pose_does(image):
    assert np.array_equal(protected(image), guessed())


def test_without_a_face_the_pose_does():
    faceless = pose_of(without=("nose", "r_eye", "l_eye", "r_ear", "l_ear"))
    alone = protected_mask(faceless, SIZE, BodyRegion.UPPER)
    assert np.array_equal(protected(photograph(), faceless), alone)


def test_fingers_that_were_found_count_for_more():
    fingers = keypoints((380, 310), (400, 300), (420, 305), (405, 330), (390, 335))
    pose = pose_of(left_hand=fingers)
    assert np.array_equal(protected(photograph(), pose), protected_mask(pose, SIZE, BodyRegion.UPPER))


def test_anothers_hand_far_from_the_wrist_is_not_this_persons():
    image = photograph()
    cv2.circle(image, (250, 380), 20, SKIN, -1)
    assert at(protected(image), (250, 380)) == [0]


@pytest.mark.parametrize("shift", [(-330.0, 0.0), (200.0, 350.0), (-2000.0, 0.0)])
def test_a_wrist_at_or_beyond_the_edge_is_no_error(shift):
    moved = np.roll(photograph(), (int(shift[1]), int(shift[0])), axis=(0, 1)) if abs(shift[0]) < 480 else photograph()
    pose = pose_of(shift=shift)
    assert protected(moved, pose).shape == SIZE


def test_twice_as_large_it_is_the_same():
    image = cv2.resize(photograph(), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    double = protected_mask(pose_of(scale=2.0), (2 * SIZE[0], 2 * SIZE[1]), BodyRegion.UPPER, image)
    single = protected(photograph())
    assert (double[::2, ::2] != single).mean() < 0.004
