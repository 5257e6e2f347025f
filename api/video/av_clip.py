"""MP4 and WebM through PyAV, which only the extra `video` installs; whoever imports this asks for it.

The demuxer is the one that the first bytes name, and it is given bytes, not names of files: some of FFmpeg's follow
what a file says to other files and hosts.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain, islice, pairwise
from typing import Any, Final

import av
import numpy as np

from api.video.pieces import Clip, Piece, corrupt
from composition.errors import UnprocessableImage
from composition.ports.video import Frame, VideoFacts
from composition.request import VideoOutput

_DEMUXERS: Final = {VideoOutput.MP4: "mp4", VideoOutput.WEBM: "matroska"}
_ENCODERS: Final = {
    VideoOutput.MP4: ("libsvtav1", "libaom-av1", "libx264"),
    VideoOutput.WEBM: ("libvpx-vp9", "libsvtav1", "libaom-av1"),
}
"""The first that this FFmpeg has; those without patents or GPL code first."""
_SOUND: Final = {
    VideoOutput.MP4: frozenset({"aac", "mp3", "opus", "flac", "ac3"}),
    VideoOutput.WEBM: frozenset({"opus", "vorbis"}),
}
"""Codecs that are copied as they are into a container."""
_SEGMENT: Final = b"\x18\x53\x80\x67"
_MOST_FRAMES: Final = 3001
"""That are counted: one more than any configuration allows."""
_CLOCK: Final = Fraction(1, 90_000)
_US: Final = Fraction(1, 1_000_000)
_BEST_CRF, _WORST_CRF, _USUAL_QUALITY = 12, 52, 75


def read(data: bytes, container: VideoOutput) -> Clip:
    """As `gif.read`; the packets are counted, none is decoded. Raises: UnprocessableImage: there is no video in it."""
    with _opened(data, container) as file:
        stream = _picture(file)
        size = stream.codec_context.width, stream.codec_context.height
    return Clip(size=size, loops=0, pieces=_pieces(data, container))


def audio_of(data: bytes, container: VideoOutput) -> str | None:
    """The codec of a clip's sound; None: it has none."""
    with _opened(data, container) as file:
        return str(file.streams.audio[0].codec_context.name) if file.streams.audio else None


def frames(data: bytes, container: VideoOutput) -> Iterator[Frame]:
    """Every frame with its time, turned as it is shown."""
    shown = _times(data, container)
    with _opened(data, container) as file:
        stream = _picture(file)
        size = stream.codec_context.width, stream.codec_context.height
        count = 0
        for decoded, (start_us, duration_us) in zip(file.decode(stream), shown, strict=False):
            if (decoded.width, decoded.height) != size:
                raise UnprocessableImage("changes its size in the middle")
            image = np.rot90(decoded.to_ndarray(format="rgb24"), round(decoded.rotation / 90) % 4)
            yield Frame(image=np.ascontiguousarray(image), start_us=start_us, duration_us=duration_us)
            count += 1
    if count < len(shown):
        raise corrupt()


def write(
    frames: Iterable[Frame], output: VideoOutput, *, source: bytes, facts: VideoFacts, quality: int | None
) -> tuple[bytes, tuple[str, ...]]:
    """A file with the source's sound, and what it does not have of the source.

    Args:
        frames: of one size.
        output: mp4 or webm.
        source: the clip that they were made from.
        facts: of that clip.
        quality: 1..100.
    """
    coming = iter(frames)
    first = next(coming)
    out = io.BytesIO()
    kept = facts.audio is not None and facts.audio in _SOUND[output]
    with av.open(out, "w", format=output.value) as file:
        picture = _picture_out(file, output, first.image.shape[:2], quality)
        if kept:
            with _opened(source, facts.container) as sounding:
                sound = file.add_stream_from_template(sounding.streams.audio[0])
                _mux(file, _encoded(picture, chain([first], coming)))
                packets = (packet for packet in sounding.demux(sounding.streams.audio[0]) if packet.dts is not None)
                for packet in packets:
                    packet.stream = sound
                    file.mux(packet)
        else:
            _mux(file, _encoded(picture, chain([first], coming)))
    if facts.audio is None or kept:
        return out.getvalue(), ()
    return out.getvalue(), (f"the sound ({facts.audio}) is not in the result: {output.value} has no such",)


