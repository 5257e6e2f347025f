"""Clips in and out: what is known before decoding, what is refused, and that frames and times survive."""

from __future__ import annotations

import io
import json
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
from PIL import Image as PillowImage

from api.video.codec import ClipCodec, make_video_codec
from composition.config import Config, LimitsConfig, VideoConfig
from composition.errors import PayloadTooLarge, UnprocessableImage
from composition.ports.video import Frame
from composition.request import VideoOutput
from tests.unit.api.images import encoded, gradient
from tests.unit.api.video.clips import clip, frame, frames, gif_of

CODEC = make_video_codec(Config())


def of(images, durations_us=None):
    durations_us = durations_us or [100_000] * len(images)
    starts = np.cumsum([0, *durations_us[:-1]]).tolist()
    return [
        Frame(image=image, start_us=start, duration_us=duration)
        for image, start, duration in zip(images, starts, durations_us, strict=True)
    ]


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_what_a_container_says_is_known(kind):
    facts = CODEC.inspect(clip(kind, durations=[40, 100, 250, 70]))
    assert (facts.container, facts.size, facts.frames) == (VideoOutput(kind), (300, 260), 4)
    assert (facts.duration_us, facts.loops, facts.audio) == (460_000, 0, None)


def test_frames_of_a_lossless_clip_come_back_with_their_times():
    decoded = list(CODEC.frames(clip("webp", durations=[40, 100, 250, 70])))
    for number, one in enumerate(decoded):
        assert np.array_equal(one.image, frame(number))
    assert [one.duration_us for one in decoded] == [40_000, 100_000, 250_000, 70_000]
    assert [one.start_us for one in decoded] == [0, 40_000, 140_000, 390_000]


def test_frames_of_a_gif_that_change_a_part_only_are_whole():
    decoded = list(CODEC.frames(clip("gif")))
    assert len(decoded) == 4
    for number, one in enumerate(decoded):
        assert one.image.shape == (260, 300, 3)
        assert np.abs(one.image.astype(int) - frame(number)).mean() < 8


def test_what_is_transparent_is_white():
    images = [PillowImage.new("RGBA", (300, 260), (255, 0, 0, 0)) for _ in range(2)]
    images[1].paste((0, 0, 255, 255), (0, 0, 100, 100))
    out = io.BytesIO()
    images[0].save(out, "WEBP", save_all=True, append_images=images[1:], duration=50, lossless=True)
    decoded = list(CODEC.frames(out.getvalue()))
    assert (decoded[0].image == 255).all()
    assert decoded[1].image[50, 50].tolist() == [0, 0, 255]


@pytest.mark.parametrize("output", [VideoOutput.WEBP, VideoOutput.PNG_SEQUENCE])
def test_what_is_written_without_losses_is_what_was_given(output):
    images, durations = frames(5), [33_000, 33_000, 34_000, 500_000, 20_000]
    file, media_type, lost = CODEC.encode(of(images, durations), output, source=clip("webp"))
    assert lost == ()
    if output is VideoOutput.WEBP:
        assert media_type == "image/webp"
        back = list(CODEC.frames(file))
        assert [one.duration_us for one in back] == durations
        assert all(np.array_equal(one.image, image) for one, image in zip(back, images, strict=True))
        return
    assert media_type == "application/zip"
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        assert json.loads(archive.read("times.json"))[3] == [100_000, 500_000]
        last = np.array(PillowImage.open(io.BytesIO(archive.read("00004.png"))))
    assert np.array_equal(last, images[4])


def test_a_gif_is_read_by_pillow_as_it_was_written():
    images, durations = frames(5), [40_000, 40_000, 120_000, 20_000, 40_000]
    file, media_type, _ = CODEC.encode(of(images, durations), VideoOutput.GIF, source=clip("gif"))
    assert media_type == "image/gif"
    with PillowImage.open(io.BytesIO(file)) as gif:
        assert (gif.n_frames, gif.info["loop"], gif.size) == (5, 0, (300, 260))
        for number, duration_us in enumerate(durations):
            gif.seek(number)
            assert gif.info["duration"] * 1000 == duration_us
            assert np.abs(np.array(gif.convert("RGB")).astype(int) - images[number]).mean() < 8


def test_alike_frames_stay_frames_of_their_own():
    for output in (VideoOutput.GIF, VideoOutput.WEBP):
        file, _, _ = CODEC.encode(of([frame()] * 4), output, source=clip("webp"))
        assert CODEC.inspect(file).frames == 4


