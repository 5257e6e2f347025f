"""questions about images -> **the detector that knows the image's kind** -> what was found.

Not the union of what both find: on images that are not its own, a detector of few classes sees them everywhere
(docs/adr/0017). All frames of a clip are of one kind, whatever single ones look like: a question may name another
image, whose kind counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from composition.images import Detection, Image
from runners.home import Home, ask_by_home
from runners.network import all_modules


class AboutImage(Protocol):
    """A question about `image`, which is taken for of the kind of `like`; None: of its own."""

    @property
    def image(self) -> Image: ...

    @property
    def like(self) -> Image | None: ...


Asked = TypeVar("Asked", bound=AboutImage)
Asked_contra = TypeVar("Asked_contra", contravariant=True)


class Detector(Protocol[Asked_contra]):
    """YOLOX, which is asked by images, GroundingDINO, by queries, what stands in for one, or several."""

    @property
    def module(self) -> object: ...

    def detect(self, asked: Sequence[Asked_contra], /) -> list[tuple[Detection, ...]]: ...


class DetectorsByHome(Generic[Asked]):
    """Finds with `here` in images that `home` knows, with `elsewhere` in all others; as these say what they find."""

    def __init__(self, home: Home, *, here: Detector[Asked], elsewhere: Detector[Asked]) -> None:
        self._home, self._here, self._elsewhere = home, here, elsewhere
        self.module = all_modules(home, here, elsewhere)

    def detect(self, asked: Sequence[Asked]) -> list[tuple[Detection, ...]]:
        """What was found for each, in order."""
        return ask_by_home(self._home, asked, _kind_of, self._here.detect, self._elsewhere.detect)


def _kind_of(asked: AboutImage) -> Image:
    return asked.image if asked.like is None else asked.like
