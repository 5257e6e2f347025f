"""Several edits of one photo, by a list or by a prompt: each is done as its own, in one pass."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from composition.config import Config
from composition.diffusion import DiffusionResult
from composition.errors import EmptyMask, ModelError, NoDetection
from composition.imaging.masks import boxes_to_mask
from composition.lora import LoraUse
from composition.request import (
    Crop,
    EditOptions,
    EditRequest,
    Keep,
    MaskMode,
    OneOfSeveral,
    OnNoDetection,
    Reference,
)
from tests.fakes.fake_analyzer import FakeAnalyzer
from tests.fakes.fake_depth_estimator import FakeDepthEstimator
from tests.fakes.fake_detector import FakeDetector, detection
from tests.fakes.fake_diffuser import FakeDiffuser

SIZE = (600, 800)
MUG = detection("mug", 60, 60, 120, 130)
PLATE = detection("plate", 130, 90, 190, 130)
LAMP = detection("lamp", 660, 420, 720, 540)
FOUND = {"mug": [MUG], "plate": [PLATE], "lamp": [LAMP]}
EXACT = {"mask_dilation_px": 0, "mask_blur_px": 0, "color_match": False, "keep_surroundings": Keep.OFF}
TEAPOT, BOWL, TREE = "replace the mug with a teapot", "replace the plate with a bowl", "replace the lamp with a tree"
REFERENCE = (Reference(image=np.full((64, 64, 3), 90, np.uint8)),)


@pytest.fixture
def photo():
    return np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


class RegionDiffuser(FakeDiffuser):
    """Paints each region's area in the colour of its prompt's length, inside the mask."""

    async def diffuse(self, request):
        self.requests.append(request)
        image = request.image.copy()
        for region in request.regions:
            inside = request.mask > 0
            if region.area is not None:
                inside = inside & (region.area > 0)
            image[inside] = color_of(region.prompt)
        yield DiffusionResult(image=image, models_used=("sd-inpainting", "ip-adapter", "controlnet-depth"))


def color_of(prompt):
    return (10 * len(prompt)) % 256, 40, 200


def several(photo, *edits, **options):
    return EditRequest(
        base=photo,
        edits=tuple(one if isinstance(one, OneOfSeveral) else OneOfSeveral(prompt=one) for one in edits),
        options=EditOptions(**{"seed": 7, **options}),
    )


def one(prompt, *, references=(), mask=None, negative_prompt=None, **options):
    return OneOfSeveral(
        prompt=prompt, references=references, mask=mask, negative_prompt=negative_prompt, options=options
    )


def desk(bench, **fakes):
    return bench(detector=FakeDetector(FOUND), **{"diffuser": RegionDiffuser(), **fakes})


def box_of(found):
    return boxes_to_mask([found.box], SIZE) > 0


async def test_each_region_is_painted_by_its_own_prompt_and_nothing_else_changes(bench, photo):
    b = desk(bench)
    result = await b.edit(several(photo, TEAPOT, BOWL, TREE, **EXACT))
    for found, painted in ((MUG, "a teapot"), (PLATE, "a bowl"), (LAMP, "a tree")):
        inside = result.image[box_of(found)].reshape(-1, 3).astype(int)
        assert np.abs(np.median(inside, axis=0) - color_of(painted)).max() <= 2
    union = box_of(MUG) | box_of(PLATE) | box_of(LAMP)
    assert np.array_equal(result.mask > 0, union)
    assert np.array_equal(result.image[~union], photo[~union])


async def test_near_edits_are_one_request_with_regions_and_a_distant_one_has_a_crop_of_its_own(bench, photo):
    b = desk(bench)
    result = await b.edit(several(photo, TEAPOT, BOWL, TREE))
    near, far = b.diffuser.requests
    assert [region.prompt for region in near.regions] == ["a teapot", "a bowl"]
    assert (far.prompt, far.area, far.beside) == ("a tree", None, ())
    areas = np.array([region.area for region in near.regions])
    assert (np.count_nonzero(areas, axis=0) == 1).all()
    assert set(np.unique(areas)) == {0, 255}
    assert near.request_id != far.request_id
    assert near.seed == far.seed == 7
    assert [edit["crop"] for edit in result.metadata["edits"]] == [0, 0, 1]


async def test_one_edit_in_a_list_is_bit_for_bit_the_edit_alone(bench, photo):
    listed = await desk(bench).edit(several(photo, TEAPOT))
    alone = await desk(bench).edit(EditRequest(base=photo, prompt=TEAPOT, options=EditOptions(seed=7)))
    assert np.array_equal(listed.image, alone.image)
    assert np.array_equal(listed.mask, alone.mask)
    times = {"timings_ms": None}
    assert {**listed.metadata, **times} == {**alone.metadata, **times}
    assert len(alone.metadata["edits"]) == 1


async def test_distant_edits_are_bit_for_bit_what_each_is_alone(bench, photo):
    together = await desk(bench).edit(several(photo, TEAPOT, TREE))
    for prompt, around in ((TEAPOT, np.s_[:300, :400]), (TREE, np.s_[300:, 400:])):
        alone = await desk(bench).edit(EditRequest(base=photo, prompt=prompt, options=EditOptions(seed=7)))
        assert np.array_equal(together.image[around], alone.image[around])
        assert np.array_equal(together.mask[around], alone.mask[around])


async def test_each_region_has_its_own_words_references_strength_and_controls(bench, photo):
    b = desk(bench)
    await b.edit(
        several(
            photo,
            one(TEAPOT, references=REFERENCE, ip_adapter_scale=0.3, strength=0.5, negative_prompt="text"),
            one(BOWL, control_types=("depth",)),
            strength=0.9,
            ip_adapter_scale=0.8,
        )
    )
    (asked,) = b.diffuser.requests
    first, second = asked.regions
    assert (first.strength, first.references[0].scale, first.negative_prompt) == (0.5, 0.3, "text")
    assert (second.strength, second.references, second.negative_prompt) == (0.9, (), "")
    assert (len(first.references), len(second.references)) == (1, 0)
    assert (list(first.controls), list(second.controls)) == ([], ["depth"])


async def test_what_edits_ask_of_models_alike_is_asked_once(bench, photo):
    b = desk(bench, analyzer=FakeAnalyzer(objects=[detection("person", 300, 10, 500, 590)]))
    calls = []
    detect_objects = b.analyzer.detect_objects

    async def counted(image):
        calls.append("objects")
        return await detect_objects(image)

    b.analyzer.detect_objects = counted
    await b.edit(several(photo, one(TEAPOT), one("a red mug", target="mug"), one(TREE), control_types=("depth",)))
    assert sorted(b.detector.phrases) == ["lamp", "mug"]
    assert b.depth.calls == 1
    assert len(calls) <= 1


async def test_an_edit_that_finds_nothing_takes_no_answer_from_one_that_waits_for_the_same(bench, photo):
    class Held(FakeDepthEstimator):
        async def estimate_depth(self, image):
            asyncio.get_running_loop().call_later(0.05, gate.set)  # by then the first edit has given up
            await gate.wait()
            return await super().estimate_depth(image)

    gate = asyncio.Event()
    b = desk(bench, depth=Held())
    edits = (one("replace the vase with a cake", control_types=("depth",)), one(TREE, control_types=("depth",)))
    result = await b.edit(several(photo, *edits))
    assert b.depth.calls == 1
    assert [bool(edit["detections"]) for edit in result.metadata["edits"]] == [False, True]


async def test_each_edit_is_told_with_its_own_region_models_and_warnings(bench, photo):
    b = desk(bench)
    result = await b.edit(
        several(photo, one(TEAPOT, references=REFERENCE), one(BOWL, ip_adapter_scale=0.2), mask_mode="alpha")
    )
    first, second = result.metadata["edits"]
    assert (first["region"], second["region"]) == ([60, 60, 120, 130], [130, 90, 190, 130])
    assert [item["label"] for item in first["detections"]] == ["mug"]
    assert first["routing"]["generation_prompt"] == "a teapot"
    assert "ip-adapter" in first["models_used"]
    assert "ip-adapter" not in second["models_used"]
    assert "controlnet-depth" not in second["models_used"]
    assert second["warnings"][-2:] != first["warnings"]
    warnings = result.metadata["warnings"]
    assert "edits.1: ip_adapter_scale has no effect without reference_image" in warnings
    assert sum("mask_mode" in text for text in warnings) == 1
    assert [item["label"] for item in result.metadata["detections"]] == ["mug", "plate"]


async def test_how_masks_are_read_is_without_effect_only_where_no_edit_has_one(bench, photo):
    """That nothing has a mask is seen above."""
    drawn = one("a bowl", mask=boxes_to_mask([PLATE.box], SIZE))
    result = await desk(bench).edit(several(photo, TEAPOT, drawn, mask_mode=MaskMode.LUMINANCE))
    assert not any("mask_mode" in text for text in result.metadata["warnings"])


async def test_an_analysis_answers_the_same_edits_and_the_same_mask(bench, photo):
    asked = several(photo, one(TEAPOT, blend=0.4), BOWL, TREE)
    result = await desk(bench).edit(asked)
    analysis = await desk(bench).editor.analyze(asked, request_id="dry")
    assert np.array_equal(analysis.mask, result.mask)
    for shown, made in zip(analysis.metadata["edits"], result.metadata["edits"], strict=True):
        assert {name: shown[name] for name in ("prompt", "region", "crop", "mask_area", "blend")} == {
            name: made[name] for name in ("prompt", "region", "crop", "mask_area", "blend")
        }


async def test_a_prompt_of_several_edits_is_the_list_of_them(bench, photo):
    spoken = await desk(bench).edit(EditRequest(base=photo, prompt=f"{TEAPOT} and {TREE}", options=EditOptions(seed=7)))
    listed = await desk(bench).edit(several(photo, TEAPOT, TREE))
    assert np.array_equal(spoken.image, listed.image)
    assert [edit["prompt"] for edit in spoken.metadata["edits"]] == [TEAPOT, TREE]
    assert not any("only the first" in text for text in spoken.metadata["warnings"])


async def test_where_the_user_says_where_only_the_first_edit_of_a_prompt_is_done_and_the_warning_says_so(bench, photo):
    mask = np.where(box_of(MUG), np.uint8(255), np.uint8(0))
    asked = EditRequest(base=photo, prompt=f"{TEAPOT} and {TREE}", mask=mask, options=EditOptions(seed=7))
    result = await desk(bench).edit(asked)
    assert len(result.metadata["edits"]) == 1
    assert any(text.startswith("only the first of 2 edits is done") for text in result.metadata["warnings"])


async def test_a_reference_beside_a_prompt_of_several_edits_is_for_the_one_that_points_at_it(bench, photo):
    b = desk(bench)
    asked = EditRequest(
        base=photo, prompt=f"{TEAPOT} and replace the lamp with this", references=REFERENCE, options=EditOptions(seed=7)
    )
    result = await b.edit(asked)
    assert [len(request.references) for request in b.diffuser.requests] == [0, 1]
    assert [any("reference image" in text for text in edit["warnings"]) for edit in result.metadata["edits"]] == [
        False,
        True,
    ]


async def test_a_remark_that_names_no_part_of_the_image_is_no_edit_of_all_of_it(bench, photo):
    alone = await desk(bench).edit(EditRequest(base=photo, prompt=TEAPOT, options=EditOptions(seed=7)))
    b = desk(bench)
    asked = EditRequest(base=photo, prompt=f"{TEAPOT}. Photorealistic.", options=EditOptions(seed=7))
    result = await b.edit(asked)
    assert len(result.metadata["edits"]) == 1
    assert np.array_equal(result.mask, alone.mask)
    assert any("left out: photorealistic" in text for text in result.metadata["warnings"])
    asked = EditRequest(base=photo, prompt=f"{TEAPOT}, then {TREE}. Photorealistic.", options=EditOptions(seed=7))
    result = await desk(bench).edit(asked)
    assert [edit["crop"] for edit in result.metadata["edits"]] == [0, 1]
    assert "edits.0: left out, as it names no part of the image: photorealistic" in result.metadata["warnings"]


async def test_more_edits_in_a_prompt_than_are_allowed_are_named(bench, photo):
    b = desk(bench, config=Config.model_validate({"generation": {"max_edits": 1}}))
    asked = EditRequest(base=photo, prompt=f"{TEAPOT} and {TREE}", options=EditOptions(seed=7))
    result = await b.edit(asked)
    assert len(result.metadata["edits"]) == 1
    assert result.metadata["warnings"][0] == f"more than 1 edits (generation.max_edits): not done: {TREE}"


async def test_an_edit_that_finds_nothing_is_left_out_and_named(bench, photo):
    b = desk(bench)
    result = await b.edit(several(photo, "replace the vase with a cake", TREE, **EXACT))
    assert np.array_equal(result.mask > 0, box_of(LAMP))
    missing, done = result.metadata["edits"]
    assert (missing["region"], missing["crop"], missing["mask_area"]) == (None, None, 0.0)
    assert "edits.0: not done: nothing like 'vase' was found in the image" in result.metadata["warnings"]
    assert done["crop"] == 0
    assert result.metadata["routing"]["generation_prompt"] == "a tree"


@pytest.mark.parametrize(
    ("edits", "options"),
    [
        (("replace the vase with a cake", "remove the cat"), {}),
        (("replace the vase with a cake", TREE), {"on_no_detection": OnNoDetection.ERROR}),
    ],
)
async def test_when_none_is_found_or_each_has_to_be_it_is_an_error(bench, photo, edits, options):
    b = desk(bench)
    with pytest.raises(NoDetection, match="vase"):
        await b.edit(several(photo, *edits, **options))
    assert b.diffuser.requests == []


async def test_an_edit_that_others_cover_is_not_done_and_says_which_they_are(bench, photo):
    inner = detection("label", 80, 80, 100, 100)
    mask = boxes_to_mask([inner.box], SIZE)
    result = await desk(bench).edit(several(photo, one("a blue label", mask=mask), TEAPOT))
    small, large = result.metadata["edits"]
    assert small["covered_by"] == [{"edit": 1, "share": 1.0}]
    assert small["region"] is None
    assert any("all of its region is that of edits 1" in text for text in small["warnings"])
    assert (large["covered_by"], large["crop"]) == ([], 0)


async def test_the_later_of_two_edits_lies_over_the_earlier(bench, photo):
    label = boxes_to_mask([detection("label", 80, 80, 100, 100).box], SIZE)
    result = await desk(bench).edit(several(photo, TEAPOT, one("a blue label", mask=label), **EXACT))
    assert np.abs(np.median(result.image[85:95, 85:95].reshape(-1, 3), axis=0) - color_of("blue label")).max() <= 12
    first = result.metadata["edits"][0]
    assert first["covered_by"] == [{"edit": 1, "share": pytest.approx(400 / (60 * 70), abs=0.001)}]


async def test_an_edit_of_the_whole_image_lies_under_the_others(bench, photo):
    b = desk(bench)
    await b.edit(several(photo, TEAPOT, "in the style of Monet"))
    (asked,) = b.diffuser.requests
    teapot, monet = asked.regions
    assert (asked.mask == 255).all()
    assert 0 < np.count_nonzero(teapot.area) < 0.05 * teapot.area.size
    assert np.count_nonzero(monet.area) + np.count_nonzero(teapot.area) == teapot.area.size


async def test_seeds_and_loras_are_the_whole_requests(bench, photo):
    b = desk(bench)
    ink = LoraUse(name="ink", weight=0.7, path="/loras/ink", sha256="1" * 64)
    asked = EditRequest(
        base=photo,
        edits=(OneOfSeveral(prompt=TEAPOT), OneOfSeveral(prompt=TREE)),
        n=2,
        loras=(ink,),
        options=EditOptions(loras={"ink": 0.7}),
    )
    result = await b.edit(asked)
    assert len(result.images) == 2
    assert sorted({request.seed for request in b.diffuser.requests}) == sorted(result.metadata["seeds"])
    assert len({request.request_id for request in b.diffuser.requests}) == 4
    assert {request.loras for request in b.diffuser.requests} == {(ink,)}


async def test_progress_never_falls_and_counts_the_steps_of_every_crop(bench, photo):
    b = desk(bench, diffuser=FakeDiffuser())
    await b.edit(several(photo, TEAPOT, TREE, num_inference_steps=4))
    fractions = [progress.fraction for progress in b.progress]
    assert fractions == sorted(fractions)
    steps = [(progress.step, progress.total_steps) for progress in b.progress if progress.step is not None]
    assert steps[-1] == (8, 8)


async def test_a_crop_that_fails_ends_the_others(bench, photo):
    b = desk(bench, diffuser=FakeDiffuser(error=ModelError("no")))
    with pytest.raises(ModelError):
        await b.edit(several(photo, TEAPOT, TREE))
    assert b.diffuser.closed_early == len(b.diffuser.requests)


async def test_an_empty_mask_of_the_only_edit_is_still_an_error(bench, photo):
    with pytest.raises(EmptyMask):
        await desk(bench).edit(several(photo, one(TEAPOT, mask=np.zeros(SIZE, np.uint8))))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shares=st.tuples(st.floats(0, 1), st.floats(0, 1)))
async def test_blend_lays_each_edit_over_by_its_share_and_is_continuous(bench, photo, shares):
    small = photo[:200, :300]
    edits = [one(prompt, blend=share) for prompt, share in zip((TEAPOT, BOWL), shares, strict=True)]
    full = await desk(bench).edit(several(small, TEAPOT, BOWL, crop=Crop.OFF, **EXACT))
    part = await desk(bench).edit(several(small, *edits, crop=Crop.OFF, **EXACT))
    for found, share in ((MUG, shares[0]), (PLATE, shares[1])):
        inside = box_of(found)[:200, :300]
        wanted = small[inside] + share * (full.image[inside].astype(float) - small[inside])
        assert np.abs(part.image[inside] - wanted).max() <= 1.5
    outside = full.mask == 0
    assert np.array_equal(part.image[outside], small[outside])


async def test_blend_zero_leaves_the_photo_and_says_so(bench, photo):
    asked = EditRequest(base=photo, prompt=TEAPOT, options=EditOptions(seed=7, blend=0.0))
    result = await desk(bench).edit(asked)
    assert np.array_equal(result.image, photo)
    assert any(text.startswith("blend 0:") for text in result.metadata["warnings"])
