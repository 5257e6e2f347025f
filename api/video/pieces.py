"""What a container shows of a clip before any of its frames is decoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from composition.errors import UnprocessableImage


class Piece(NamedTuple):
    """One frame of a file."""

    duration_us: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Clip:
    """A clip: the canvas of its frames, how often it is shown (0 for ever), and its frames, read as they are asked for.

    The pieces raise UnprocessableImage where the file is not whole.
    """

    size: tuple[int, int]
    loops: int
    pieces: Iterator[Piece]


def corrupt() -> UnprocessableImage:
    """The error for a file that ends too early or is not what it says."""
    return UnprocessableImage("is truncated or corrupt")
