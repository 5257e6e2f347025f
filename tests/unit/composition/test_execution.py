"""A job's images in, the edit's images and account out, with the time that is left passed on."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from api.codec import PillowCodec
from composition.diffusion import DiffusionResult
from composition.errors import NotFound
from composition.execution import EditJobHandler
from composition.images import Box
from composition.jobs import EditOfPayload, EditPayload, Job, JobKind, Priority, UseOfReference
from composition.marks import Mark, Point
from composition.request import EditOptions, Oversize
from tests.fakes.fake_blob_store import FakeBlobStore
from tests.fakes.fake_detector import FakeDetector, detection
from tests.fakes.seed_diffuser import SeedDiffuser

MUG = detection("mug", 120, 80, 220, 200)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class SlowDetector(FakeDetector):
    """Takes three seconds of the test's clock."""

    def __init__(self, clock):
        super().__init__({"*": (MUG,)})
        self.clock = clock

    async def detect(self, image, phrase):
        self.clock.now += 3.0
        return await super().detect(image, phrase)


class PngCodec:
    """Lossless."""

    def decode(self, data, oversize=None):
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)

    def decode_mask(self, data):
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)

    def encode(self, image, output_format, parameters=None, *, quality=None):
        return self.encode_mask(image), f"image/png; quality={quality}" if quality else "image/png"

    def encode_mask(self, mask):
        return cv2.imencode(".png", mask)[1].tobytes()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def bench_with_slow_detector(bench, clock):
    return bench(detector=SlowDetector(clock))


async def accepted(blobs, photo, *, kind=JobKind.EDIT, time_limit_s=5.0, **options):
    payload = EditPayload(
        prompt="replace the mug with a teapot",
        base_key=await blobs.put(PngCodec().encode_mask(photo)),
        options=EditOptions(**{"seed": 7, **options}),
    )
    return Job(
        id="j", kind=kind, owner="ann", priority=Priority.BATCH, payload=payload, attempt=2, time_limit_s=time_limit_s
    )


async def test_several_edits_are_loaded_each_with_its_own_mask_references_and_options(bench, photo):
    b, blobs = bench(diffuser=SeedDiffuser()), FakeBlobStore()
    drawn = np.zeros((300, 400), np.uint8)
    drawn[20:60, 20:60] = 255
    codec = PillowCodec(max_side_px=2048)
    mask_key = await blobs.put(codec.encode_mask(drawn))
    reference_key = await blobs.put(codec.encode_mask(drawn[:40, :40]))
    edits = (
        EditOfPayload(prompt="a red box", mask_key=mask_key, options={"strength": 0.5, "blend": 0.25}),
        EditOfPayload(
            prompt="a tree",
            reference_keys=(reference_key, reference_key, reference_key),
            reference_uses=(
                UseOfReference(),
                UseOfReference(weight=0.5, part="rim"),
                UseOfReference(mask_key=mask_key),
            ),
            options={"target": "mug"},
        ),
    )
    job = await accepted(blobs, photo)
    job = replace(job, payload=replace(job.payload, prompt="", edits=edits))
    handle = EditJobHandler(editor=b.editor, blobs=blobs, codec=codec)
    loaded = await handle._load(job)
    first, second = loaded.each
    assert (first.prompt, first.options.strength, first.options.blend, first.options.seed) == (
        "a red box",
        0.5,
        0.25,
        7,
    )
    assert np.array_equal(first.mask, drawn)
    assert (second.mask, second.options.target, second.options.strength) == (None, "mug", None)
    assert first.references == ()
    assert [(one.weight, one.part, one.part_mask is None) for one in second.references] == [
        (1.0, None, True), (0.5, "rim", True), (1.0, None, False)
    ]  # fmt: skip
    assert np.array_equal(second.references[2].part_mask, drawn)
    assert second.references[1].image.shape == (40, 40, 3)
    assert len(loaded.notes) <= 1


