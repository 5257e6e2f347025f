"""A new colour in an image of a kind that the profile's models do not know: a photograph to painters of a world."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from composition.config import Config
from composition.decision import BodyRegion
from composition.diffusion import DiffusionResult
from composition.imaging.masks import dilate
from composition.masking.body import protected_mask, region_mask
from composition.request import Crop, EditOptions, EditRequest, Keep, RefineMask
from tests.fakes.fake_analyzer import FakeAnalyzer
from tests.fakes.fake_detector import FakeDetector, detection
from tests.fakes.fake_diffuser import FakeDiffuser
from tests.fakes.fake_pose_estimator import upright_pose
from tests.fakes.fake_segmenter import FakeSegmenter, ellipse

SIZE = (300, 400)
MUG = detection("mug", 120, 80, 240, 220)
PERSON = detection("person", 100, 10, 300, 290)
RED, GREEN, CLAY = (190, 50, 45), (40, 150, 70), (190, 150, 120)
MIDDLE = 180


class HalfKnowing(FakeDiffuser):
    """Paints the new colour left of the thing's middle, or so far, and something else right of it."""

    def __init__(self, known_to=MIDDLE):
        super().__init__()
        self.known_to = known_to

    async def diffuse(self, request):
        self.requests.append(request)
        image = np.full_like(request.image, CLAY)
        image[:, : int(image.shape[1] * self.known_to / SIZE[1])] = GREEN
        yield DiffusionResult(image=image, models_used=("sd-inpainting",))


def photograph():
    """A red mug with shade and grain, on grey."""
    rows = np.mgrid[: SIZE[0], : SIZE[1]][0][..., None]
    lit = np.where(ellipse(MUG.box, SIZE)[..., None] > 0, RED, (120, 124, 128)) * (0.75 + 0.5 * rows / SIZE[0])
    return np.clip(lit + np.random.default_rng(2).normal(0, 3, (*SIZE, 1)), 0, 255).astype(np.uint8)


def asked(prompt, **options):
    plain = {"crop": Crop.OFF, "keep_surroundings": Keep.OFF, "color_match": False, "seed": 7}
    return EditRequest(base=photograph(), prompt=prompt, options=EditOptions(**plain | options))


def mug(bench, *, known, **fakes):
    return bench(
        analyzer=FakeAnalyzer(known=known),
        detector=FakeDetector({"mug": [MUG]}),
        segmenter=FakeSegmenter(name="grabcut"),
        **fakes,
    )


def green(image):
    """Greener than red and blue by far, (H, W)."""
    image = image.astype(int)
    return (image[..., 1] > 1.4 * image[..., 0]) & (image[..., 1] > 1.2 * image[..., 2])


@pytest.mark.parametrize("known", [False, True])
async def test_all_of_the_thing_takes_the_colour_that_the_painter_put_on_half_of_it(bench, known):
    result = await mug(bench, known=known, diffuser=HalfKnowing()).edit(asked("make the mug green"))
    inside = ellipse(MUG.box, SIZE) > 0
    right = inside & (np.mgrid[: SIZE[0], : SIZE[1]][1] > MIDDLE + 20)
    share = green(result.image)[right].mean()
    assert share < 0.1 if known else share > 0.95
    near = dilate(inside.astype(np.uint8) * np.uint8(255), 8) > 0
    assert not green(result.image)[~near].any()


@pytest.mark.parametrize(
    ("known", "prompt", "options", "strength"),
    [
        (False, "make the mug green", {}, 1.0),
        (False, "make the mug green", {"strength": 0.6}, 0.6),
        (True, "make the mug green", {}, Config().generation.appearance_strength),
        (False, "make the mug of marble", {}, 1.0),
        (True, "make the mug of marble", {}, Config().generation.appearance_strength),
        (False, "make the mug of marble", {"keep_parts": Keep.OFF}, Config().generation.appearance_strength),
    ],
)
async def test_as_only_the_colour_is_taken_all_may_be_painted_anew(bench, known, prompt, options, strength):
    b = mug(bench, known=known)
    result = await b.edit(asked(prompt, **options))
    assert b.diffuser.requests[0].strength == pytest.approx(strength)
    assert result.metadata["edits"][0]["strength"] == pytest.approx(strength)
    assert "grabcut" in result.models_used


