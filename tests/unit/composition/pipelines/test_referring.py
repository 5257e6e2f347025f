"""Which references act, how strongly and where; and that the diffusion model is told so."""

from __future__ import annotations

import numpy as np
import pytest

from composition.errors import NoDetection, UnprocessableImage
from composition.imaging.masks import boxes_to_mask
from composition.request import EditOptions, EditRequest, Keep, OneOfSeveral, OnNoDetection, Reference, RefineMask
from tests.fakes.fake_detector import FakeDetector, detection
from tests.fakes.fake_segmenter import ellipse

SIZE = (300, 400)
JACKET = detection("jacket", 100, 50, 300, 250)
LEFT_SLEEVE, RIGHT_SLEEVE = detection("sleeve", 100, 60, 140, 200), detection("sleeve", 260, 60, 300, 200)
ELSEWHERE = detection("sleeve", 320, 60, 380, 200)
SLEEVES = [LEFT_SLEEVE, RIGHT_SLEEVE, ELSEWHERE]
PLAIN = {"seed": 7, "refine_mask": RefineMask.OFF, "keep_surroundings": Keep.OFF, "mask_dilation_px": 0}


def picture(number: int) -> np.ndarray:
    return np.full((64, 48, 3), number, np.uint8)


def reference(number: int, **said) -> Reference:
    return Reference(image=picture(number), **said)


def request(photo, *references, **options) -> EditRequest:
    return EditRequest(
        base=photo,
        prompt="replace the jacket with a coat",
        references=references,
        options=EditOptions(**{**PLAIN, **options}),
    )


def desk(bench, **fakes):
    return bench(detector=FakeDetector({"jacket": [JACKET], "sleeves": SLEEVES, "collar": []}), **fakes)


async def told(b, asked: EditRequest):
    """What the diffusion model was told of references: the pictures' numbers, the scale, the mask."""
    await b.edit(asked)
    (sent,) = b.diffuser.requests
    return [([int(image[0, 0, 0]) for image in one.images], one.scale, one.mask) for one in sent.references]


async def test_what_nothing_is_said_of_is_taken_together_everywhere(bench, photo):
    (views,) = await told(desk(bench), request(photo, reference(1), reference(2)))
    assert views == ([1, 2], 0.6, None)


async def test_a_weight_is_of_the_scale(bench, photo):
    (one,) = await told(desk(bench), request(photo, reference(1, weight=0.5), ip_adapter_scale=0.8))
    assert one == ([1], 0.4, None)


async def test_views_of_one_weight_are_one_reference_and_weights_beyond_1_are_shares(bench, photo):
    asked = request(photo, reference(1), reference(2, weight=0.25), reference(3), ip_adapter_scale=1.0)
    together, apart = await told(desk(bench), asked)
    assert together == ([1, 3], pytest.approx(0.8), None)
    assert apart == ([2], pytest.approx(0.2), None)


async def test_weights_that_come_to_less_are_as_they_are(bench, photo):
    asked = request(photo, reference(1, weight=0.5), reference(2, weight=0.25), ip_adapter_scale=1.0)
    assert [scale for _, scale, _ in await told(desk(bench), asked)] == [0.5, 0.25]


