"""Known-answer models around the real router, masks and blending: which pixels change, and which models ran."""

from __future__ import annotations

import asyncio

import cv2
import numpy as np
import pytest

from composition.config import Config
from composition.decision import BodyRegion, ReferenceKind, Target
from composition.diffusion import DiffusionResult
from composition.errors import EmptyMask, InvalidInput, ModelError, NoDetection, UnprocessableImage
from composition.imaging.masks import dilate
from composition.masking.body import protected_mask
from composition.reading import Reading
from composition.request import (
    Crop,
    EditOptions,
    EditRequest,
    Keep,
    MaskFeather,
    OnNoDetection,
    PipelineChoice,
    Reference,
    RefineMask,
    Speed,
)
from tests.fakes.fake_analyzer import FakeAnalyzer
from tests.fakes.fake_detector import FakeDetector, detection
from tests.fakes.fake_diffuser import FakeDiffuser
from tests.fakes.fake_prompt_reader import FakePromptReader
from tests.fakes.fake_segmenter import FakeSegmenter, ellipse

MUG = detection("mug", 120, 80, 220, 200)
PERSON = detection("person", 100, 10, 300, 290)
PLAIN = {
    "mask_dilation_px": 0,
    "mask_blur_px": 0,
    "color_match": False,
    "crop": Crop.OFF,
    "keep_surroundings": Keep.OFF,
}


def request(photo, prompt="replace the mug with a teapot", *, mask=None, references=(), **options):
    return EditRequest(
        base=photo, prompt=prompt, mask=mask, references=references, options=EditOptions(**{"seed": 7, **options})
    )


def changed(before, after):
    return (before != after).any(axis=2)


async def test_only_the_box_of_the_named_thing_is_repainted(bench, photo):
    b = bench(detector=FakeDetector({"mug": [MUG]}))
    result = await b.edit(request(photo, **PLAIN))
    expected = np.zeros((300, 400), bool)
    expected[80:200, 120:220] = True
    assert (result.mask > 0).tolist() == expected.tolist()
    assert not changed(photo, result.image)[~expected].any()
    assert changed(photo, result.image)[expected].mean() > 0.95
    assert result.models_used == ("yolox", "clip", "grounding-dino", "sd-inpainting")


async def test_what_the_prompt_keeps_keeps_its_pixels_and_analyze_shows_the_same_mask(bench, photo):
    label = detection("label", 150, 120, 190, 160)
    b = bench(detector=FakeDetector({"mug": [MUG], "label": [label]}), diffuser=FakeDiffuser(shift=9))
    asked = request(
        photo, "don't change the label, replace the mug with a teapot", crop=Crop.OFF, keep_surroundings=Keep.OFF
    )
    result = await b.edit(asked)
    assert b.detector.phrases == ["mug", "label"]
    assert np.array_equal(result.image[120:160, 150:190], photo[120:160, 150:190])
    assert changed(photo, result.image)[85:115, 125:215].mean() > 0.95
    assert result.metadata["routing"]["target"] == {"phrase": "mug", "protected": ("label",)}
    analysis = await b.editor.analyze(asked, request_id="dry")
    assert np.array_equal(analysis.mask, result.mask)


async def test_clip_is_asked_about_the_edit_alone(bench, photo):
    b = bench(detector=FakeDetector({"mug": [MUG]}))
    await b.edit(request(photo, "replace the mug with a teapot, no people, and don't touch the chair"))
    assert b.analyzer.prompts == ["replace the mug with a teapot"]


async def test_outside_the_feathered_mask_every_pixel_is_the_originals_with_all_defaults(bench, photo):
    b = bench(detector=FakeDetector({"mug": [MUG]}), diffuser=FakeDiffuser(shift=9))
    result = await b.edit(request(photo))
    assert 0 < (result.mask > 0).mean() < 1
    assert np.array_equal(result.image[result.mask == 0], photo[result.mask == 0])


async def test_the_diffusion_prompt_names_the_new_thing_and_not_the_old(bench, photo):
    b = bench(detector=FakeDetector({"mug": [MUG]}))
    await b.edit(request(photo))
    asked = b.diffuser.requests[0]
    assert "teapot" in asked.prompt
    assert "mug" not in asked.prompt


