"""The job of a clip from its blob to its file, with real containers; an attempt goes on with the frames of another."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as PillowImage

from api.codec import PillowCodec
from api.video.codec import make_video_codec
from composition.config import Config
from composition.errors import ModelError, NoDetection, UnprocessableImage
from composition.execution import EditJobHandler
from composition.jobs import EditPayload, Job, JobKind, Priority, VideoOfPayload
from composition.request import EditOptions, VideoOutput
from tests.fakes.fake_blob_store import FakeBlobStore
from tests.unit.api.video.clips import clip, gif_of
from tests.unit.composition.test_video import EXACT, Flickers, SeesMugs, backdrop, drive, is_mug, table

VIDEOS = make_video_codec(Config())
PROMPT = "replace the mug with a teapot"


class Fails(Flickers):
    """Breaks down at its n-th request."""

    def __init__(self, at):
        super().__init__(0)
        self.at = at

    async def diffuse(self, request):
        if len(self.requests) == self.at:
            raise ModelError("the model failed")
        async for event in super().diffuse(request):
            yield event


async def job_of(blobs, data, frames, output=VideoOutput.WEBP, **options):
    payload = EditPayload(
        prompt=PROMPT,
        base_key=await blobs.put(data),
        options=EditOptions(**{"seed": 7, **EXACT, **options}),
        video=VideoOfPayload(output=output, frames=frames),
    )
    return Job(id="j", kind=JobKind.EDIT, owner="ann", priority=Priority.BATCH, payload=payload, attempt=1)


def handler(b, blobs):
    return EditJobHandler(editor=b.editor, blobs=blobs, codec=PillowCodec(max_side_px=2048), videos=VIDEOS)


async def run(bench, data, frames, *, blobs=None, job=None, diffuser=None, output=VideoOutput.WEBP, **options):
    """The result, everything that was told, and the blobs."""
    b, blobs = table(bench, window=3, diffuser=diffuser or Flickers(0)), blobs or FakeBlobStore()
    job = job or await job_of(blobs, data, frames, output, **options)
    told = []
    return await handler(b, blobs)(job, told.append), told, blobs


def decoded(blobs, key):
    return [one.image for one in VIDEOS.frames(blobs.blobs[key])]


async def test_an_edited_clip_has_its_frames_and_times_and_nothing_else_changed(bench):
    frames = drive(7)
    data = clip("webp", frames, [40, 80, 40, 40, 200, 40, 60])
    result, _, blobs = await run(bench, data, 7)
    assert result.video_media_type == "image/webp"
    assert VIDEOS.inspect(blobs.blobs[result.video_key]).duration_us == 500_000
    times = [one.duration_us for one in VIDEOS.frames(blobs.blobs[result.video_key])]
    assert times == [40_000, 80_000, 40_000, 40_000, 200_000, 40_000, 60_000]
    for image, before in zip(decoded(blobs, result.video_key), frames, strict=True):
        assert np.array_equal(image[:60], before[:60])
        assert np.array_equal(image[200:], before[200:])
        assert not np.array_equal(image[is_mug(before)], before[is_mug(before)])
    first = np.array(PillowImage.open(io.BytesIO(blobs.blobs[result.image_key])))
    assert np.array_equal(first, decoded(blobs, result.video_key)[0])
    metadata = result.account["metadata"]
    assert (metadata["frames"], metadata["frames_edited"], metadata["duration_ms"]) == (7, 7, 500)
    assert (metadata["seed_used"], metadata["output"], metadata["output_resolution"]) == (7, "webp", "320x260")
    assert json.loads(json.dumps(result.account)) == result.account
    assert result.account["models_used"] == ["yolox", "clip", "grounding-dino", "sd-inpainting"]


async def test_a_sequence_of_pngs_has_every_pixel_outside_the_mask_as_it_was_decoded(bench):
    data = clip("gif", drive(5))
    before = [one.image for one in VIDEOS.frames(data)]
    result, _, blobs = await run(bench, data, 5, output=VideoOutput.PNG_SEQUENCE)
    with zipfile.ZipFile(io.BytesIO(blobs.blobs[result.video_key])) as archive:
        assert sorted(archive.namelist()) == [*(f"{number:05}.png" for number in range(5)), "times.json"]
        for number in range(5):
            image = np.array(PillowImage.open(io.BytesIO(archive.read(f"{number:05}.png"))))
            assert np.array_equal(image[:60], before[number][:60])
            assert not np.array_equal(image, before[number])


async def test_every_finished_window_is_told_with_its_blobs(bench):
    _, told, blobs = await run(bench, clip("webp", drive(7)), 7)
    counts = [len(one.checkpoint.frame_keys) for one in told if one.checkpoint is not None]
    assert counts == sorted(counts)
    assert set(counts) == {3, 6, 7}
    last = told[-1].checkpoint
    assert len(last.state_keys) == 3
    assert set(last.blob_keys) <= blobs.blobs.keys()
    fractions = [one.fraction for one in told]
    assert fractions == sorted(fractions)
    assert max(fractions) <= 1.0


async def test_an_attempt_after_a_crash_goes_on_after_the_last_finished_frame(bench):
    data = clip("webp", drive(8))
    whole, _, blobs = await run(bench, data, 8)
    wanted = decoded(blobs, whole.video_key)

    crashed, told = FakeBlobStore(), []
    job = await job_of(crashed, data, 8)
    b = table(bench, window=3, diffuser=Fails(at=1))
    with pytest.raises(ModelError):
        await handler(b, crashed)(job, told.append)
    checkpoint = next(one.checkpoint for one in reversed(told) if one.checkpoint is not None)
    assert len(checkpoint.frame_keys) == 3

    diffuser = Flickers(0)
    again = replace(job, attempt=2, checkpoint=checkpoint)
    result, told, _ = await run(bench, data, 8, blobs=crashed, job=again, diffuser=diffuser)
    assert [len(request.regions) for request in diffuser.requests] == [3, 2]
    assert all(len(one.checkpoint.frame_keys) >= 3 for one in told)
    for image, one in zip(decoded(crashed, result.video_key), wanted, strict=True):
        assert np.array_equal(image, one)
    assert result.account["metadata"]["frames_edited"] == 8


async def test_an_attempt_whose_frames_are_lost_begins_anew(bench):
    data = clip("webp", drive(4))
    _, told, blobs = await run(bench, data, 4)
    checkpoint = next(one.checkpoint for one in told if one.checkpoint is not None)
    del blobs.blobs[checkpoint.frame_keys[-1]]
    job = replace(await job_of(blobs, data, 4), checkpoint=checkpoint)
    result, _, _ = await run(bench, data, 4, blobs=blobs, job=job)
    assert len(decoded(blobs, result.video_key)) == 4


async def test_what_cannot_be_in_the_file_is_a_warning(bench):
    result, _, _ = await run(bench, clip("gif", drive(3)), 3, output=VideoOutput.GIF, output_quality=50)
    assert result.account["metadata"]["warnings"] == ["output_quality has no effect: gif has none"]


async def test_a_frame_that_cannot_be_decoded_fails_the_job(bench):
    data = bytearray(gif_of(4))
    data[data.rindex(b"\x02\x02\x44\x01\x00")] = 13
    with pytest.raises(UnprocessableImage, match="corrupt"):
        await run(bench, bytes(data), 4)


async def test_a_clip_without_the_thing_fails_the_job(bench):
    with pytest.raises(NoDetection, match="no frame can be edited"):
        await run(bench, clip("webp", [backdrop() + np.uint8(number) for number in range(3)]), 3)


async def test_seven_times_as_many_frames_take_no_more_memory(bench):
    import tracemalloc

    async def peak(count):
        data = clip("webp", drive(count, step=1))
        b, blobs = table(bench, window=2, diffuser=Flickers(0), detector=SeesMugs()), FakeBlobStore()
        b.diffuser.requests = _Forgets()
        job = await job_of(blobs, data, count)
        tracemalloc.start()
        try:
            await handler(b, blobs)(job, lambda progress: None)
            return tracemalloc.get_traced_memory()[1] - sum(map(len, blobs.blobs.values()))
        finally:
            tracemalloc.stop()

    assert await peak(28) < 1.3 * await peak(4)


class _Forgets(list):
    def append(self, _):
        pass
