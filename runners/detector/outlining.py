"""images + boxes or points -> **who knows the image's kind draws** -> silhouettes, with the name of who drew them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from composition.images import Mask, Outlines
from runners.detector.grabcut import GrabCutSegmenter, sharpened
from runners.detector.queries import SegmentQuery
from runners.detector.sam import SamSegmenter
from runners.home import Home, ask_by_home
from runners.network import all_modules

SAM: Final = "sam"
GRABCUT: Final = "grabcut"


class Outliner:
    """Draws with SAM; with GrabCut where a profile's SAM was trained on one kind of image, and `home` does not know it.

    Such a SAM is a small one: what it draws is cut anew along the image's own colours.

    Args:
        sam: draws in images that `home` knows.
        home: None where SAM knows all.
    """

    def __init__(self, sam: SamSegmenter, home: Home | None = None) -> None:
        self._sam, self._home, self._grabcut = sam, home, GrabCutSegmenter()
        self.module = sam.module if home is None else all_modules(sam, home)

    def segment(self, queries: Sequence[SegmentQuery]) -> list[Outlines]:
        """The outlines of what each query marks, in order."""
        if self._home is None:
            return _by_sam(self._sam.segment(queries))
        return ask_by_home(
            self._home,
            queries,
            lambda query: query.image,
            here=self._sharply,
            elsewhere=lambda others: [
                Outlines(masks=masks, drawn_by=GRABCUT) for masks in self._grabcut.segment(others)
            ],
        )

    def _sharply(self, known: Sequence[SegmentQuery]) -> list[Outlines]:
        drawn = self._sam.segment(known)
        return _by_sam(
            [
                tuple(sharpened(query.image, mark, mask) for mark, mask in zip(query.marks, masks, strict=True))
                for query, masks in zip(known, drawn, strict=True)
            ]
        )


def _by_sam(drawn: Sequence[tuple[Mask, ...]]) -> list[Outlines]:
    return [Outlines(masks=masks, drawn_by=SAM) for masks in drawn]
