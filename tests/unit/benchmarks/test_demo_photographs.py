"""The judge of `benchmarks.demo_photographs`, and what was drawn by hand."""

import numpy as np
import pytest

from benchmarks.demo_photographs import Case, Photograph, judge, load_truth, read, summary, true_region
from composition.decision import Pipeline

SQUARE = [[10, 10], [49, 10], [49, 49], [10, 49]]
FACE = [[20, 0], [29, 0], [29, 9], [20, 9]]
HAND = [[10, 40], [19, 40], [19, 49], [10, 49]]
GARMENT = Case(photograph="p", prompt="person wearing a coat", region=[SQUARE], face=FACE, hands=[HAND])
THING = Case(photograph="p", prompt="blue car", pipeline=Pipeline.SIMPLE, box=[10, 20, 50, 40])


def mask(top, bottom, left, right):
    canvas = np.zeros((60, 60), np.uint8)
    canvas[top:bottom, left:right] = 255
    return canvas


def without_hand(canvas):
    canvas[40:50, 10:20] = 0
    return canvas


def verdict(case, thing, changed=None, pipeline=None):
    changed = thing if changed is None else changed
    return judge(case, thing, changed, pipeline or case.pipeline, "try_on")


def test_the_drawn_garment_without_face_and_hands_is_right():
    found = verdict(GARMENT, without_hand(mask(10, 50, 10, 50)))

    assert found.overlap == 1.0
    assert found.region_right
    assert found.routed


@pytest.mark.parametrize(("changed", "part"), [(mask(0, 50, 10, 50), "face"), (mask(10, 50, 10, 50), "hands")])
def test_a_changed_face_or_hand_makes_it_wrong_however_well_the_region_fits(changed, part):
    found = verdict(GARMENT, without_hand(mask(10, 50, 10, 50)), changed)

    assert getattr(found, part) > 0.9
    assert not found.region_right


def test_a_soft_rim_counts_as_a_change():
    rim = mask(0, 10, 20, 30) // 255

    assert verdict(GARMENT, without_hand(mask(10, 50, 10, 50)), rim).face == 1.0


def test_all_of_the_photograph_half_of_the_thing_and_nothing_are_wrong():
    for wrong in (mask(0, 60, 0, 60), mask(20, 30, 10, 50), mask(0, 0, 0, 0)):
        assert not verdict(THING, wrong).region_right
    assert verdict(THING, mask(20, 40, 10, 50)).overlap == 1.0


def test_what_stands_before_a_garment_is_no_part_of_it():
    case = Case(photograph="p", prompt="x", region=[SQUARE], without=[HAND])

    assert not true_region(case, (60, 60))[45, 15]
    assert true_region(case, (60, 60))[15, 15]


def test_the_summary_counts_routes_garments_and_things():
    right, wrong = verdict(GARMENT, without_hand(mask(10, 50, 10, 50))), verdict(GARMENT, mask(0, 60, 0, 60))
    other = verdict(THING, mask(20, 40, 10, 50), pipeline=Pipeline.COMPLEX)

    assert summary([right, wrong, other]) == "router 2/3 garment 1/2 thing 1/1"


def test_what_was_drawn_lies_in_photographs_that_are_listed_and_leaves_something_of_every_garment():
    photographs, cases = load_truth()

    assert {case.photograph for case in cases} == set(photographs)
    for case in cases:
        corners = [point for polygon in [*case.region, *case.hands, case.face] for point in polygon]
        size = (3000, 3000)
        region = true_region(case, size)
        assert region.any()
        assert all(0 <= x < 3000 and 0 <= y < 3000 for x, y in corners)
        assert not case.worn or len(case.face) >= 4


def test_a_photograph_of_an_installed_package_is_read_and_one_that_is_nowhere_is_none(tmp_path):
    photographs, _ = load_truth()

    assert read(photographs["astronaut"], None).shape == (512, 512, 3)
    assert read(Photograph(name="x", package="x", file="nowhere/at/all.png"), tmp_path) is None


def test_a_photograph_of_another_package_is_read_from_the_folder_where_it_was_unpacked(tmp_path):
    from PIL import Image

    (tmp_path / "some-package-1.0").mkdir()
    Image.new("RGB", (30, 20), (255, 0, 0)).save(tmp_path / "some-package-1.0" / "a.png")

    image = read(Photograph(name="x", package="x", file="some-package-1.0/a.png"), tmp_path)

    assert image.shape == (20, 30, 3)
    assert image[0, 0].tolist() == [255, 0, 0]
