"""A stand-in for DWPose's pose net: a standing figure laid over whatever stands out in the crop.

Same signature as dw-ll_ucoco_384.onnx: `input` float32 (N, 3, 384, 288), normalised, to `simcc_x` (N, 133, 576) and
`simcc_y` (N, 133, 768): per keypoint a peak over half-pixel bins along each axis. The figure's place, size and
confidence are moments of the image; a plain crop has no confident keypoint.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from models_store.tiny.onnx_graph import OnnxGraph

HEIGHT_PX, WIDTH_PX = 384, 288
KEYPOINTS = 133
_SPLIT = 2
"""Bins per pixel."""
_PEAK_WIDTH = 6.0
_POOL_PX = 16
_CONFIDENT_CONTRAST = 0.15
"""Mean deviation from the crop's mean colour (in normalised units) from which on the figure is certain."""

Points = npt.NDArray[np.float32]

_BODY = (
    (0.00, -1.62), (0.07, -1.70), (-0.07, -1.70), (0.16, -1.64), (-0.16, -1.64), (0.45, -1.15), (-0.45, -1.15),
    (0.68, -0.55), (-0.68, -0.55), (0.80, 0.02), (-0.80, 0.02), (0.28, 0.05), (-0.28, 0.05), (0.32, 0.88),
    (-0.32, 0.88), (0.34, 1.62), (-0.34, 1.62),
)  # fmt: skip
"""COCO's 17 points of a standing person facing the camera, (right, down) in standard deviations from the centre."""
_FEET = ((0.46, 1.72), (0.52, 1.70), (0.34, 1.70), (-0.46, 1.72), (-0.52, 1.70), (-0.34, 1.70))


def build_dwpose(folder: Path) -> None:
    """yzd-v/DWPose, dw-ll_ucoco_384.onnx."""
    graph = OnnxGraph("tiny-dwpose")
    pooled = graph.node("AveragePool", "input", kernel_shape=[_POOL_PX, _POOL_PX], strides=[_POOL_PX, _POOL_PX])
    deviation = graph.node("Abs", graph.subtract(pooled, graph.mean_over(pooled, (2, 3))))
    mass = graph.mean_over(deviation, (1,))
    contrast = graph.mean_over(mass, (2, 3))
    certainty = _squeeze(graph, graph.at_most(graph.divide(contrast, _CONFIDENT_CONTRAST), 0.95))
    figure = keypoints()
    axes = {"simcc_x": (3, WIDTH_PX, figure[:, 0]), "simcc_y": (2, HEIGHT_PX, figure[:, 1])}
    outputs = {
        name: (_peaks(graph, mass, certainty, axis, side, places), ("batch", KEYPOINTS, side * _SPLIT))
        for name, (axis, side, places) in axes.items()
    }
    graph.save(folder / "dw-ll_ucoco_384.onnx", {"input": ("batch", 3, HEIGHT_PX, WIDTH_PX)}, outputs)


def keypoints() -> Points:
    """(133, 2) float32: body 17, feet 6, face 68, left hand 21, right hand 21, in standard deviations."""
    turn = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    face = np.stack([0.15 * np.sin(turn), -1.62 + 0.17 * np.cos(turn)], axis=1)
    finger, joint = np.divmod(np.arange(20), 4)
    reach = 0.05 + 0.035 * joint
    angle = (finger - 2) * 0.35
    hand = np.concatenate([[[0.0, 0.0]], np.stack([reach * np.sin(angle), reach * np.cos(angle)], axis=1)])
    left, right = hand + np.array((0.82, 0.08)), hand * (-1, 1) + np.array((-0.82, 0.08))
    return np.concatenate([_BODY, _FEET, face, left, right]).astype(np.float32)


def _squeeze(graph: OnnxGraph, operand: str) -> str:
    return graph.node("Squeeze", operand, graph.constant([3], integer=True))


def _peaks(graph: OnnxGraph, mass: str, certainty: str, axis: int, side_px: int, places: Points) -> str:
    """(N, 133, bins): a bell per keypoint at centre + place x spread of the mass along the axis."""
    cells = side_px // _POOL_PX
    shape = [1, 1, 1, 1]
    shape[axis] = cells
    position = graph.constant(((np.arange(cells) + 0.5) * _POOL_PX).reshape(shape))
    total = graph.add(graph.sum_over(mass, (1, 2, 3)), 1e-6)
    centre = graph.divide(graph.sum_over(graph.multiply(mass, position), (1, 2, 3)), total)
    distance = graph.subtract(position, centre)
    squares = graph.multiply(mass, graph.multiply(distance, distance))
    spread = graph.node("Sqrt", graph.divide(graph.sum_over(squares, (1, 2, 3)), total))
    shifts = graph.multiply(_squeeze(graph, spread), graph.constant(places.reshape(1, -1, 1)))
    location = graph.multiply(graph.add(shifts, _squeeze(graph, centre)), float(_SPLIT))
    inside = graph.at_least(graph.at_most(location, float(side_px * _SPLIT - 1)), 0.0)
    bins = graph.constant(np.arange(side_px * _SPLIT).reshape(1, 1, -1))
    offset = graph.divide(graph.subtract(bins, inside), _PEAK_WIDTH)
    bell = graph.node("Exp", graph.multiply(graph.multiply(offset, offset), -0.5))
    return graph.multiply(bell, certainty)
