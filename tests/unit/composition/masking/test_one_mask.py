"""The mask of an analysis is the one that the edit blends with, whatever it is made from; the edited image obeys it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from composition.request import (
    Crop,
    EditOptions,
    EditRequest,
    Keep,
    MaskFeather,
    PipelineChoice,
    Reference,
    RefineMask,
)
from tests.fakes.fake_analyzer import FakeAnalyzer
from tests.fakes.fake_detector import FakeDetector, detection
from tests.fakes.fake_diffuser import FakeDiffuser
from tests.fakes.fake_segmenter import FakeSegmenter

MUG = detection("mug", 120, 80, 220, 200)
MUGS = (detection("mug", 20, 20, 70, 70), detection("mug", 160, 120, 210, 170), detection("mug", 320, 210, 370, 260))
PERSON = detection("person", 100, 10, 300, 290)
JACKET = detection("jacket", 130, 60, 270, 170)
LEFT_PERSON, RIGHT_PERSON = detection("person", 10, 60, 130, 290), detection("person", 220, 20, 380, 290)
PASSER_BY = detection("person", 385, 100, 398, 140)
JACKETS = (detection("jacket", 240, 60, 360, 170, score=0.9), detection("jacket", 25, 90, 115, 190, score=0.7))
ON_A_PERSON: dict[str, Any] = {"found": [JACKET], "objects": [PERSON]}


def painted(grey=255):
    mask = np.zeros((300, 400), np.uint8)
    mask[50:90, 70:140] = grey
    return mask


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is asked, what the models see, and where (x, y) the image must change and where it must not."""

    prompt: str = "replace the mug with a teapot"
    found: Any = (MUG,)
    objects: Any = ()
    options: dict[str, Any] = field(default_factory=dict)
    mask: Any = None
    segmenter: Any = None
    tiles: int = 1
    changes: tuple[tuple[int, int], ...] = ((170, 140),)
    stays: tuple[tuple[int, int], ...] = ((20, 20), (380, 280), (60, 140))


