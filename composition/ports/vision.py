"""Models that look at an image or a prompt: route, detect, mask, condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from composition.decision import ReferenceKind
from composition.images import DepthMap, Detection, Image, Outlines, Pose
from composition.marks import Mark


class Analyzer(Protocol):
    """Signals for the router: YOLOX and CLIP; and what kind of image it is."""

    async def detect_objects(self, image: Image, *, like: Image | None = None) -> tuple[Detection, ...]:
        """COCO objects of the image (person, car, ...), best first, after NMS.

        Where images of one kind have a network of their own, that of `like` is asked, another image; None: its own.
        """
        ...

    async def knows(self, image: Image) -> bool:
        """Whether the profile's models were made for images of this kind, as far as it has means to tell."""
        ...

    async def classify_reference(self, image: Image) -> Mapping[ReferenceKind, float]:
        """Probability (0..1, sums to 1) per kind of what the reference shows."""
        ...

    async def classify_prompt(self, prompt: str) -> float:
        """Probability (0..1) that the prompt is about a body, a vehicle or furniture."""
        ...


class Detector(Protocol):
    """GroundingDINO: where is the thing that a phrase names."""

    async def detect(self, image: Image, phrase: str, *, like: Image | None = None) -> tuple[Detection, ...]:
        """Instances of `phrase`, best first, above the configured confidence, after NMS; boxes inside the image.

        `like` as for `Analyzer.detect_objects`.
        """
        ...


class Segmenter(Protocol):
    """SAM, or what draws for it: the silhouette of what is in a box or under a click."""

    async def segment(self, image: Image, detections: Sequence[Detection]) -> Outlines:
        """One outline per detection, same order."""
        ...

    async def segment_marked(self, image: Image, mark: Mark) -> Outlines:
        """The one outline of the thing that is pointed at, in pixels of `image`."""
        ...


class PoseEstimator(Protocol):
    """DWPose's pose net."""

    async def estimate_pose(self, image: Image, people: Sequence[Detection]) -> tuple[Pose, ...]:
        """One pose per person box, same order; empty when there is nobody. Coordinates in pixels of `image`."""
        ...


class DepthEstimator(Protocol):
    """Depth-Anything V2."""

    async def estimate_depth(self, image: Image) -> DepthMap:
        """Relative depth of the size of `image`, 255 = nearest; a flat scene is all zeros."""
        ...