async def test_the_diffusion_model_is_told_what_detection_left_of_the_time_limit(
    bench_with_slow_detector, photo, clock
):
    b, blobs = bench_with_slow_detector, FakeBlobStore()
    handle = EditJobHandler(editor=b.editor, blobs=blobs, codec=PngCodec(), clock=clock)
    await handle(await accepted(blobs, photo), lambda progress: None)
    assert b.diffuser.requests[0].deadline_s == pytest.approx(2.0, abs=0.2)
    assert b.diffuser.requests[0].deadline_s < 2.0
    clock.now += 100.0
    await handle(await accepted(blobs, photo, time_limit_s=20.0), lambda progress: None)
    assert b.diffuser.requests[1].deadline_s == pytest.approx(17.0, abs=0.2)


async def test_an_edit_leaves_its_image_its_mask_and_its_account(bench, photo):
    b, blobs = bench(detector=FakeDetector({"*": (MUG,)})), FakeBlobStore()
    handle = EditJobHandler(editor=b.editor, blobs=blobs, codec=PngCodec())
    result = await handle(await accepted(blobs, photo, return_mask=True), b.progress.append)
    assert PngCodec().decode(blobs.blobs[result.image_key]).shape == photo.shape
    assert (PngCodec().decode_mask(blobs.blobs[result.mask_key]) > 0)[80:200, 120:220].all()
    assert result.image_media_type == "image/png"
    assert sorted(result.account) == ["metadata", "models_used", "pipeline_used", "processing_time_ms"]
    assert result.account["models_used"] == list(dict.fromkeys(result.account["models_used"]))
    assert 0 <= result.account["processing_time_ms"] < 60_000
    assert (result.account["pipeline_used"], result.account["metadata"]["seed_used"]) == ("simple", 7)
    assert [request.request_id for request in b.diffuser.requests] == ["j-2"]


async def test_an_image_is_encoded_with_the_quality_that_was_asked_for(bench, photo):
    b, blobs = bench(detector=FakeDetector({"*": (MUG,)})), FakeBlobStore()
    handle = EditJobHandler(editor=b.editor, blobs=blobs, codec=PngCodec())
    result = await handle(await accepted(blobs, photo, output_quality=60), b.progress.append)
    assert result.image_media_type == "image/png; quality=60"


async def test_an_analysis_leaves_a_mask_and_no_image(bench, photo):
    b, blobs = bench(detector=FakeDetector({"*": (MUG,)})), FakeBlobStore()
    handle = EditJobHandler(editor=b.editor, blobs=blobs, codec=PngCodec())
    result = await handle(await accepted(blobs, photo, kind=JobKind.ANALYZE), lambda progress: None)
    assert result.image_key is None
    assert (PngCodec().decode_mask(blobs.blobs[result.mask_key]) > 0)[80:200, 120:220].all()
    assert b.diffuser.requests == []


async def test_a_job_whose_input_is_lost_says_which_and_what_to_do(bench, photo):
    b, blobs = bench(), FakeBlobStore()
    handle = EditJobHandler(editor=b.editor, blobs=blobs, codec=PngCodec())
    job = await accepted(blobs, photo)
    blobs.blobs.clear()
    with pytest.raises(NotFound, match=r"an input image of this job .* submit it again") as lost:
        await handle(job, lambda progress: None)
    assert lost.value.details == {"job_id": "j"}


async def test_every_candidate_leaves_its_image(bench, photo):
    b, blobs = bench(detector=FakeDetector({"*": (MUG,)}), diffuser=SeedDiffuser()), FakeBlobStore()
    handle = EditJobHandler(editor=b.editor, blobs=blobs, codec=PngCodec())
    job = await accepted(blobs, photo)
    result = await handle(replace(job, payload=replace(job.payload, n=3)), b.progress.append)
    assert result.account["metadata"]["seeds"] == [7, 8, 9]
    assert len(set(result.image_keys)) == 3
    assert result.blob_keys == result.image_keys
    for seed, key in zip((7, 8, 9), result.image_keys, strict=True):
        alone = await handle(await accepted(blobs, photo, seed=seed), b.progress.append)
        assert blobs.blobs[key] == blobs.blobs[alone.image_key]


