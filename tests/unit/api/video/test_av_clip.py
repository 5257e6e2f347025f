"""MP4 and WebM, where PyAV is installed; and what is said where it is not."""

from __future__ import annotations

import importlib.util
import io
from fractions import Fraction

import numpy as np
import pytest

from api.video.codec import make_video_codec
from composition.config import Config
from composition.errors import InvalidInput, PayloadTooLarge, UnprocessableImage
from composition.ports.video import Frame
from composition.request import VideoOutput
from tests.unit.api.video.clips import clip, frames

INSTALLED = importlib.util.find_spec("av") is not None
needs_av = pytest.mark.skipif(not INSTALLED, reason="PyAV is not installed (the extra `video`)")
absent = pytest.mark.skipif(INSTALLED, reason="PyAV is installed")
CODEC = make_video_codec(Config())
BOTH = pytest.mark.parametrize("output", [VideoOutput.MP4, VideoOutput.WEBM])
UNEVEN_US = [40_000, 20_000, 100_000, 40_000, 60_000, 40_000]


def written(output, images=None, durations_us=UNEVEN_US, source=None):
    images = frames(len(durations_us)) if images is None else images
    starts = np.cumsum([0, *durations_us[:-1]]).tolist()
    given = [
        Frame(image=image, start_us=start, duration_us=duration)
        for image, start, duration in zip(images, starts, durations_us, strict=True)
    ]
    return CODEC.encode(given, output, source=source or clip("webp"), quality=95)


def sounding(output, codec, seconds=0.3, picture=True):
    """A clip with a tone."""
    import av

    out = io.BytesIO()
    with av.open(out, "w", format=output.value) as file:
        if picture:
            stream = file.add_stream("libvpx-vp9" if output is VideoOutput.WEBM else "libx264", rate=10)
            stream.width, stream.height, stream.pix_fmt = 300, 260, "yuv420p"
        sound = file.add_stream(codec, rate=48_000, layout="mono")
        if picture:
            for number, image in enumerate(frames(4)):
                shown = av.VideoFrame.from_ndarray(image, format="rgb24")
                shown.pts, shown.time_base = number, Fraction(1, 10)
                for packet in stream.encode(shown):
                    file.mux(packet)
            for packet in stream.encode(None):
                file.mux(packet)
        tone = np.sin(np.arange(round(48_000 * seconds)) / 20).astype(np.float32)[None]
        heard = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        heard.sample_rate, heard.pts = 48_000, 0
        for packet in (*sound.encode(heard), *sound.encode(None)):
            file.mux(packet)
    return out.getvalue()


@needs_av
@BOTH
def test_a_clip_is_written_and_read_with_its_uneven_times(output):
    file, media_type, lost = written(output)
    assert (media_type, lost) == (f"video/{output.value}", ())
    facts = CODEC.inspect(file)
    assert (facts.container, facts.size, facts.frames, facts.audio) == (output, (300, 260), 6, None)
    back = list(CODEC.frames(file))
    for one, start_us in zip(back, np.cumsum([0, *UNEVEN_US[:-1]]), strict=True):
        assert abs(one.start_us - start_us) <= 1000
    assert abs(facts.duration_us - sum(UNEVEN_US)) <= 20_000
    for one, image in zip(back, frames(6), strict=True):
        assert np.abs(one.image.astype(int) - image).mean() < 6


@needs_av
@pytest.mark.parametrize(
    ("output", "codec"), [(VideoOutput.MP4, "aac"), (VideoOutput.WEBM, "libopus"), (VideoOutput.MP4, "libopus")]
)
def test_sound_is_kept(output, codec):
    source = sounding(output, codec)
    heard = CODEC.inspect(source).audio
    assert heard in codec
    file, _, lost = written(output, frames(3), [100_000] * 3, source=source)
    assert (CODEC.inspect(file).audio, lost) == (heard, ())


@needs_av
def test_sound_that_the_result_cannot_have_is_named():
    source = sounding(VideoOutput.MP4, "aac")
    assert "aac" in written(VideoOutput.WEBM, frames(3), [100_000] * 3, source=source)[2][0]
    assert "gif has none" in written(VideoOutput.GIF, frames(3), [100_000] * 3, source=source)[2][0]


@needs_av
@BOTH
def test_hostile_files_are_refused_in_words(output):
    whole = written(output)[0]
    for cut in (20, len(whole) // 2, len(whole) - 200):
        with pytest.raises(UnprocessableImage, match="truncated or corrupt"):
            CODEC.inspect(whole[:cut])
    codec = "aac" if output is VideoOutput.MP4 else "libopus"
    with pytest.raises(UnprocessableImage, match="no video stream"):
        CODEC.inspect(sounding(output, codec, picture=False))
    with pytest.raises(PayloadTooLarge, match="more than 480 frames"):
        CODEC.inspect(written(output, frames(1, 256, 256) * 500, [10_000] * 500)[0])
    huge = np.zeros((2160, 3840, 3), np.uint8)
    with pytest.raises(PayloadTooLarge, match="at most 2048 per side"):
        CODEC.inspect(written(output, [huge] * 2, [40_000] * 2)[0])


@absent
@BOTH
def test_without_the_extra_reading_and_writing_name_it(output):
    start = b"\x00\x00\x00\x20ftypisom" if output is VideoOutput.MP4 else b"\x1a\x45\xdf\xa3"
    with pytest.raises(UnprocessableImage, match=r"extra `video`"):
        CODEC.inspect(start + bytes(100))
    with pytest.raises(InvalidInput, match=r"extra `video`") as caught:
        CODEC.check_output(output)
    assert caught.value.details == {"field": "output"}
