"""Clips: bytes <-> frames with their times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from composition.images import Image
from composition.request import VideoOutput


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """One image (H, W, 3) of a clip and when it is shown, in microseconds; the rates of clips vary."""

    image: Image
    start_us: int
    duration_us: int


@dataclass(frozen=True, kw_only=True)
class VideoFacts:
    """What a clip's container says of it.

    Attributes:
        container: what it is itself: gif, webp, mp4 or webm.
        size: (width, height) of every frame, as it is shown.
        frames: how many there are.
        duration_us: of all together.
        loops: how often it is shown, 0 for ever.
        audio: the codec of its sound; None: it has none.
    """

    container: VideoOutput
    size: tuple[int, int]
    frames: int
    duration_us: int
    loops: int = 0
    audio: str | None = None


class VideoCodec(Protocol):
    """CPU-bound: called through threads; what it iterates over it holds one frame of at a time."""

    def inspect(self, data: bytes) -> VideoFacts:
        """Read the container, and the first frame alone.

        Raises: UnprocessableImage, PayloadTooLarge: no clip, or of more than is allowed.
        """
        ...

    def frames(self, data: bytes) -> Iterator[Frame]:
        """Every frame in order, in sRGB, over white. Raises: as `inspect`, at the frame that cannot be decoded."""
        ...

    def check_output(self, output: VideoOutput) -> None:
        """Raises: InvalidInput: this service cannot write it."""
        ...

    def encode(
        self, frames: Iterable[Frame], output: VideoOutput, *, source: bytes, quality: int | None = None
    ) -> tuple[bytes, str, tuple[str, ...]]:
        """A file, its media type, and what of `source`, which they were made from, it does not have.

        `quality` is 1..100; None: without losses where the format can do that.
        """
        ...