async def test_every_view_leaves_its_image_in_the_order_in_which_they_were_sent(bench, photo):
    """The second is too large and is reduced, which is said of it alone; the third does not show the thing."""

    class BySize(FakeDetector):
        async def detect(self, image, phrase):
            return [] if image.shape[1] == 320 else await super().detect(image, phrase)

    class Views(SeedDiffuser):
        async def diffuse(self, request):
            async for event in super().diffuse(request):
                yield replace(event, others=(event.image,)) if isinstance(event, DiffusionResult) else event

    b, blobs = bench(detector=BySize({"*": (MUG,)}), diffuser=Views()), FakeBlobStore()
    handle = EditJobHandler(editor=b.editor, blobs=blobs, codec=PillowCodec(max_side_px=400))
    others = [cv2.resize(photo, (800, 600)), cv2.resize(photo, (320, 240))]
    keys = [await blobs.put(PngCodec().encode_mask(one)) for one in others]
    job = await accepted(blobs, photo, oversize=Oversize.DOWNSCALE)
    result = await handle(replace(job, payload=replace(job.payload, view_keys=tuple(keys))), b.progress.append)
    images = [PngCodec().decode(blobs.blobs[key]) for key in result.image_keys]
    assert [image.shape[:2] for image in images] == [(300, 400), (300, 400), (240, 320)]
    assert np.array_equal(images[2], PngCodec().decode(blobs.blobs[keys[1]]))
    metadata = result.account["metadata"]
    assert [one["input_resolution"] for one in metadata["views"]] == ["400x300", "800x600", "320x240"]
    assert any(text.startswith("views.1: base_images.1: 800x600 pixels") for text in metadata["warnings"])
    assert metadata["seeds"] == [7, 7, 7]


async def test_a_photo_that_is_too_large_is_edited_reduced_with_what_was_pointed_at_in_its_place(bench, photo):
    b, blobs = bench(), FakeBlobStore()
    handle = EditJobHandler(editor=b.editor, blobs=blobs, codec=PillowCodec(max_side_px=400))
    large = cv2.resize(photo, (800, 600))
    asked = await accepted(
        blobs,
        large,
        oversize=Oversize.DOWNSCALE,
        points=(Point(300.0, 200.0),),
        box=Box(x0=240, y0=160, x1=440, y1=400),
    )
    result = await handle(asked, b.progress.append)
    metadata = result.account["metadata"]
    assert PngCodec().decode(blobs.blobs[result.image_key]).shape == (300, 400, 3)
    assert (metadata["input_resolution"], metadata["output_resolution"]) == ("800x600", "400x300")
    assert b.segmenter.marks == [Mark(points=(Point(150.0, 100.0),), box=Box(x0=120, y0=80, x1=220, y1=200))]
    assert [text for text in metadata["warnings"] if "800x600 pixels" in text and "reduced to 400x300" in text]


async def test_a_photo_that_is_allowed_is_not_reduced_nor_anything_said(bench, photo):
    b, blobs = bench(), FakeBlobStore()
    handle = EditJobHandler(editor=b.editor, blobs=blobs, codec=PillowCodec(max_side_px=400))
    asked = await accepted(blobs, photo, oversize=Oversize.DOWNSCALE, points=(Point(150.0, 100.0),))
    metadata = (await handle(asked, b.progress.append)).account["metadata"]
    assert (metadata["input_resolution"], metadata["warnings"]) == ("400x300", [])
    assert b.segmenter.marks == [Mark(points=(Point(150.0, 100.0),))]


async def test_each_candidates_file_tells_its_own_seed_where_that_is_asked_for(bench, photo):
    b, blobs = bench(), FakeBlobStore()
    handle = EditJobHandler(editor=b.editor, blobs=blobs, codec=PillowCodec(max_side_px=2048))
    job = await accepted(blobs, photo, embed_metadata=True, target="mug")
    result = await handle(replace(job, payload=replace(job.payload, n=2)), b.progress.append)
    told = [json.loads(Image.open(io.BytesIO(blobs.blobs[key])).text["parameters"]) for key in result.image_keys]
    assert [parameters["seed"] for parameters in told] == [7, 8]
    assert told[0]["config"] == {"target": "mug"}
    plain = await handle(await accepted(blobs, photo, target="mug"), b.progress.append)
    assert Image.open(io.BytesIO(blobs.blobs[plain.image_key])).text == {}
