"""A job's images in, the edit's images and account out, with the time that is left passed on."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from composition.execution import EditJobHandler
from composition.jobs import EditPayload, Job, JobKind, Priority
from composition.request import EditOptions
from tests.fakes.fake_blob_store import FakeBlobStore
from tests.fakes.fake_detector import FakeDetector, detection

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

    def decode(self, data):
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)

    def decode_mask(self, data):
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)

    def encode(self, image, output_format):
        return self.encode_mask(image), "image/png"

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
        options=EditOptions(seed=7, **options),
    )
    return Job(
        id="j", kind=kind, owner="ann", priority=Priority.BATCH, payload=payload, attempt=2, time_limit_s=time_limit_s
    )


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


async def test_an_analysis_leaves_a_mask_and_no_image(bench, photo):
    b, blobs = bench(detector=FakeDetector({"*": (MUG,)})), FakeBlobStore()
    handle = EditJobHandler(editor=b.editor, blobs=blobs, codec=PngCodec())
    result = await handle(await accepted(blobs, photo, kind=JobKind.ANALYZE), lambda progress: None)
    assert result.image_key is None
    assert (PngCodec().decode_mask(blobs.blobs[result.mask_key]) > 0)[80:200, 120:220].all()
    assert b.diffuser.requests == []