async def test_a_users_mask_overrides_detection_and_is_not_dilated(bench, photo):
    mask = np.zeros((300, 400), np.uint8)
    mask[50:60, 70:90] = 255
    b = bench()
    result = await b.edit(request(photo, mask=mask, mask_dilation_px=40, mask_blur_px=0, crop=Crop.OFF))
    assert b.detector.phrases == []
    assert np.array_equal(result.mask, mask)


@pytest.mark.parametrize(("blur_px", "reach_px"), [(21, 10), (20, 10), (8, 4), (0, 0)])
async def test_asked_for_a_users_mask_is_feathered_half_of_its_blur_beyond_its_edge_and_no_farther(
    bench, blur_px, reach_px
):
    photo = np.full((512, 512, 3), 90, np.uint8)
    mask = np.zeros((512, 512), np.uint8)
    mask[200:300, 200:300] = 255
    asked = request(
        photo, mask=mask, mask_blur_px=blur_px, mask_feather=MaskFeather.OUT, color_match=False, crop=Crop.OFF
    )
    result = await bench().edit(asked)
    rows, columns = np.nonzero(changed(photo, result.image))
    assert 299 + reach_px // 2 <= rows.max() <= 299 + reach_px
    assert 200 - reach_px <= columns.min() <= 200 - reach_px // 2
    assert not changed(photo, result.image)[result.mask == 0].any()


@pytest.mark.parametrize("options", [{}, {"mask_blur_px": 63}, {"mask_blur_px": 0}, {"mask_feather": MaskFeather.IN}])
@pytest.mark.parametrize("prompt", ["a red mug", "make the mug blue", "replace the mug with a teapot"])
async def test_a_users_mask_is_a_promise_no_pixel_outside_of_it_changes(bench, photo, prompt, options):
    mask = np.zeros((300, 400), np.uint8)
    mask[100:200, 150:260] = 255
    mask[40:44, 20:380] = 255
    result = await bench().edit(request(photo, prompt, mask=mask, **options))
    assert np.array_equal(result.image[mask == 0], photo[mask == 0])
    assert not result.mask[mask == 0].any()
    assert result.mask[150, 205] == 255
    assert changed(photo, result.image)[150, 205]


async def test_a_mask_of_one_pixel_repaints_that_pixel(bench, photo):
    mask = np.zeros((300, 400), np.uint8)
    mask[150, 200] = 255
    b = bench()
    result = await b.edit(request(photo, mask=mask, mask_blur_px=0, color_match=False))
    assert np.argwhere(changed(photo, result.image)).tolist() == [[150, 200]]
    assert result.image[150, 200].tolist() == list(b.diffuser.color)
    assert np.array_equal(result.mask, mask)


async def test_a_mask_of_everything_repaints_everything(bench, photo):
    mask = np.full((300, 400), 255, np.uint8)
    result = await bench().edit(request(photo, mask=mask))
    assert (result.mask == 255).all()
    assert (result.image == (10, 200, 30)).all()


async def test_an_empty_mask_is_refused_before_the_diffusion_model_runs(bench, photo):
    b = bench()
    with pytest.raises(EmptyMask):
        await b.edit(request(photo, mask=np.zeros((300, 400), np.uint8)))
    assert b.diffuser.requests == []


async def test_a_mask_of_another_size_is_refused(bench, photo):
    with pytest.raises(UnprocessableImage):
        await bench().edit(request(photo, mask=np.full((300, 399), 255, np.uint8)))


async def test_sam_gives_the_silhouette_and_switching_it_off_the_box(bench, photo):
    on = await bench(detector=FakeDetector({"mug": [MUG]})).edit(request(photo, refine_mask=RefineMask.ON, **PLAIN))
    assert np.array_equal(on.mask, ellipse(MUG.box, (300, 400)))
    assert "sam" in on.models_used
    off = await bench(detector=FakeDetector({"mug": [MUG]})).edit(request(photo, refine_mask=RefineMask.OFF, **PLAIN))
    assert (off.mask[80:200, 120:220] == 255).all()
    assert "sam" not in off.models_used