async def test_one_for_a_part_acts_there_and_the_others_elsewhere(bench, photo):
    b = desk(bench)
    rest, sleeves = await told(b, request(photo, reference(1), reference(2, part="sleeves")))
    assert b.detector.phrases == ["jacket", "sleeves"]
    assert (rest[:2], sleeves[:2]) == (([1], 0.6), ([2], 0.6))
    part, others = sleeves[2], rest[2]
    (sent,) = b.diffuser.requests
    assert part.shape == others.shape == sent.mask.shape
    assert set(np.unique(part)) == {0, 255}
    # The two sleeves of the jacket and not what lies beside it, at the model's size.
    assert 0.04 < (part > 0).mean() < 0.35
    columns = np.flatnonzero(part.any(axis=0))
    width = part.shape[1]
    assert (part[:, width // 2 - 4 : width // 2 + 4] == 0).all()
    assert columns[0] > 0
    assert ((part > 0) | (others > 0)).all()


async def test_views_of_a_part_are_one_reference_and_its_shares_are_its_own(bench, photo):
    asked = request(
        photo,
        reference(1),
        reference(2, part="sleeves"),
        reference(3, part="sleeves", weight=1.0),
        reference(4, part="sleeves", weight=0.5),
        ip_adapter_scale=0.9,
    )
    found = [(images, round(scale, 6)) for images, scale, _ in await told(desk(bench), asked)]
    assert found == [([1], 0.9), ([2, 3], 0.6), ([4], 0.3)]


async def test_a_drawn_part_is_taken_as_far_as_it_is_repainted(bench, photo):
    b = desk(bench)
    drawn = np.zeros(SIZE, np.uint8)
    drawn[:, :200] = 200
    result = await b.edit(request(photo, reference(1, part_mask=drawn)))
    (described,) = result.metadata["edits"][0]["references"]
    left = np.count_nonzero(boxes_to_mask([detection("", 100, 50, 200, 250).box], SIZE)) / (300 * 400)
    assert described == {"images": [0], "scale": 0.6, "area": pytest.approx(left, abs=1e-3)}


async def test_a_part_has_its_silhouette_where_masks_are_refined(bench, photo):
    b = desk(bench)
    result = await b.edit(request(photo, reference(2, part="sleeves"), refine_mask=RefineMask.ON))
    outlines = [ellipse(item.box, SIZE) & ellipse(JACKET.box, SIZE) for item in (LEFT_SLEEVE, RIGHT_SLEEVE)]
    area = np.count_nonzero(outlines[0] | outlines[1]) / (300 * 400)
    assert result.metadata["edits"][0]["references"][0]["area"] == pytest.approx(area, abs=1e-3)


async def test_what_is_not_found_is_left_out_and_the_others_act_everywhere(bench, photo):
    b = desk(bench)
    (only,) = await told(b, request(photo, reference(1), reference(2, part="collar")))
    assert only == ([1], 0.6, None)


async def test_what_is_not_found_is_an_error_where_that_is_asked_for(bench, photo):
    b = desk(bench)
    asked = request(photo, reference(1, part="collar"), on_no_detection=OnNoDetection.ERROR)
    with pytest.raises(NoDetection, match="'collar', which a reference image is for") as caught:
        await b.edit(asked)
    assert (caught.value.details, b.diffuser.requests) == ({"target": "collar"}, [])


async def test_at_scale_0_no_part_is_looked_for(bench, photo):
    b = desk(bench)
    assert await told(b, request(photo, reference(1, part="sleeves"), ip_adapter_scale=0.0)) == []
    assert b.detector.phrases == ["jacket"]


async def test_an_analysis_says_the_same_of_references(bench, photo):
    asked = request(photo, reference(1), reference(2, part="sleeves"), reference(3, part="collar"))
    edited = (await desk(bench).edit(asked)).metadata
    analysed = (await desk(bench).editor.analyze(asked, request_id="test")).metadata
    assert analysed["edits"][0]["references"] == edited["edits"][0]["references"]
    assert [one["images"] for one in edited["edits"][0]["references"]] == [[0], [1]]
    assert analysed["warnings"] == edited["warnings"] == [
        "reference_images.2 is left out: nothing like 'collar' was found in what is repainted"
    ]  # fmt: skip


async def test_each_of_several_edits_has_its_own(bench, photo):
    b = bench(
        detector=FakeDetector({"jacket": [JACKET], "sleeves": SLEEVES, "lamp": [detection("lamp", 10, 10, 60, 90)]})
    )
    edits = (
        OneOfSeveral(prompt="replace the jacket with a coat", references=(reference(1, part="sleeves"),)),
        OneOfSeveral(prompt="replace the lamp with a tree", references=(reference(2),)),
    )
    result = await b.edit(EditRequest(base=photo, edits=edits, options=EditOptions(**PLAIN)))
    regions = [region for sent in b.diffuser.requests for region in sent.regions]
    (first,), (second,) = (region.references for region in regions)
    assert (first.images[0][0, 0, 0], first.mask is None) == (1, False)
    assert (second.images[0][0, 0, 0], second.mask) == (2, None)
    assert [len(edit["references"]) for edit in result.metadata["edits"]] == [1, 1]


async def test_a_part_drawn_on_another_image_is_refused(bench, photo):
    asked = request(photo, reference(1), reference(2, part_mask=np.full((10, 10), 255, np.uint8)))
    with pytest.raises(UnprocessableImage, match=r"reference_images\.1\.for\.mask_image"):
        await desk(bench).edit(asked)
