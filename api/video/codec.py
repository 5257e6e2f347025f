"""Bytes <-> frames: fetch -> **decode** -> edit ... -> **encode**, for clips.

What a clip is made of is read from its container first, by readers of our own or, for MP4 and WebM, by the demuxer that
its first bytes name; what is too much is refused there. Then one frame at a time is decoded.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType
from typing import Final

import numpy as np
from PIL import Image as PillowImage

from api.video import gif, png_sequence, webp
from api.video.pieces import corrupt
from composition.config import Config, LimitsConfig, VideoConfig
from composition.errors import CompositionError, InvalidInput, PayloadTooLarge, UnprocessableImage
from composition.images import Image
from composition.ports.video import Frame, VideoFacts
from composition.request import VideoOutput

logger = logging.getLogger(__name__)

MEDIA_TYPES: Final = {
    VideoOutput.GIF: "image/gif",
    VideoOutput.WEBP: "image/webp",
    VideoOutput.MP4: "video/mp4",
    VideoOutput.WEBM: "video/webm",
    VideoOutput.PNG_SEQUENCE: "application/zip",
}
WITH_AV: Final = frozenset({VideoOutput.MP4, VideoOutput.WEBM})
NEEDS_AV: Final = "needs PyAV, which is not installed: it is the extra `video` (pip install 'av>=17')"
_MATROSKA = b"\x1a\x45\xdf\xa3"


class ClipCodec:
    """A `VideoCodec` over Pillow and, where it is installed, PyAV; safe to call from many threads."""

    def __init__(self, limits: LimitsConfig, video: VideoConfig) -> None:
        self._limits, self._video = limits, video

    def inspect(self, data: bytes) -> VideoFacts:
        """Raises: UnprocessableImage, PayloadTooLarge."""
        with _translated():
            facts = self._facts(data)
            height, width = next(self._decoded(data, facts.container)).image.shape[:2]
            return replace(facts, size=(width, height))  # a phone's clip may be turned

    def frames(self, data: bytes) -> Iterator[Frame]:
        """Raises: as `inspect`."""
        with _translated():
            yield from self._decoded(data, self._facts(data).container)

    def check_output(self, output: VideoOutput) -> None:
        """Raises: InvalidInput."""
        if output in WITH_AV and _av() is None:
            raise InvalidInput(f"output {output.value} {NEEDS_AV}", details={"field": "output"})

    def encode(
        self, frames: Iterable[Frame], output: VideoOutput, *, source: bytes, quality: int | None = None
    ) -> tuple[bytes, str, tuple[str, ...]]:
        """GIF has 256 colours a frame; WebP is lossless without a quality; MP4 and WebM always have losses."""
        facts = self._facts(source)
        lost: tuple[str, ...] = ()
        if output is VideoOutput.GIF:
            file = gif.write(frames, loops=facts.loops)
        elif output is VideoOutput.WEBP:
            file = webp.write(frames, loops=facts.loops, quality=quality)
        elif output is VideoOutput.PNG_SEQUENCE:
            file = png_sequence.write(frames)
        else:
            self.check_output(output)
            av_clip = _av()
            assert av_clip is not None
            file, lost = av_clip.write(frames, output, source=source, facts=facts, quality=quality)
        if output not in WITH_AV and facts.audio is not None:
            lost = (
                *lost,
                f"the sound ({facts.audio}) is not in the result: {output.value} has none",
            )
        return file, MEDIA_TYPES[output], lost

    def _facts(self, data: bytes) -> VideoFacts:
        """Raises: UnprocessableImage, PayloadTooLarge."""
        if len(data) > self._video.max_size_mb * 2**20:
            raise PayloadTooLarge(
                f"is larger than {self._video.max_size_mb} MB (video.max_size_mb)",
                details={"max_bytes": self._video.max_size_mb * 2**20},
            )
        container = container_of(data)
        if container in WITH_AV:
            av_clip = _av()
            if av_clip is None:
                raise UnprocessableImage(f"is {container.value}, and to read that {NEEDS_AV}")
            clip, audio = av_clip.read(data, container), av_clip.audio_of(data, container)
        else:
            clip, audio = (gif.read(data) if container is VideoOutput.GIF else webp.read(data)), None
        self._check_size(clip.size)
        count = duration_us = 0
        for piece in clip.pieces:
            count, duration_us = count + 1, duration_us + piece.duration_us
            if count > self._video.max_frames:
                most = self._video.max_frames
                raise PayloadTooLarge(f"has more than {most} frames (video.max_frames)", details={"max_frames": most})
            if duration_us > self._video.max_seconds * 1_000_000:
                most_s = self._video.max_seconds
                raise PayloadTooLarge(
                    f"is longer than {most_s:g} s (video.max_seconds)", details={"max_seconds": most_s}
                )
        if count < 2:
            raise UnprocessableImage("is a single image; a video has at least two frames" if count else "has no frames")
        return VideoFacts(
            container=container,
            size=clip.size,
            frames=count,
            duration_us=duration_us,
            loops=clip.loops,
            audio=audio,
        )

    def _check_size(self, size: tuple[int, int]) -> None:
        limits, megapixels = self._limits, self._video.max_megapixels
        shown = f"is {size[0]}x{size[1]} pixels"
        if max(size) > limits.max_resolution:
            raise PayloadTooLarge(
                f"{shown}, at most {limits.max_resolution} per side are allowed",
                details={"max_side_px": limits.max_resolution},
            )
        if size[0] * size[1] > megapixels * 1_000_000:
            raise PayloadTooLarge(
                f"{shown}, at most {megapixels:g} megapixels are allowed (video.max_megapixels)",
                details={"max_megapixels": megapixels},
            )
        if min(size) < limits.min_resolution:
            raise UnprocessableImage(
                f"{shown}, at least {limits.min_resolution} per side are needed",
                details={"min_side_px": limits.min_resolution},
            )

    def _decoded(self, data: bytes, container: VideoOutput) -> Iterator[Frame]:
        if container in WITH_AV:
            av_clip = _av()
            assert av_clip is not None
            yield from av_clip.frames(data, container)
            return
        clip = gif.read(data) if container is VideoOutput.GIF else webp.read(data)
        start_us = 0
        with PillowImage.open(io.BytesIO(data), formats=[container.value.upper()]) as file:
            for number, piece in enumerate(clip.pieces):
                file.seek(number)
                if file.size != clip.size:
                    raise corrupt()
                yield Frame(image=_over_white(file), start_us=start_us, duration_us=piece.duration_us)
                start_us += piece.duration_us


def make_video_codec(config: Config) -> ClipCodec:
    """As the configuration bounds clips."""
    return ClipCodec(config.limits, config.video)


def container_of(data: bytes) -> VideoOutput:
    """By the first bytes. Raises: UnprocessableImage: it is no clip of a known kind."""
    if data[:6] in gif.START:
        return VideoOutput.GIF
    if webp.is_webp(data):
        return VideoOutput.WEBP
    if data[4:8] == b"ftyp":
        return VideoOutput.MP4
    if data[:4] == _MATROSKA:
        return VideoOutput.WEBM
    raise UnprocessableImage("is not a GIF, animated WebP, MP4 or WebM file")


def _av() -> ModuleType | None:
    try:
        from api.video import av_clip
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "av":
            raise
        return None
    return av_clip


def _over_white(image: PillowImage.Image) -> Image:
    color = image.convert("RGBA")
    white = PillowImage.new("RGBA", color.size, (255, 255, 255, 255))
    white.alpha_composite(color)
    return np.array(white.convert("RGB"), dtype=np.uint8)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except CompositionError:
        raise
    except Exception as error:
        # Parsers of hostile bytes raise nearly anything (struct.error, EOFError, ValueError, MemoryError ...).
        logger.info("a clip could not be decoded: %r", error)
        raise corrupt() from error