async def test_a_plural_target_takes_every_instance(bench, photo):
    two = [detection("mugs", 10, 10, 60, 60), detection("mugs", 300, 200, 380, 280, score=0.5)]
    result = await bench(detector=FakeDetector({"*": two})).edit(
        request(photo, "replace all the mugs with vases", refine_mask=RefineMask.OFF, **PLAIN)
    )
    expected = np.zeros((300, 400), bool)
    expected[10:60, 10:60] = expected[200:280, 300:380] = True
    assert ((result.mask > 0) == expected).all()
    assert len(result.metadata["detections"]) == 2


async def test_a_singular_target_takes_the_best_instance_only(bench, photo):
    two = [detection("mug", 10, 10, 60, 60), detection("mug", 300, 200, 380, 280, score=0.5)]
    result = await bench(detector=FakeDetector({"mug": two})).edit(request(photo, **PLAIN))
    assert not result.mask[200:280, 300:380].any()


async def test_a_box_over_the_border_is_clipped(bench, photo):
    over = detection("mug", 350, 250, 430, 320)
    result = await bench(detector=FakeDetector({"mug": [over]})).edit(request(photo, **PLAIN))
    assert (result.mask[250:, 350:] == 255).all()
    assert np.count_nonzero(result.mask) == 50 * 50


async def test_nothing_found_repaints_everything_with_a_warning(bench, photo):
    result = await bench().edit(request(photo))
    assert (result.mask == 255).all()
    assert any("mug" in warning for warning in result.metadata["warnings"])


async def test_nothing_found_is_an_error_when_asked_for(bench, photo):
    with pytest.raises(NoDetection) as caught:
        await bench().edit(request(photo, on_no_detection=OnNoDetection.ERROR))
    assert caught.value.details == {"target": "mug"}


async def test_a_background_is_the_complement_of_the_subject(bench, photo):
    b = bench(analyzer=FakeAnalyzer(objects=[PERSON]), detector=FakeDetector({"person": [PERSON]}))
    result = await b.edit(request(photo, "replace the background with a beach", **PLAIN))
    assert b.detector.phrases == ["person"]
    assert np.array_equal(result.mask, 255 - ellipse(PERSON.box, (300, 400)))


async def test_try_on_runs_pose_control_on_the_garment_and_never_the_face(bench, photo):
    jacket = detection("jacket", 130, 10, 270, 170)
    b = bench(analyzer=FakeAnalyzer(objects=[PERSON]), detector=FakeDetector({"*": [jacket]}))
    result = await b.edit(
        request(photo, "person wearing this designer jacket", references=(Reference(image=photo[:100, :100]),), **PLAIN)
    )
    asked = b.diffuser.requests[0]
    assert result.pipeline.value == "complex"
    assert set(asked.controls) == {"pose"}
    assert b.pose.calls == 1
    assert b.depth.calls == 0
    assert [one.scale for one in asked.references] == [0.6]
    assert result.mask[70:150, 180:220].any(), "the chest"
    assert not result.mask[25:45, 190:210].any(), "the face"
    assert result.metadata["routing"]["target"]["region"] == BodyRegion.UPPER


async def test_every_reference_is_looked_at_and_painted_from(bench, photo):
    class ByBrightness(FakeAnalyzer):
        async def classify_reference(self, image):
            await super().classify_reference(image)
            shows = ReferenceKind.GARMENT if image.mean() > 128 else ReferenceKind.TEXTURE
            return {kind: 0.94 if kind is shows else 0.02 for kind in ReferenceKind}

    dark, bright = np.zeros((64, 64, 3), np.uint8), np.full((64, 48, 3), 255, np.uint8)
    b = bench(analyzer=ByBrightness(), detector=FakeDetector({"*": [MUG]}))
    result = await b.edit(request(photo, "use this", references=(Reference(image=dark), Reference(image=bright))))
    routing = result.metadata["routing"]
    assert routing["rule"] == "clothing_reference"
    assert routing["signals"]["clothing_reference"] == pytest.approx(0.96)
    assert [max(kinds, key=kinds.get) for kinds in routing["signals"]["references"]] == ["texture", "garment"]
    assert routing["signals"]["reference"] == routing["signals"]["references"][0]
    (asked,) = b.diffuser.requests
    (together,) = asked.references
    assert len(together.images) == 2
    assert np.array_equal(together.images[1], bright)