def _mux(file: Any, packets: Iterable[Any]) -> None:
    for packet in packets:
        file.mux(packet)


def _picture_out(file: Any, output: VideoOutput, size: tuple[int, ...], quality: int | None) -> Any:
    name = next(one for one in _ENCODERS[output] if one in av.codecs_available and _can_encode(one))
    picture = file.add_stream(name, rate=30)
    picture.height, picture.width = size
    picture.pix_fmt = "yuv420p"
    picture.time_base = picture.codec_context.time_base = _CLOCK
    share = (_USUAL_QUALITY if quality is None else quality) / 100
    picture.options = {"crf": str(round(_WORST_CRF + (_BEST_CRF - _WORST_CRF) * share)), "b": "0"}
    if name == "libvpx-vp9":
        picture.options |= {"deadline": "good", "cpu-used": "4", "row-mt": "1"}
    if name == "libx264":
        picture.options = {"crf": picture.options["crf"]}
    return picture


def _can_encode(name: str) -> bool:
    try:
        return bool(av.Codec(name, "w"))
    except av.codec.codec.UnknownCodecError:
        return False


def _encoded(stream: Any, frames: Iterable[Frame]) -> Iterator[Any]:
    for frame in frames:
        picture = av.VideoFrame.from_ndarray(frame.image, format="rgb24")
        picture.pts = round(frame.start_us * _US / _CLOCK)
        picture.duration = round(frame.duration_us * _US / _CLOCK)
        picture.time_base = _CLOCK
        yield from stream.encode(picture)
    yield from stream.encode(None)


def _pieces(data: bytes, container: VideoOutput) -> Iterator[Piece]:
    for _, duration_us in _times(data, container):
        yield Piece(duration_us=duration_us)


def _times(data: bytes, container: VideoOutput) -> Sequence[tuple[int, int]]:
    """Of each frame in the order in which they are shown, start and duration. Raises: UnprocessableImage: truncated."""
    if container is VideoOutput.WEBM and _segment_end(data) > len(data):
        raise corrupt()
    with _opened(data, container) as file:
        stream = _picture(file)
        said, base = stream.frames, stream.time_base
        packets = (packet for packet in file.demux(stream) if packet.size and packet.pts is not None)
        shown = sorted((packet.pts, packet.duration or 0) for packet in islice(packets, _MOST_FRAMES))
        if not shown or len(shown) < min(said, _MOST_FRAMES):
            raise corrupt()
        begin = shown[0][0]
        starts = [round((pts - begin) * base / _US) for pts, _ in shown]
        usual = starts[-1] // (len(starts) - 1) if len(starts) > 1 else 40_000
        starts.append(starts[-1] + (round(shown[-1][1] * base / _US) or usual))
        return [(start, max(1, end - start)) for start, end in pairwise(starts)]


def _segment_end(data: bytes) -> int:
    """Where a Matroska file says that it ends, which no demuxer minds; 0 where it does not say."""
    at = data.find(_SEGMENT, 0, 4096) + len(_SEGMENT)
    if at < len(_SEGMENT) or at >= len(data) or not data[at]:
        return 0
    length = 9 - data[at].bit_length()
    most = (1 << (7 * length)) - 1
    size = int.from_bytes(data[at : at + length]) & most
    return 0 if size == most else at + length + size


@contextmanager
def _opened(data: bytes, container: VideoOutput) -> Iterator[Any]:
    try:
        with av.open(io.BytesIO(data), "r", format=_DEMUXERS[container], options={"protocol_whitelist": ""}) as file:
            yield file
    except av.FFmpegError as error:
        raise corrupt() from error


def _picture(file: Any) -> Any:
    """Raises: UnprocessableImage: it is sound alone."""
    if not file.streams.video:
        raise UnprocessableImage("has no video stream")
    stream = file.streams.video[0]
    if stream.codec_context is None or not stream.codec_context.width:
        raise corrupt()
    return stream
