"""One edit of several photographs of a thing: found in each, painted in one request, laid over each alone."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from composition.diffusion import DiffusionProgress, DiffusionResult
from composition.errors import InvalidInput, ModelError, NoDetection
from composition.request import EditOptions, EditRequest, Keep, OnNoDetection, Reference, View
from tests.fakes.fake_analyzer import FakeAnalyzer
from tests.fakes.fake_depth_estimator import FakeDepthEstimator
from tests.fakes.fake_detector import FakeDetector, detection
from tests.fakes.fake_diffuser import FakeDiffuser

EXACT = {"mask_dilation_px": 0, "mask_blur_px": 0, "color_match": False, "keep_surroundings": Keep.OFF}
TEAPOT = "replace the mug with a teapot"
MUG = [detection("mug", 60, 60, 120, 130)]


class ViewDiffuser(FakeDiffuser):
    """Paints the mask of each view in a colour of its own; `paints` says which."""

    def paints(self, number):
        return 40 * number, 100, 200

    async def diffuse(self, request):
        self.requests.append(request)
        yield DiffusionProgress(step=1, total=2, preview=np.zeros((2, 2, 3), np.uint8))
        images = []
        for number, one in enumerate(request.regions):
            image = one.image.copy()
            image[one.mask > 0] = self.paints(number)
            images.append(image)
        yield DiffusionResult(image=images[0], others=tuple(images[1:]), models_used=("sd-inpainting",))


class PerPhoto:
    """A detector or analyzer that finds other things in each photograph, by its width."""

    def __init__(self, found):
        self.found, self.asked = found, []

    async def detect(self, image, phrases):
        self.asked.append(image.shape[1])
        return await FakeDetector({"mug": self.found.get(image.shape[1], [])}).detect(image, phrases)


def photo(width, height=300):
    return np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def views(*photos, prompt=TEAPOT, **options):
    base, *others = photos
    return EditRequest(
        base=base,
        prompt=prompt,
        views=tuple(View(image=one) for one in others),
        options=EditOptions(**{"seed": 7, **options}),
    )


def table(bench, **fakes):
    return bench(**{"detector": FakeDetector({"mug": MUG}), "diffuser": ViewDiffuser(), **fakes})


async def test_each_photograph_is_painted_where_its_own_thing_is_and_nowhere_else(bench):
    moved = detection("mug", 200, 100, 280, 180)
    b = table(bench, detector=PerPhoto({400: MUG, 500: [moved]}))
    one, other = photo(400), photo(500, 350)
    result = await b.edit(views(one, other, **EXACT))
    assert [image.shape for image in result.images] == [one.shape, other.shape]
    for number, (image, before, box) in enumerate(
        zip(result.images, (one, other), (MUG[0].box, moved.box), strict=True)
    ):
        inside = np.zeros(before.shape[:2], bool)
        inside[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)] = True
        assert np.array_equal(image[~inside], before[~inside])
        assert np.abs(np.median(image[inside], axis=0) - b.diffuser.paints(number)).max() <= 2


async def test_all_views_are_one_request_of_one_size_one_prompt_and_one_seed(bench):
    b = table(bench)
    await b.edit(views(photo(400), photo(300, 500), photo(640, 480)))
    (asked,) = b.diffuser.requests
    assert len(asked.regions) == 3
    assert len({region.image.shape for region in asked.regions}) == 1
    assert {(region.prompt, region.seed, region.strength) for region in asked.regions} == {("a teapot", 7, 1.0)}
    assert len({region.mask.tobytes() for region in asked.regions}) == 3


async def test_the_look_of_a_reference_is_for_all_views(bench):
    b, look = table(bench), photo(90, 90)
    asked = replace(views(photo(400), photo(420)), references=(Reference(image=look, weight=0.5),))
    await b.edit(asked)
    ((given,),) = (request.references for request in b.diffuser.requests)
    assert np.array_equal(given.images[0], look)
    assert (given.scale, given.mask) == (pytest.approx(0.5 * asked.options.ip_adapter_scale), None)


async def test_a_view_without_the_thing_stays_as_it_was_and_is_named(bench):
    b = table(bench, detector=PerPhoto({400: MUG, 600: MUG}))
    photos = photo(400), photo(500), photo(600)
    result = await b.edit(views(*photos))
    assert np.array_equal(result.images[1], photos[1])
    assert not np.array_equal(result.images[2], photos[2])
    assert len(b.diffuser.requests[0].regions) == 2
    assert result.metadata["warnings"] == ["views.1: not done: nothing like 'mug' was found in the image"]
    missing = result.metadata["views"][1]
    assert (missing["region"], missing["mask_area"], missing["detections"]) == (None, 0.0, [])
    assert result.metadata["views"][2]["warnings"] == []


async def test_a_first_view_without_the_thing_leaves_the_order_as_it_is(bench):
    b = table(bench, detector=PerPhoto({500: MUG}))
    photos = photo(400), photo(500)
    result = await b.edit(views(*photos))
    assert np.array_equal(result.images[0], photos[0])
    assert not np.array_equal(result.images[1], photos[1])
    assert not result.mask.any()
    assert result.mask.shape == (300, 400)


async def test_a_view_without_the_thing_is_an_error_where_that_is_asked_for(bench):
    b = table(bench, detector=PerPhoto({400: MUG}))
    with pytest.raises(NoDetection, match=r"base_images\.1: nothing like 'mug'") as caught:
        await b.edit(views(photo(400), photo(500), on_no_detection=OnNoDetection.ERROR))
    assert caught.value.details["view"] == 1
    assert b.diffuser.requests == []


async def test_no_view_with_the_thing_is_an_error(bench):
    b = table(bench, detector=FakeDetector({}))
    with pytest.raises(NoDetection, match="none of the views can be edited"):
        await b.edit(views(photo(400), photo(500)))


async def test_what_is_seen_in_any_view_decides_for_all_of_them(bench):
    """A person in the second photograph alone: the pipeline that keeps a pose is taken for both."""

    class Sees(FakeAnalyzer):
        async def detect_objects(self, image):
            people = [detection("person", 20, 20, 200, 280)] if image.shape[1] == 500 else []
            return tuple(people)

    b = table(bench, analyzer=Sees(), detector=FakeDetector({"mug": MUG}))
    result = await b.edit(views(photo(400), photo(500), prompt="replace the mug with a teapot"))
    assert (result.pipeline.value, result.metadata["routing"]["rule"]) == ("complex", "human")
    assert all(
        set(region.controls) == set(b.diffuser.requests[0].controls) for region in b.diffuser.requests[0].regions
    )


async def test_each_view_has_the_depth_of_its_own_photograph(bench):
    b = table(bench, depth=FakeDepthEstimator())
    await b.edit(views(photo(400), photo(500), control_types=("depth",)))
    one, other = b.diffuser.requests[0].regions
    assert one.controls["depth"].image.shape == other.controls["depth"].image.shape == one.image.shape


async def test_a_prompt_of_several_edits_is_refused(bench):
    b = table(bench)
    with pytest.raises(InvalidInput, match="several edits"):
        await b.edit(views(photo(400), photo(500), prompt="replace the mug with a teapot and make the plate red"))
    assert b.diffuser.requests == []


async def test_what_all_views_have_in_common_is_told_once_and_the_rest_by_view(bench):
    b = table(bench)
    result = await b.edit(views(photo(400), photo(500)))
    metadata = result.metadata
    assert (metadata["seed_used"], metadata["seeds"]) == (7, [7, 7])
    assert [one["output_resolution"] for one in metadata["views"]] == ["400x300", "500x300"]
    assert [one["detections"][0]["label"] for one in metadata["views"]] == ["mug", "mug"]
    assert metadata["routing"]["target"] == {"phrase": "mug"}
    assert result.models_used.count("grounding-dino") == 1


async def test_a_recolour_gets_one_colour_in_all_views(bench):
    """The model paints the second view darker; under equal light both become alike, and not where colours are left."""

    class Uneven(ViewDiffuser):
        def paints(self, number):
            return ((200, 40, 40), (120, 30, 30))[number]

    def grey(width):
        return np.full((300, width, 3), 120, np.uint8)

    async def colours(**options):
        b = table(bench, detector=FakeDetector({"mug": [detection("mug", 60, 60, 200, 200)]}), diffuser=Uneven())
        result = await b.edit(views(grey(400), grey(500), prompt="make the mug red", refine_mask="off", **options))
        return [image[100:160, 100:160].mean(axis=(0, 1)) for image in result.images]

    alike, apart = await colours(), await colours(color_match=False)
    assert np.abs(alike[0] - alike[1]).max() < 3
    assert np.abs(apart[0] - apart[1]).max() > 50


async def test_progress_rises_and_has_previews_of_the_first_view(bench):
    b = table(bench)
    await b.edit(views(photo(400), photo(500)))
    fractions = [progress.fraction for progress in b.progress]
    assert fractions == sorted(fractions)
    assert sum(progress.preview is not None for progress in b.progress) == 1


async def test_a_failing_model_fails_all_of_them(bench):
    b = table(bench, diffuser=FakeDiffuser(error=ModelError("the model failed")))
    with pytest.raises(ModelError):
        await b.edit(views(photo(400), photo(500)))


async def test_who_leaves_cancels_the_request(bench):
    diffuser = FakeDiffuser(gate=asyncio.Event())
    b = table(bench, diffuser=diffuser)
    editing = asyncio.ensure_future(b.edit(views(photo(400), photo(500))))
    await diffuser.waiting.wait()
    editing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await editing
    assert diffuser.closed_early == 1