async def test_a_mask_that_grows_still_spares_the_face_and_the_hands(bench, photo):
    jacket = detection("jacket", 110, 10, 290, 280)
    b = bench(analyzer=FakeAnalyzer(objects=[PERSON]), detector=FakeDetector({"*": [jacket]}))
    result = await b.edit(
        request(photo, "person wearing this jacket", references=(Reference(image=photo[:100, :100]),))
    )
    pose = (await b.pose.estimate_pose(photo, [PERSON]))[0]
    protected = protected_mask(pose, (300, 400), BodyRegion.UPPER) > 0
    assert protected.any()
    assert np.array_equal(result.image[protected], photo[protected])
    near = dilate(protected.astype(np.uint8) * np.uint8(255), 12) > 0
    assert result.mask[near & ~protected].any(), "the garment may come close to them"


async def test_rims_run_depth_control_alone(bench, photo):
    rims = [detection("rims", 40, 200, 90, 250), detection("rims", 300, 200, 350, 250)]
    car = detection("car", 20, 100, 380, 260)
    b = bench(analyzer=FakeAnalyzer(objects=[car]), detector=FakeDetector({"*": rims}))
    result = await b.edit(request(photo, "car with these sport rims", references=(Reference(image=photo[:64, :64]),)))
    asked = b.diffuser.requests[0]
    assert set(asked.controls) == {"depth"}
    assert asked.controls["depth"].scale == pytest.approx(0.8)
    assert b.pose.calls == 0
    assert "controlnet-depth" in result.models_used
    assert "controlnet-pose" not in result.models_used


async def test_both_controls_run_at_their_joint_weights_times_the_users_scale(bench, photo):
    b = bench(analyzer=FakeAnalyzer(objects=[PERSON]), detector=FakeDetector({"*": [MUG]}))
    await b.edit(request(photo, control_types=("pose", "depth"), controlnet_conditioning_scale=0.5, crop=Crop.OFF))
    controls = b.diffuser.requests[0].controls
    assert controls["pose"].scale == pytest.approx(0.4)
    assert controls["depth"].scale == pytest.approx(0.25)
    assert controls["pose"].image.shape == b.diffuser.requests[0].image.shape
    assert controls["pose"].image.any(), "a skeleton is drawn"


async def test_the_simple_pipeline_runs_no_structure_model(bench, photo):
    b = bench(analyzer=FakeAnalyzer(objects=[PERSON]), detector=FakeDetector({"*": [MUG]}))
    result = await b.edit(request(photo, "person wearing a hat", pipeline=PipelineChoice.SIMPLE))
    assert (b.pose.calls, b.depth.calls) == (0, 0)
    assert result.pipeline.value == "simple"
    assert b.diffuser.requests[0].controls == {}


async def test_an_appearance_edit_keeps_the_shape(bench, photo):
    b = bench(detector=FakeDetector({"mug": [MUG]}))
    result = await b.edit(request(photo, "make the mug red"))
    assert b.diffuser.requests[0].strength == Config().generation.appearance_strength
    assert "sam" in result.models_used
    assert result.metadata["routing"]["rule"] == "appearance"


async def test_an_appearance_edit_is_blended_in_along_the_outline(bench, photo):
    b = bench(detector=FakeDetector({"mug": [MUG]}), diffuser=FakeDiffuser(shift=9))
    result = await b.edit(request(photo, "make the mug of marble", crop=Crop.OFF))
    outline = ellipse(MUG.box, (300, 400)) > 0
    near = dilate(outline.astype(np.uint8) * np.uint8(255), 9) > 0
    assert (result.mask[outline] == 255).all()
    assert np.array_equal(result.image[~near], photo[~near])
    assert (b.diffuser.requests[0].mask > 0).mean() > near.mean(), "the model is given room around it"


async def test_without_an_outline_an_appearance_edit_is_feathered_like_any_other(bench, photo):
    boxed = {"refine_mask": RefineMask.OFF, "crop": Crop.OFF}
    look = await bench(detector=FakeDetector({"mug": [MUG]})).edit(request(photo, "make the mug of marble", **boxed))
    thing = await bench(detector=FakeDetector({"mug": [MUG]})).edit(request(photo, **boxed))
    assert np.array_equal(look.mask, thing.mask)


