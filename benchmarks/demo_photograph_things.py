"""Things on real photographs, outlined by hand (`demo_photograph_things.json`) before anything was run on them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.demo_photographs import Polygon, filled, load_truth, read
from composition.images import Image

OUTLINES = Path(__file__).with_suffix(".json")


@dataclass(frozen=True, kw_only=True)
class Thing:
    """One thing on a photograph, in its pixels.

    Attributes:
        photograph: its name in `demo_photographs.json`.
        thing: what somebody would call it.
        recoloured: whether it is of one material, of another colour than what touches it: the one that is recoloured.
        outline: its polygons.
        without: what is in front of it, or of another material.
        said: what a prompt without a mask calls it; None: nothing that could be found.
    """

    photograph: str
    thing: str
    recoloured: bool
    outline: Sequence[Polygon]
    without: Sequence[Polygon]
    said: str | None = None

    def silhouette(self, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
        """Its pixels, bool of `size` (height, width)."""
        return self.extent(size) & ~filled(self.without, size)

    def extent(self, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
        """Its pixels and those of what is in front of it or a part of it, bool of `size` (height, width)."""
        return filled(self.outline, size)


def load_things() -> list[Thing]:
    """All of them, photograph by photograph."""
    return [Thing(**facts) for facts in json.loads(OUTLINES.read_text())]


def with_photographs(
    things: Iterable[Thing], folder: Path | None, only: Sequence[str] | None
) -> Iterator[tuple[Thing, Image]]:
    """Each thing with its photograph (H, W, 3), if that is here or unpacked in a folder; says which are not.

    `only`: names of photographs; None: all.
    """
    photographs, _ = load_truth()
    for thing in things:
        if only and thing.photograph not in only:
            continue
        image = read(photographs[thing.photograph], folder)
        if image is None:
            print(f"not here: {thing.photograph} of {photographs[thing.photograph].package}")
        else:
            yield thing, image
