"""images, or questions about images -> **the detector that knows the image's kind** -> what was found.

Not the union of what both find: on images that are not its own, a detector of few classes sees them everywhere
(docs/adr/0017).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from composition.images import Detection, Image
from runners.home import Home, ask_by_home
from runners.network import all_modules

Asked = TypeVar("Asked")
Asked_contra = TypeVar("Asked_contra", contravariant=True)


class Detector(Protocol[Asked_contra]):
    """YOLOX, which is asked by images, GroundingDINO, by images with phrases, what stands in for one, or several."""

    @property
    def module(self) -> object: ...

    def detect(self, asked: Sequence[Asked_contra], /) -> list[tuple[Detection, ...]]: ...


class DetectorsByHome(Generic[Asked]):
    """Finds with `here` in images that `home` knows, with `elsewhere` in all others; as these say what they find."""

    def __init__(
        self, home: Home, image_of: Callable[[Asked], Image], *, here: Detector[Asked], elsewhere: Detector[Asked]
    ) -> None:
        self._home, self._image_of, self._here, self._elsewhere = home, image_of, here, elsewhere
        self.module = all_modules(home, here, elsewhere)

    def detect(self, asked: Sequence[Asked]) -> list[tuple[Detection, ...]]:
        """What was found for each, in order."""
        return ask_by_home(self._home, asked, self._image_of, self._here.detect, self._elsewhere.detect)
