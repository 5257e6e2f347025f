"""What a person clicked or drew is what is repainted: no detector, no protection, and the same mask in an analysis."""

from __future__ import annotations

import numpy as np
import pytest

from composition.errors import EmptyMask, InvalidInput
from composition.images import Box
from composition.marks import Mark, Point
from composition.request import Crop, EditOptions, EditRequest, RefineMask
from tests.fakes.fake_analyzer import FakeAnalyzer
from tests.fakes.fake_detector import FakeDetector, detection
from tests.fakes.fake_segmenter import CLICKED_PX, FakeSegmenter, ellipse

PERSON = detection("person", 100, 10, 300, 290)
CLICKS = (Point(170.0, 140.0), Point(300.0, 200.0, 0))
BOX = Box(x0=120.0, y0=80.0, x1=220.0, y1=200.0)
AROUND_CLICK = Box(x0=170 - CLICKED_PX / 2, y0=140 - CLICKED_PX / 2, x1=170 + CLICKED_PX / 2, y1=140 + CLICKED_PX / 2)
BARE = {"seed": 7, "mask_dilation_px": 0, "mask_blur_px": 0, "color_match": False, "crop": Crop.OFF}


def asked(photo, prompt="replace the mug with a teapot", **options):
    mask = options.pop("mask", None)
    return EditRequest(base=photo, prompt=prompt, mask=mask, options=EditOptions(**{**BARE, **options}))


def box_mask():
    mask = np.zeros((300, 400), np.uint8)
    mask[80:200, 120:220] = 255
    return mask


@pytest.mark.parametrize(
    ("options", "source", "expected"),
    [
        ({"points": CLICKS}, "points", ellipse(AROUND_CLICK, (300, 400))),
        ({"box": BOX}, "box", ellipse(BOX, (300, 400))),
        ({"points": CLICKS, "box": BOX}, "points and box", ellipse(BOX, (300, 400))),
        ({"box": BOX, "refine_mask": RefineMask.OFF}, "box", box_mask()),
        ({"points": CLICKS, "box": BOX, "refine_mask": RefineMask.OFF}, "box", box_mask()),
    ],
)
async def test_the_region_is_what_sam_sees_there_and_no_detector_is_asked(bench, photo, options, source, expected):
    b = bench(detector=FakeDetector({"*": [detection("mug", 0, 0, 50, 50)]}))
    result = await b.edit(asked(photo, **options))
    assert np.array_equal(result.mask, expected)
    assert ((result.image != photo).any(axis=2) <= (expected > 0)).all()
    assert b.detector.phrases == []
    routing = result.metadata["routing"]
    assert (routing["target"], routing["region_from"]) == (None, source)
    assert ("sam" in result.models_used) is (options.get("refine_mask") is not RefineMask.OFF)
    assert result.metadata["detections"] == []
    analysis = await b.editor.analyze(asked(photo, **options), request_id="dry")
    assert np.array_equal(analysis.mask, expected)
    assert analysis.metadata["routing"] == routing


async def test_sam_gets_the_points_and_the_box_together(bench, photo):
    b = bench()
    await b.edit(asked(photo, points=CLICKS, box=BOX))
    assert b.segmenter.marks == [Mark(points=CLICKS, box=BOX)]


async def test_a_mask_image_goes_before_points_and_they_before_the_target(bench, photo):
    mask = np.zeros((300, 400), np.uint8)
    mask[10:40, 10:40] = 255
    b = bench()
    result = await b.edit(asked(photo, mask=mask, points=CLICKS, target="rims"))
    assert np.array_equal(result.mask, mask)
    assert result.metadata["routing"]["region_from"] == "mask_image"
    assert b.segmenter.calls == 0
    pointed = await b.edit(asked(photo, points=CLICKS, target="rims"))
    assert pointed.metadata["routing"]["region_from"] == "points"
    assert b.detector.phrases == []


@pytest.mark.parametrize(
    ("options", "source"), [({"target": "rims"}, "target"), ({}, "prompt")], ids=["target", "prompt"]
)
async def test_without_them_the_region_comes_from_the_target_or_the_prompt(bench, photo, options, source):
    b = bench(detector=FakeDetector({"*": [detection("mug", 0, 0, 50, 50)]}))
    routing = (await b.edit(asked(photo, **options))).metadata["routing"]
    assert routing["region_from"] == source
    assert routing["target"]["phrase"] == ("rims" if options else "mug")


async def test_a_silhouette_is_dilated_and_feathered_as_a_found_one_and_the_box_itself_only_feathered(bench, photo):
    room = {"mask_dilation_px": 15, "mask_blur_px": 21}
    around = (await bench().edit(asked(photo, box=BOX, **room))).mask
    itself = (await bench().edit(asked(photo, box=BOX, refine_mask=RefineMask.OFF, **room))).mask
    assert 0 < around[140, 112] < 255  # 8 px left of the ellipse's side, which the box shares
    assert around[140, 121] == 255
    assert itself[140, 119] == 0
    assert 0 < itself[140, 122] < 255
    assert itself[140, 130] == 255