class SwappingDiffuser(FakeDiffuser):
    """Paints the image with red and blue exchanged, as soft as it saw it at its own size."""

    async def diffuse(self, request):
        self.requests.append(request)
        yield DiffusionResult(image=request.image[..., ::-1].copy(), models_used=("sd-inpainting",))


@pytest.mark.parametrize(("prompt", "kept"), [("make the mug red", True), ("make the mug of marble", False)])
async def test_only_a_change_of_colour_keeps_the_photographs_detail(bench, prompt, kept):
    rng = np.random.default_rng(1)
    broad = cv2.resize(rng.uniform(40, 215, (6, 8, 3)), (400, 300), interpolation=cv2.INTER_CUBIC)
    photo = np.clip(broad + rng.normal(0, 6, (300, 400, 1)), 0, 255).astype(np.uint8)
    b = bench(detector=FakeDetector({"mug": [MUG]}), diffuser=SwappingDiffuser())
    result = await b.edit(request(photo, prompt, color_match=False, crop=Crop.OFF))
    core = ellipse(MUG.box, (300, 400)) > 0
    grain, wanted = (
        (image - cv2.GaussianBlur(image, (0, 0), 2))[core].ravel()
        for image in (result.image.astype(np.float32), photo[..., ::-1].astype(np.float32))
    )
    assert bool(np.polyfit(wanted, grain, 1)[0] > 0.4) is kept


async def test_a_small_mask_is_painted_from_a_crop_and_the_rest_stays(bench, photo):
    large = np.tile(photo, (4, 4, 1))
    b = bench(detector=FakeDetector({"mug": [MUG]}))
    result = await b.edit(request(large))
    assert np.array_equal(result.image[result.mask == 0], large[result.mask == 0])
    whole = bench(detector=FakeDetector({"mug": [MUG]}))
    await whole.edit(request(large, crop=Crop.OFF))
    share = [(run.diffuser.requests[0].mask > 0).mean() for run in (b, whole)]
    assert share[0] > 2 * share[1], "the crop shows the region larger"


async def test_the_same_seed_is_passed_on_and_a_missing_one_is_drawn(bench, photo):
    b = bench()
    first = await b.edit(request(photo, seed=11))
    assert first.metadata["seed_used"] == b.diffuser.requests[0].seed == 11
    second = await b.edit(request(photo, seed=None))
    third = await b.edit(request(photo, seed=-1))
    assert second.metadata["seed_used"] != third.metadata["seed_used"]


async def test_progress_rises_through_every_step(bench, photo):
    b = bench(detector=FakeDetector({"mug": [MUG]}))
    await b.edit(request(photo, num_inference_steps=4))
    fractions = [item.fraction for item in b.progress]
    assert fractions == sorted(fractions)
    assert [item.step for item in b.progress if item.step] == [1, 2, 3, 4]
    assert {item.stage for item in b.progress} >= {"route", "detect", "mask", "diffuse", "blend"}


async def test_a_model_error_reaches_the_caller_as_itself(bench, photo):
    b = bench(diffuser=FakeDiffuser(error=ModelError("boom")))
    with pytest.raises(ModelError, match="boom"):
        await b.edit(request(photo, force_controlnet=True))
    assert b.diffuser.closed_early == 1


async def test_cancelling_an_edit_closes_the_diffusion_stream(bench, photo):
    b = bench(diffuser=FakeDiffuser(gate=asyncio.Event()))
    waiting = asyncio.create_task(b.edit(request(photo, num_inference_steps=2)))
    await b.diffuser.waiting.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert b.diffuser.closed_early == 1


async def test_concurrent_edits_do_not_mix(bench, photo):
    b = bench(detector=FakeDetector({"mug": [MUG], "cup": [detection("cup", 5, 5, 50, 50)]}))
    prompts = ["replace the mug with a teapot", "replace the cup with a plate"] * 3
    together = await asyncio.gather(*(b.edit(request(photo, prompt)) for prompt in prompts))
    alone = [await b.edit(request(photo, prompt)) for prompt in prompts]
    for one, other in zip(together, alone, strict=True):
        assert np.array_equal(one.image, other.image)
        assert one.metadata["routing"] == other.metadata["routing"]


