"""What the diffusion model is asked for, and what becomes of its answer."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from composition.config import Config
from composition.deadline import RUNNER_LEAD_S, Deadline
from composition.decision import BodyRegion, Decision, Pipeline, Signals, Target
from composition.diffusion import DiffusionResult
from composition.errors import ModelError
from composition.images import Box
from composition.imaging.geometry import fit
from composition.imaging.masks import boxes_to_mask
from composition.journal import Journal
from composition.lora import LoraUse
from composition.masking.body import protected_mask
from composition.masking.edit_mask import EditMask
from composition.pipelines.context import EditContext
from composition.pipelines.locating import Located, Structure
from composition.pipelines.painting import paint, scene_of
from composition.pipelines.planning import make_plan
from composition.request import (
    Crop,
    EditOptions,
    EditRequest,
    Keep,
    Reference,
    Speed,
)
from tests.fakes.fake_analyzer import FakeAnalyzer
from tests.fakes.fake_detector import FakeDetector, detection
from tests.fakes.fake_diffuser import FakeDiffuser
from tests.fakes.fake_pose_estimator import upright_pose
from tests.fakes.fake_segmenter import ellipse

MUG = detection("mug", 120, 80, 220, 200)
PERSON = detection("person", 100, 10, 300, 290)
CROP = Box(x0=40, y0=60, x1=240, y1=210)


def request(
    photo, prompt="replace the mug with a teapot", *, references=(), mask=None, negative_prompt=None, **options
):
    return EditRequest(
        base=photo,
        prompt=prompt,
        negative_prompt=negative_prompt,
        references=references,
        mask=mask,
        options=EditOptions(**{"seed": 7, "num_inference_steps": 2, **options}),
    )


class AnsweringDiffuser(FakeDiffuser):
    """Answers with what `change` makes of the image it was given (float32)."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    async def diffuse(self, request):
        self.requests.append(request)
        image = np.clip(np.rint(self.change(request.image.astype(np.float32))), 0, 255)
        yield DiffusionResult(image=image.astype(np.uint8), models_used=("sd-inpainting",), cache={"text": "hit"})


class SilentDiffuser(FakeDiffuser):
    """Ends without a word."""

    async def diffuse(self, request):
        self.requests.append(request)
        for event in ():
            yield event


@pytest.fixture
def smooth():
    """Broad colours without grain, 300 x 400, away from black and white."""
    grid = np.random.default_rng(1).uniform(80, 170, (6, 8, 3))
    return np.clip(cv2.resize(grid, (400, 300), interpolation=cv2.INTER_CUBIC), 40, 215).astype(np.uint8)


async def test_references_and_their_scale_reach_the_diffusion_model(bench, photo):
    b = bench(detector=FakeDetector({"mug": [MUG]}))
    reference = photo[:64, :48]
    await b.edit(request(photo, references=(Reference(image=reference),), ip_adapter_scale=0.35))
    await b.edit(request(photo, references=(Reference(image=reference),)))
    await b.edit(request(photo, ip_adapter_scale=0.35))
    (given,), (default,), without = (asked.references for asked in b.diffuser.requests)
    assert np.array_equal(given.images[0], reference)
    assert [given.scale, default.scale, given.mask, without] == [0.35, 0.6, None, ()]


async def test_what_the_user_asks_for_reaches_the_diffusion_model(bench, photo):
    b = bench(detector=FakeDetector({"mug": [MUG]}), config=Config.model_validate({"generation": {"previews": True}}))
    options = {
        "seed": 11,
        "num_inference_steps": 5,
        "guidance_scale": 2.0,
        "strength": 0.4,
        "speed": Speed.FAST,
    }
    ink = LoraUse(name="ink", weight=0.7, path="/loras/ink", sha256="1" * 64)
    asked_for = request(photo, negative_prompt="text", loras={"ink": 0.7}, **options)
    await b.editor.edit(
        replace(asked_for, loras=(ink,)),
        request_id="job-1",
        listener=lambda _: None,
        deadline=Deadline(at=112.5 + RUNNER_LEAD_S, clock=lambda: 100.0),
    )
    (asked,) = b.diffuser.requests
    assert (asked.request_id, asked.deadline_s, asked.previews) == ("job-1", pytest.approx(12.5), True)
    assert {name: getattr(asked, name) for name in options} == options
    assert asked.loras == (ink,)
    assert (asked.prompt, asked.negative_prompt) == ("a teapot", "text")