def test_times_that_no_container_can_say_do_not_drift():
    """30 frames a second in hundredths and thousandths: the sum stays."""
    durations = [33_333] * 30
    for output in (VideoOutput.GIF, VideoOutput.WEBP):
        file, _, _ = CODEC.encode(of([frame(0, 256, 256)] * 30, durations), output, source=clip("webp"))
        assert abs(CODEC.inspect(file).duration_us - 1_000_000) <= 10_000


@pytest.mark.parametrize("loops", [1, 3])
def test_how_often_a_clip_is_shown_is_kept(loops):
    once = {"loop": None} if loops == 1 else {"loop": loops - 1}
    source = clip("gif", **once)
    assert CODEC.inspect(source).loops == loops
    file, _, _ = CODEC.encode(of(frames(3)), VideoOutput.GIF, source=source)
    assert CODEC.inspect(file).loops == loops


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is not a GIF"),
        (b"not a video at all, but long enough", "is not a GIF"),
        (encoded(gradient()), "is not a GIF"),
        (encoded(gradient(), "WEBP"), "single image"),
        (clip("gif", [frame()]), "single image"),
        (b"GIF89a", "truncated or corrupt"),
        (clip("gif")[:-1], "truncated or corrupt"),
        (clip("gif")[:3000], "truncated or corrupt"),
        (clip("webp")[:-40], "truncated or corrupt"),
        (clip("webp").replace(b"VP8L", b"VP8?"), "truncated or corrupt"),
        (clip("webp")[:20], "truncated or corrupt"),
        (clip("gif", [frame(0, 100, 100), frame(1, 100, 100)]), "at least 256"),
    ],
    ids=str,
)
def test_what_is_no_clip_is_refused_in_words(data, words):
    with pytest.raises(UnprocessableImage, match=words):
        CODEC.inspect(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (gif_of(10_000, ticks=2), "more than 480 frames"),
        (gif_of(300, ticks=100), "longer than 20 s"),
        (gif_of(2, 7680, 4320), "at most 2048 per side"),
        (gif_of(2, 65535, 65535), "at most 2048 per side"),
        (gif_of(2, 2000, 2000), "megapixels"),
        (b"GIF89a" + bytes(33 * 2**20), "larger than 32 MB"),
    ],
    ids=["frames", "seconds", "8K", "bomb", "megapixels", "bytes"],
)
def test_too_much_of_a_clip_is_refused_before_a_frame_is_decoded(data, words):
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(PayloadTooLarge, match=words):
            CODEC.inspect(data)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < 1.0


def test_a_frame_that_reaches_out_of_its_canvas_is_refused():
    data = bytearray(gif_of(2))
    at = data.rindex(b"\x2c\x00\x00\x00\x00\x01\x00")
    data[at + 5 : at + 7] = b"\xff\xff"
    with pytest.raises(UnprocessableImage, match="corrupt"):
        CODEC.inspect(bytes(data))


def test_pixels_that_cannot_be_decoded_are_an_error_of_the_clip():
    """The container is whole, so that the first frame alone is looked at when it is sent."""
    data = bytearray(gif_of(3))
    data[data.rindex(b"\x02\x02\x44\x01\x00")] = 13
    CODEC.inspect(bytes(data))
    with pytest.raises(UnprocessableImage, match="corrupt"):
        list(CODEC.frames(bytes(data)))


def test_memory_does_not_grow_with_the_length_of_a_clip():
    def peak(count):
        source = clip("webp", frames(2))
        long = CODEC.encode(of([frame()] * count), VideoOutput.WEBP, source=source)[0]
        tracemalloc.start()
        try:
            for _ in CODEC.frames(long):
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(40) < peak(4) + 500_000


def test_limits_are_those_of_the_configuration():
    codec = ClipCodec(LimitsConfig(min_resolution=64), VideoConfig(max_frames=3, max_seconds=0.25))
    assert codec.inspect(clip("webp", frames(2, 100, 150), durations=100)).frames == 2
    with pytest.raises(PayloadTooLarge, match="more than 3 frames"):
        codec.inspect(clip("webp", frames(4, 100, 150), durations=10))
    with pytest.raises(PayloadTooLarge, match=r"longer than 0\.25 s"):
        codec.inspect(clip("webp", frames(3, 100, 150), durations=100))
