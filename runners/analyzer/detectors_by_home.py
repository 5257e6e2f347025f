"""image -> **the detector that knows its kind** -> what is in the image.

Not the union of what both find: on images that are not its own, a detector of few classes sees them everywhere
(docs/adr/0017).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from composition.images import Detection, Image
from runners.home import Home, ask_by_home
from runners.network import all_modules


class ObjectDetector(Protocol):
    """YOLOX, or several detectors."""

    @property
    def module(self) -> object: ...

    def detect(self, images: Sequence[Image]) -> list[tuple[Detection, ...]]: ...


class DetectorsByHome:
    """Finds COCO objects: with `here` in images that `home` knows, with `elsewhere` in all others."""

    def __init__(self, home: Home, *, here: ObjectDetector, elsewhere: ObjectDetector) -> None:
        self._home, self._here, self._elsewhere = home, here, elsewhere
        self.module = all_modules(home, here, elsewhere)

    def detect(self, images: Sequence[Image]) -> list[tuple[Detection, ...]]:
        """COCO objects per image, best first, boxes in its pixels. Images may differ in size."""
        return ask_by_home(self._home, images, lambda image: image, self._here.detect, self._elsewhere.detect)