async def test_without_a_deadline_none_is_made_up(bench, photo):
    b = bench()
    await b.edit(request(photo))
    assert b.diffuser.requests[0].deadline_s is None
    assert b.diffuser.requests[0].previews is False


@pytest.mark.parametrize("prompt", ["make the mug red", "make the mug of marble"])
async def test_an_edit_of_colour_or_material_starts_from_the_photograph(bench, photo, prompt):
    config = Config.model_validate({"generation": {"appearance_strength": 0.55}})
    b = bench(config=config, detector=FakeDetector({"mug": [MUG]}))
    await b.edit(request(photo, prompt))
    await b.edit(request(photo, prompt, strength=0.9))
    await b.edit(request(photo))
    assert [asked.strength for asked in b.diffuser.requests] == [0.55, 0.9, 1.0]


@pytest.mark.parametrize(("cell_px", "rows", "columns"), [(8, (96, 104), (128, 136)), (4, (96, 100), (128, 132))])
async def test_the_model_sees_the_image_and_the_mask_at_its_own_size(bench, photo, cell_px, rows, columns):
    b = bench(latent_cell_px=cell_px)
    drawn = np.zeros((300, 400), np.uint8)
    drawn[151, 201] = 255
    await b.edit(request(photo, mask=drawn, crop=Crop.OFF))
    (asked,) = b.diffuser.requests
    assert asked.image.shape == (192, 256, 3), "256 on the long side, both sides multiples of 64"
    expected = np.zeros((192, 256), np.uint8)
    expected[slice(*rows), slice(*columns)] = 255
    assert np.array_equal(asked.mask, expected), "the whole latent cell around the one pixel"


def all_of(crop):
    """A mask of all of the crop, in an image of 300 x 400."""
    alpha = boxes_to_mask([crop], (300, 400))
    view = (int(crop.y1 - crop.y0), int(crop.x1 - crop.x0))
    return EditMask(
        thing=alpha,
        repaint=alpha,
        reach=alpha,
        alpha=alpha,
        protected=None,
        crop=crop,
        fit=fit(view, native_size=256),
        detections=(),
        exact=True,
        outlined=False,
    )


def context_of(b, asked, *, controls):
    """An edit under controls, as the editor would hand it to the painting."""
    decision = Decision(
        pipeline=Pipeline.COMPLEX, rule="forced", reason="", target=Target(), generation_prompt="", controls=controls
    )
    return EditContext(
        request_id="test",
        request=asked,
        plan=make_plan(asked, decision, b.config),
        signals=Signals(),
        models=b.models,
        journal=Journal(listener=b.progress.append),
        native_size=256,
    )


def spread(image):
    """x0, y0, x1, y1 of what is not black."""
    rows, columns = np.flatnonzero(image.any(axis=(1, 2))), np.flatnonzero(image.any(axis=(0, 2)))
    return np.array([columns[0], rows[0], columns[-1], rows[-1]])


