"""Pose: people keep their posture (lllyasviel/control_v11p_sd15_openpose); with nobody there the image is black."""

from __future__ import annotations

from composition.controls.control import Control, ControlSource, Need
from composition.images import Image
from composition.imaging.skeleton import draw_skeleton


def draw(source: ControlSource) -> Image:
    """Everybody's skeleton in OpenPose's colours, with the line width of model scale."""
    height, width = source.image.shape[:2]
    return draw_skeleton(source.poses, (height, width))


POSE = Control(name="pose", alone=1.0, together=0.8, needs=frozenset({Need.POSES}), of_things=False, draw=draw)
"""Weights of SPEC.md 5.3."""