HUGE_JACKET = [detection("jacket", 110, 10, 290, 280)]
CASES = {
    "box": Case(options={"refine_mask": RefineMask.OFF}),
    "box, whole image": Case(options={"crop": Crop.OFF}),
    "box in a crop": Case(tiles=3, stays=((20, 20), (600, 140), (170, 600))),
    "box of a large image without a crop": Case(tiles=3, options={"crop": Crop.OFF}, stays=((20, 20), (600, 140))),
    "neither dilated nor feathered": Case(
        options={"mask_dilation_px": 0, "mask_blur_px": 0, "refine_mask": RefineMask.OFF},
        changes=((121, 81), (218, 198)),
        stays=((118, 140), (222, 140), (170, 78), (170, 202)),
    ),
    "silhouette": Case(options={"refine_mask": RefineMask.ON}, stays=((20, 20), (100, 60), (240, 220))),
    "silhouette that is empty": Case(options={"refine_mask": RefineMask.ON}, segmenter=FakeSegmenter(empty=True)),
    "silhouette that leaks": Case(options={"refine_mask": RefineMask.ON}, segmenter=FakeSegmenter(leaking=True)),
    "the user's": Case(mask=painted(), changes=((105, 70), (80, 60)), stays=((170, 140), (69, 70), (105, 91))),
    "the user's, feathered outwards": Case(
        mask=painted(),
        options={"mask_feather": MaskFeather.OUT},
        changes=((71, 51), (138, 88)),
        stays=((170, 140), (50, 70), (105, 120)),
    ),
    "the user's, grey and noisy": Case(mask=painted(140) + np.uint8(3), changes=((105, 70),), stays=((170, 140),)),
    "the user's in a person": Case(
        prompt="person wearing this jacket", mask=painted(), **ON_A_PERSON, changes=((105, 70),), stays=((200, 110),)
    ),
    "recolour along an outline": Case(prompt="make the mug red", stays=((122, 82), (105, 140), (20, 20))),
    "material along an outline": Case(prompt="make the mug of marble", stays=((122, 82), (105, 140), (20, 20))),
    "recolour in a crop": Case(prompt="make the mug red", tiles=3, stays=((122, 82), (600, 140))),
    "recolour in a box": Case(prompt="make the mug red", options={"refine_mask": RefineMask.OFF}),
    "worn, to be put on": Case(
        prompt="person wearing this jacket", **ON_A_PERSON, changes=((200, 110),), stays=((200, 38), (200, 240))
    ),
    "worn, nothing there yet": Case(
        prompt="person wearing this jacket", found=(), objects=[PERSON], changes=((200, 110),), stays=((200, 38),)
    ),
    "worn, by a pose with depth beside it": Case(
        prompt="person wearing this jacket",
        **ON_A_PERSON,
        options={"control_types": ("pose", "depth")},
        changes=((200, 110),),
        stays=((200, 38),),
    ),
    "worn, without a pose": Case(
        prompt="person wearing this jacket",
        **ON_A_PERSON,
        options={"pipeline": PipelineChoice.SIMPLE},
        changes=((200, 110),),
        stays=((200, 38), (200, 240)),
    ),
    "worn, keeps its shape": Case(
        prompt="make the shirt green", **ON_A_PERSON, changes=((200, 110),), stays=((200, 38), (200, 240))
    ),
    "worn, face and hands protected": Case(
        prompt="person wearing this jacket",
        found=HUGE_JACKET,
        objects=[PERSON],
        changes=((200, 110),),
        stays=((200, 38), (150, 150), (250, 150)),
    ),
    "worn, keeps its shape, face and hands protected": Case(
        prompt="make the jacket green",
        found=HUGE_JACKET,
        objects=[PERSON],
        changes=((200, 110), (200, 240)),
        stays=((200, 38), (150, 150), (250, 150)),
    ),
    "worn by the left of several people": Case(
        prompt="the man on the left wearing this jacket",
        found=JACKETS,
        objects=[RIGHT_PERSON, LEFT_PERSON, PASSER_BY],
        changes=((70, 140),),
        stays=((300, 110), (390, 120)),
    ),
    "worn by the largest of several people": Case(
        prompt="person wearing this jacket",
        found=JACKETS,
        objects=[LEFT_PERSON, RIGHT_PERSON, PASSER_BY],
        changes=((300, 110),),
        stays=((70, 140), (390, 120)),
    ),
    "background": Case(
        prompt="replace the background with a beach",
        found=[PERSON],
        objects=[PERSON],
        changes=((20, 20), (380, 280)),
        stays=((200, 150), (200, 40), (200, 260)),
    ),
    "background of several subjects": Case(
        prompt="replace the background with a beach",
        found=[LEFT_PERSON, RIGHT_PERSON],
        objects=[LEFT_PERSON, RIGHT_PERSON],
        changes=((175, 20), (175, 280)),
        stays=((70, 175), (300, 150)),
    ),
    "every instance of a plural": Case(
        prompt="replace all the mugs with vases",
        found=MUGS,
        changes=((45, 45), (185, 145), (345, 235)),
        stays=((345, 45), (45, 235)),
    ),
    "the instance on the left": Case(
        prompt="replace the left mug with a vase", found=MUGS[::-1], changes=((45, 45),), stays=((185, 145), (345, 235))
    ),
    "the instance in the middle": Case(
        prompt="replace the middle mug with a vase", found=MUGS, changes=((185, 145),), stays=((45, 45), (345, 235))
    ),
    "the instance on the right": Case(
        prompt="replace the right mug with a vase", found=MUGS, changes=((345, 235),), stays=((45, 45), (185, 145))
    ),
    "the largest of several people, found by name": Case(
        prompt="turn the man into a robot",
        found=[detection("man", 12, 62, 128, 288), detection("man", 222, 22, 378, 288, score=0.6)],
        objects=[LEFT_PERSON, RIGHT_PERSON],
        changes=((300, 150),),
        stays=((70, 175),),
    ),
    "a side": Case(prompt="add a lamp on the left", found=(), changes=((60, 150), (5, 5)), stays=((200, 150),)),
    "a place": Case(
        prompt="put a vase on the table", found=[detection("table", 150, 180, 300, 280)], changes=((225, 230),)
    ),
    "a place on one side": Case(
        prompt="put a vase on the table on the right",
        found=[detection("table", 20, 180, 120, 280), detection("table", 280, 180, 380, 280, score=0.5)],
        changes=((330, 230),),
        stays=((70, 230), (20, 20)),
    ),
    "nothing found": Case(found=(), changes=((2, 2), (200, 150), (397, 297)), stays=()),
    "nothing named": Case(prompt="cartoon style", found=(), changes=((2, 2), (397, 297)), stays=()),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_an_analysis_shows_the_mask_that_the_edit_blends_with(bench, photo, case):
    image = np.tile(photo, (case.tiles, case.tiles, 1))
    b = bench(
        analyzer=FakeAnalyzer(objects=case.objects),
        detector=FakeDetector({"*": case.found}),
        segmenter=case.segmenter,
        diffuser=FakeDiffuser(shift=23),
    )
    request = EditRequest(
        base=image,
        prompt=case.prompt,
        references=(Reference(image=photo[:64, :64]),) if "this" in case.prompt else (),
        mask=case.mask,
        options=EditOptions(seed=7, num_inference_steps=2, keep_surroundings=Keep.OFF, **case.options),
    )
    analysis = await b.editor.analyze(request, request_id="dry")
    assert (b.diffuser.requests, b.depth.calls) == ([], 0)
    result = await b.edit(request)

    assert np.array_equal(analysis.mask, result.mask)
    assert analysis.metadata["mask_area"] == result.metadata["mask_area"] == (analysis.mask > 0).mean()
    assert analysis.metadata["detections"] == result.metadata["detections"]

    changed = (result.image != image).any(axis=2)
    assert not changed[analysis.mask == 0].any(), "outside of the mask the image is the original bit for bit"
    assert changed[analysis.mask == 255].mean() > 0.9, "inside of it the image is repainted"
    for x, y in case.changes:
        assert analysis.mask[y, x] == 255
        assert changed[y - 1 : y + 2, x - 1 : x + 2].any()
    for x, y in case.stays:
        assert analysis.mask[y, x] == 0
        assert not changed[y, x]


@pytest.mark.parametrize("case", ["box in a crop", "recolour in a crop"])
async def test_the_cases_of_a_crop_are_painted_from_one(bench, photo, case):
    b = bench(detector=FakeDetector({"*": CASES[case].found}))
    options = EditOptions(seed=7, num_inference_steps=2)
    await b.edit(EditRequest(base=np.tile(photo, (3, 3, 1)), prompt=CASES[case].prompt, options=options))
    assert (b.diffuser.requests[0].mask > 0).mean() > 0.1, "a mug of 1 % of the image"