async def test_control_images_have_the_models_size_and_lie_on_what_it_sees(bench, photo):
    large = np.tile(photo, (3, 3, 1))
    person = detection("person", 500, 310, 640, 510)
    jacket = detection("jacket", 530, 350, 610, 410)
    b = bench(analyzer=FakeAnalyzer(objects=[person]), detector=FakeDetector({"*": [jacket]}))
    await b.edit(request(large, "person wearing this jacket", control_types=("pose", "depth")))
    await b.edit(request(large, "person wearing this jacket", control_types=("pose", "depth"), crop=Crop.OFF))
    crop, whole = b.diffuser.requests
    for asked in (crop, whole):
        assert list(asked.controls) == ["pose", "depth"]
        assert {control.image.shape for control in asked.controls.values()} == {asked.image.shape}
        x0, y0, x1, y1 = spread(asked.controls["pose"].image)
        depth = asked.controls["depth"].image[(y0 + y1) // 2, :, 0].astype(int)
        assert depth[(x0 + x1) // 2] == pytest.approx(255 * 570 / 1200, abs=3), "the depth where the person stands"
    heights = [np.ptp(spread(asked.controls["pose"].image)[1::2]) for asked in (crop, whole)]
    assert heights[0] > 2 * heights[1], "the crop shows the person larger"
    assert np.ptp(whole.controls["depth"].image[96]) == pytest.approx(255, abs=2)
    assert np.ptp(crop.controls["depth"].image[96]) < 130


async def test_a_pose_in_a_crop_is_shifted_and_scaled_with_it(bench, photo):
    ctx = context_of(bench(), request(photo), controls={"pose": 0.8, "depth": 0.5})
    pose = upright_pose(Box(x0=80, y0=80, x1=200, y1=200))
    ramp = np.tile(np.linspace(0, 255, 400).astype(np.uint8), (300, 1))
    located = Located(ctx=ctx, mask=all_of(CROP), structure=Structure(poses=[pose], depth=ramp))
    await paint(scene_of([located]), ctx.journal)
    (asked,) = ctx.models.diffuser.requests
    scale = 256 / 200
    low, high = pose.body[:, :2].min(axis=0), pose.body[:, :2].max(axis=0)
    expected = np.concatenate([(low - (40, 60)) * scale, (high - (40, 60)) * scale])
    assert np.abs(spread(asked.controls["pose"].image) - expected).max() <= 5, "half the width of a limb"
    grey = asked.controls["depth"].image[..., 0].astype(int)
    assert grey[100, 0] == pytest.approx(255 * 40 / 399, abs=2)
    assert grey[100, 255] == pytest.approx(255 * 239 / 399, abs=2)


async def test_what_is_protected_is_nowhere_in_the_blend(bench, photo):
    jacket = detection("jacket", 110, 10, 290, 280)
    b = bench(
        analyzer=FakeAnalyzer(objects=[PERSON]),
        detector=FakeDetector({"*": [jacket]}),
        diffuser=AnsweringDiffuser(lambda image: 255 - image),
    )
    result = await b.edit(request(photo, "person wearing this jacket", mask_dilation_px=64))
    protected = protected_mask(upright_pose(PERSON.box), (300, 400), BodyRegion.UPPER) > 0
    assert not result.mask[protected].any()
    assert np.array_equal(result.image[protected], photo[protected])
    assert (result.image[110, 150:250] != photo[110, 150:250]).any()


def shift_in(result, original):
    inside = result.mask == 255
    return float((result.image.astype(float) - original)[inside].mean())


async def test_a_colour_shift_of_the_model_is_undone_only_when_asked(bench, smooth):
    found = {"mug": [MUG]}
    shifts = []
    for color_match in (True, False):
        b = bench(detector=FakeDetector(found), diffuser=AnsweringDiffuser(lambda image: image + 9))
        result = await b.edit(request(smooth, color_match=color_match, crop=Crop.OFF, keep_surroundings=Keep.OFF))
        shifts.append(shift_in(result, smooth))
    assert abs(shifts[0]) < 1.5
    assert shifts[1] == pytest.approx(9, abs=1)


async def test_a_colour_shift_is_measured_outside_of_everything_that_was_repainted(bench, smooth):
    """The model paints all of its mask dark; that is no shift of colours, and the dark stays."""

    class Dark(FakeDiffuser):
        async def diffuse(self, request):
            self.requests.append(request)
            image = np.where(request.mask[..., None] > 0, np.uint8(30), request.image)
            yield DiffusionResult(image=image, models_used=())

    b = bench(detector=FakeDetector({"mug": [MUG]}), diffuser=Dark())
    result = await b.edit(request(smooth, "make the mug of marble", crop=Crop.OFF))
    assert np.median(result.image[100:180, 140:200]) == pytest.approx(30, abs=2)


def mug_with_a_label(colour):
    """A mug of one colour in the light of a window, with a grey label, in front of a wall."""
    photo = np.full((300, 400, 3), (150, 150, 140), np.uint8)
    light = np.linspace(1.1, 0.6, 400)[None, :, None] * np.ones((300, 1, 1))
    mug = ellipse(MUG.box, (300, 400)) > 0
    photo[mug] = np.clip(np.array(colour) * light, 0, 255).astype(np.uint8)[mug]
    photo[130:160, 150:190] = (90, 95, 100)
    return photo


async def recoloured(bench, photo, **options):
    """The mug painted red by a model that sees it blurred and with a haze over everything."""
    painted = cv2.GaussianBlur(mug_with_a_label((200, 40, 40)), (0, 0), 3) + np.uint8(3)
    to_model = fit((300, 400), native_size=256).to_model
    b = bench(
        detector=FakeDetector({"mug": [MUG]}), diffuser=AnsweringDiffuser(lambda _: to_model(painted).astype(float))
    )
    return await b.edit(request(photo, "make the mug red", color_match=False, crop=Crop.OFF, **options))


async def test_a_recoloured_thing_keeps_its_parts_and_its_surroundings_and_the_answer_says_so(bench):
    photo = mug_with_a_label((40, 70, 190))
    result = await recoloured(bench, photo)
    assert np.abs(result.image[135:155, 155:185].astype(int) - photo[135:155, 155:185]).max() <= 2, "the label"
    around = (result.mask > 0) & (cv2.dilate(ellipse(MUG.box, (300, 400)), np.ones((7, 7), np.uint8)) == 0)
    assert around.any()
    assert np.array_equal(result.image[around], photo[around])
    off = result.image.astype(int) - mug_with_a_label((200, 40, 40))
    assert np.abs(off[100:120, 150:190]).mean() < 12, "the mug is red under its own light"
    assert result.metadata["kept"] == {"light": 1.0, "parts": pytest.approx(0.13, abs=0.05)}


async def test_parts_are_not_kept_where_that_is_switched_off(bench):
    photo = mug_with_a_label((40, 70, 190))
    result = await recoloured(bench, photo, keep_parts=Keep.OFF)
    assert np.abs(result.image[135:155, 155:185].astype(int) - photo[135:155, 155:185]).mean() > 15
    assert result.metadata["kept"] == {"light": 1.0, "parts": 0.0}


async def test_an_edit_that_is_none_of_a_look_keeps_nothing_of_the_thing(bench, photo):
    result = await bench(detector=FakeDetector({"mug": [MUG]})).edit(request(photo, "remove the mug"))
    assert result.metadata["kept"] == {}


async def test_the_result_is_sharpened_inside_the_mask_and_only_when_asked(bench, photo):
    images = {}
    for sharpen in (None, False, True):
        b = bench(detector=FakeDetector({"mug": [MUG]}), diffuser=AnsweringDiffuser(lambda image: image))
        options = {} if sharpen is None else {"sharpen": sharpen}
        result = await b.edit(request(photo, crop=Crop.OFF, **options))
        images[sharpen] = result.image
    inside = (slice(90, 190), slice(130, 210))
    contrast = {key: float(image[inside].astype(float).std()) for key, image in images.items()}
    assert np.array_equal(images[None], images[False])
    assert contrast[True] > 1.05 * contrast[False]
    assert np.array_equal(images[True][result.mask == 0], photo[result.mask == 0])


async def test_what_the_diffusion_model_says_of_itself_is_told(bench, photo):
    b = bench(diffuser=AnsweringDiffuser(lambda image: image))
    result = await b.edit(request(photo))
    assert "sd-inpainting" in result.models_used
    assert result.metadata["cache"]["text"] == "hit"


async def test_a_model_that_ends_without_a_result_is_an_error(bench, photo):
    with pytest.raises(ModelError, match="without a result"):
        await bench(diffuser=SilentDiffuser()).edit(request(photo))
