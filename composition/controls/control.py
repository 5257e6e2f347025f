"""What a control type is: everything that the service knows of it, in one value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from composition.images import DepthMap, Image, Mask, Pose
from composition.request import ControlType


class Need(StrEnum):
    """What has to be estimated from the photo before a control's image can be made."""

    POSES = "poses"
    DEPTH = "depth"


@dataclass(frozen=True, kw_only=True, eq=False)
class ControlSource:
    """The photo as the diffusion model sees it, and what is known of it.

    Attributes:
        image: (h, w, 3) RGB uint8 at model size.
        poses: everybody's keypoints in pixels of `image`; empty unless a control needs them.
        depth: (h, w) uint8, 255 = nearest; None unless a control needs it.
        gone: (h, w), 0/255: where something is taken away, whose shape must not hold; None: nothing is.
    """

    image: Image
    poses: Sequence[Pose] = ()
    depth: DepthMap | None = None
    gone: Mask | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Control:
    """A control type.

    Attributes:
        name: as requests, responses and counters spell it.
        alone, together: its weight as the only control and beside others; the user's scale is a factor on it.
        needs: what `draw` takes from the source beside the image.
        of_things: its image shows the things that are there, and so forbids to add one.
        draw: makes the ControlNet's image (h, w, 3), RGB uint8, of the source's size.
    """

    name: ControlType
    alone: float
    together: float
    draw: Callable[[ControlSource], Image]
    needs: frozenset[Need] = frozenset()
    of_things: bool = True

    @property
    def role(self) -> str:
        """Of the manifest's model that holds its ControlNet, as `models_used` reports it."""
        return f"controlnet-{self.name}"