async def test_what_a_prompt_protects_is_not_protected_from_what_is_pointed_at_and_that_is_said(bench, photo):
    b = bench(detector=FakeDetector({"*": [detection("label", 150, 120, 190, 160)]}))
    sentence = "don't change the label, replace the mug with a teapot"
    result = await b.edit(asked(photo, sentence, points=CLICKS))
    assert np.array_equal(result.mask, ellipse(AROUND_CLICK, (300, 400)))
    assert (
        "what is pointed at alone says what is repainted: not protected from it: label" in result.metadata["warnings"]
    )


async def test_a_click_on_a_dressed_person_repaints_what_was_clicked_face_or_not(bench, photo):
    b = bench(analyzer=FakeAnalyzer(objects=[PERSON]))
    result = await b.edit(asked(photo, "person wearing this designer jacket", points=(Point(200.0, 30.0),)))
    assert result.pipeline == "complex"
    assert result.mask[30, 200] == 255


async def test_a_recoloured_thing_that_was_clicked_is_blended_along_its_outline(bench, photo):
    b = bench()
    wide = await b.edit(asked(photo, points=CLICKS, mask_dilation_px=40))
    look = await b.edit(asked(photo, "make the mug blue", points=CLICKS, mask_dilation_px=40))
    assert (look.mask > 0).sum() < (wide.mask > 0).sum() / 2


async def test_points_on_nothing_are_refused(bench, photo):
    b = bench(segmenter=FakeSegmenter(empty=True))
    with pytest.raises(EmptyMask, match="move them, or send a box"):
        await b.edit(asked(photo, points=CLICKS))


async def test_a_box_in_which_sam_sees_nothing_is_taken_itself_and_that_is_said(bench, photo):
    result = await bench(segmenter=FakeSegmenter(empty=True)).edit(asked(photo, box=BOX))
    assert np.array_equal(result.mask, box_mask())
    assert "the refined mask was empty: the box is used" in result.metadata["warnings"]


async def test_a_silhouette_that_leaks_out_of_its_box_is_cut_unless_points_lead_it_there(bench, photo):
    b = bench(segmenter=FakeSegmenter(leaking=True))
    cut = (await b.edit(asked(photo, box=BOX))).mask
    assert cut[140, 170] == 255
    assert cut[140, 300] == 0
    assert (await b.edit(asked(photo, points=CLICKS, box=BOX))).mask[140, 300] == 255


async def test_a_silhouette_that_misses_every_click_is_named(bench, photo):
    missing = "the silhouette that SAM drew holds none of the points"
    away = await bench().edit(asked(photo, points=(Point(20.0, 20.0),), box=BOX))
    held = await bench().edit(asked(photo, points=(Point(170.0, 140.0),), box=BOX))
    assert missing in away.metadata["warnings"]
    assert missing not in held.metadata["warnings"]


@pytest.mark.parametrize("options", [{"points": CLICKS}, {"points": CLICKS, "box": BOX}], ids=["alone", "with a box"])
async def test_points_that_the_segmenter_was_not_trained_for_are_refused_by_name(bench, photo, options):
    b = bench(no_points="it was trained with boxes only")
    for run in (b.edit, lambda request: b.editor.analyze(request, request_id="dry")):
        with pytest.raises(
            InvalidInput, match=r"config\.points: it was trained with boxes only; send config\.box"
        ) as caught:
            await run(asked(photo, **options))
        assert caught.value.details == {"field": "config.points"}
    assert b.segmenter.calls == 0


async def test_points_that_do_not_act_are_not_refused_for_that(bench, photo):
    b = bench(no_points="it was trained with boxes only")
    assert np.array_equal(
        (await b.edit(asked(photo, points=CLICKS, box=BOX, refine_mask=RefineMask.OFF))).mask, box_mask()
    )
    assert (await b.edit(asked(photo, box=BOX))).mask.any()
    assert (await b.edit(asked(photo, points=CLICKS, mask=box_mask()))).mask.any()


@pytest.mark.parametrize("point", [(400.0, 10.0), (10.0, 300.0), (5000.0, 5.0)])
async def test_a_point_off_the_photo_is_refused_by_its_name(bench, photo, point):
    await bench().editor.analyze(asked(photo, points=(Point(399.9, 299.9),)), request_id="dry")
    with pytest.raises(InvalidInput, match=r"config\.points\.1: .* does not lie on the image, which is 400x300 pixels"):
        await bench().edit(asked(photo, points=(CLICKS[0], Point(*point))))


@pytest.mark.parametrize("box", [(0, 0, 401, 300), (0, 0, 400, 300.5), (390, 290, 500, 310)])
async def test_a_box_that_reaches_off_the_photo_is_refused_by_its_name(bench, photo, box):
    sides = dict(zip(("x0", "y0", "x1", "y1"), map(float, box), strict=True))
    await bench().editor.analyze(asked(photo, box=Box(x0=0, y0=0, x1=400, y1=300)), request_id="dry")
    with pytest.raises(InvalidInput, match=r"config\.box: .* does not lie on the image"):
        await bench().edit(asked(photo, box=Box(**sides)))


def test_a_mark_is_scaled_with_its_image():
    mark = Mark(points=CLICKS, box=BOX)
    assert mark.scaled(0.5, 0.25) == Mark(
        points=(Point(85.0, 35.0), Point(150.0, 50.0, 0)), box=Box(x0=60.0, y0=20.0, x1=110.0, y1=50.0)
    )