ONLY_COLOUR = "the models do not know images of this kind: of the new look only its colour is taken"


@pytest.mark.parametrize("by_hand", [False, True])
async def test_of_a_new_material_only_the_colour_is_taken_under_the_photographs_light(bench, by_hand):
    request = replace(asked("make the mug of marble"), mask=ellipse(MUG.box, SIZE) if by_hand else None)
    b = mug(bench, known=False, diffuser=HalfKnowing(200))
    result = await b.edit(request)
    inside = ellipse(MUG.box, SIZE) > 0
    left = cv2.erode(inside.astype(np.uint8), np.ones((31, 31))) * (np.mgrid[: SIZE[0], : SIZE[1]][1] < MIDDLE - 20) > 0
    seen, shown = (image[left].mean(axis=1) for image in (photograph(), result.image))

    assert ONLY_COLOUR in result.metadata["warnings"]
    assert green(result.image)[left].mean() > 0.9
    assert np.corrcoef(seen, shown)[0, 1] > 0.9
    known = await mug(bench, known=True, diffuser=HalfKnowing(200)).edit(request)
    assert ONLY_COLOUR not in known.metadata["warnings"]


@pytest.mark.parametrize(
    ("prompt", "asked_for"), [("make the mug green", 1), ("replace the mug with a lamp", 0), ("marble mug", 1)]
)
async def test_inside_a_mask_the_kind_is_asked_where_that_makes_a_difference(bench, prompt, asked_for):
    b = mug(bench, known=True)
    await b.edit(replace(asked(prompt), mask=ellipse(MUG.box, SIZE)))
    assert b.analyzer.kinds == asked_for


async def test_a_new_colour_needs_no_warning(bench):
    result = await mug(bench, known=False).edit(asked("make the mug green"))
    assert ONLY_COLOUR not in result.metadata["warnings"]


async def test_an_analysis_tells_the_same_strength(bench):
    analysis = await mug(bench, known=False).editor.analyze(asked("make the mug green"), request_id="test")
    assert analysis.metadata["edits"][0]["strength"] == 1.0


def dressed(bench, *, known, **fakes):
    """Somebody whose garment the detector does not see."""
    return bench(
        analyzer=FakeAnalyzer(objects=[PERSON], known=known),
        detector=FakeDetector({}),
        segmenter=FakeSegmenter(name="grabcut", **fakes),
    )


@pytest.mark.parametrize("known", [False, True])
async def test_an_unseen_garment_is_outlined_where_the_body_part_is(bench, known):
    b = dressed(bench, known=known)
    result = await b.edit(asked("make the jacket green"))
    pose = upright_pose(PERSON.box)
    part = region_mask(BodyRegion.UPPER, pose, SIZE) > 0
    rows, columns = np.nonzero(part)
    box = detection("", columns.min(), rows.min(), columns.max() + 1, rows.max() + 1).box
    outline = part & (ellipse(box, SIZE) > 0) & (protected_mask(pose, SIZE, BodyRegion.UPPER) == 0)
    assert b.segmenter.calls == 1
    assert (result.mask[outline] > 0).mean() > 0.97
    near = dilate(outline.astype(np.uint8) * np.uint8(255), 10) > 0
    assert not (result.mask > 0)[~near].any()
    assert (b.diffuser.requests[0].strength == 1.0) is not known


async def test_an_outline_that_has_nothing_of_the_body_part_is_none(bench):
    """What is repainted is the body part, then."""
    result = await dressed(bench, known=True, empty=True).edit(asked("make the jacket green"))
    part = region_mask(BodyRegion.UPPER, upright_pose(PERSON.box), SIZE) > 0
    spared = protected_mask(upright_pose(PERSON.box), SIZE, BodyRegion.UPPER) > 0
    assert (result.mask[part & ~spared] > 0).mean() > 0.95


async def test_without_refined_masks_no_outline_is_asked_for(bench):
    b = dressed(bench, known=False)
    await b.edit(asked("make the jacket green", refine_mask=RefineMask.OFF))
    assert b.segmenter.calls == 0


async def test_a_new_garment_in_another_shape_asks_for_no_outline_either(bench):
    b = dressed(bench, known=False)
    await b.edit(asked("person wearing a red coat"))
    assert b.segmenter.calls == 0