async def test_an_analysis_decides_and_masks_without_diffusion(bench, photo):
    b = bench(detector=FakeDetector({"mug": [MUG]}))
    analysis = await b.editor.analyze(request(photo), request_id="dry")
    assert b.diffuser.requests == []
    assert (analysis.mask[80:200, 120:220] == 255).all()
    assert analysis.metadata["routing"]["rule"] == "default"
    assert [item["label"] for item in analysis.metadata["detections"]] == ["mug"]


async def test_a_fast_edit_takes_the_few_steps_that_the_lcm_lora_is_trained_for(bench, photo):
    b = bench()
    await b.edit(request(photo, speed=Speed.FAST))
    await b.edit(request(photo, speed=Speed.FAST, num_inference_steps=50, guidance_scale=9.0))
    paces = [(asked.num_inference_steps, asked.guidance_scale) for asked in b.diffuser.requests]
    assert paces == [(4, 1.0), (8, 2.0)]
    assert all(asked.speed is Speed.FAST for asked in b.diffuser.requests)


async def test_a_turbo_edit_takes_four_steps_or_fewer_and_no_guidance(bench, photo):
    b = bench()
    await b.edit(request(photo, speed=Speed.TURBO))
    await b.edit(request(photo, speed=Speed.TURBO, num_inference_steps=2, guidance_scale=7.5))
    assert [(asked.num_inference_steps, asked.guidance_scale) for asked in b.diffuser.requests] == [(4, 1.0), (2, 1.0)]


async def test_a_speed_without_its_weights_is_refused_and_told_which_there_are(bench, photo):
    b = bench(absent_speeds={Speed.TURBO: "tcd-lora is not imported; run: import it"})
    with pytest.raises(InvalidInput) as caught:
        await b.edit(request(photo, speed=Speed.TURBO))
    assert caught.value.message == (
        "speed turbo is not available: tcd-lora is not imported; run: import it; available: normal, fast"
    )
    assert caught.value.details == {"field": "config.speed", "available": ["normal", "fast"]}
    assert b.diffuser.requests == []
    await b.edit(request(photo, speed=Speed.FAST))


async def test_a_garment_that_is_named_is_looked_for_by_its_name(bench, photo):
    b = bench(
        analyzer=FakeAnalyzer(objects=[PERSON]),
        detector=FakeDetector({"shirt": [detection("shirt", 130, 60, 270, 170)]}),
    )
    result = await b.edit(request(photo, "make the shirt green", **PLAIN))
    assert b.detector.phrases == ["shirt"]
    assert result.mask[90:150, 180:220].any()
    assert not result.mask[25:45, 190:210].any(), "the face"


async def test_something_added_on_a_side_is_painted_on_that_side(bench, photo):
    result = await bench().edit(request(photo, "add a lamp on the left", **PLAIN))
    columns = np.flatnonzero(result.mask.any(axis=0))
    assert (columns[0], columns[-1]) == (0, 133)


async def test_a_silhouette_that_leaks_is_cut_off_near_its_box(bench, photo):
    b = bench(detector=FakeDetector({"mug": [MUG]}), segmenter=FakeSegmenter(leaking=True))
    result = await b.edit(request(photo, refine_mask=RefineMask.ON, **PLAIN))
    expected = np.zeros((300, 400), np.uint8)
    expected[68:212, 110:230] = 255
    assert np.array_equal(result.mask, expected)


async def test_a_prompt_is_read_once_and_what_was_read_is_done(bench, photo):
    reader = FakePromptReader(Reading(target=Target(phrase="wheel"), generation_prompt="a spoked wheel"))
    setup = bench(reader=reader)
    result = await setup.edit(request(photo, "Speichen bitte"))
    assert [prompt for prompt, _, _ in reader.asked] == ["Speichen bitte"]
    assert setup.diffuser.requests[0].prompt == "a spoked wheel"
    assert result.metadata["routing"]["target"] == {"phrase": "wheel"}
