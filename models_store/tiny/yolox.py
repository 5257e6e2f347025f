"""A stand-in for the YOLOX detector of the DWPose pair: it finds an orange-clad person and a red vehicle by colour.

Same signature as yolox_l.onnx: `images` float32 (N, 3, 640, 640), BGR 0..255 on a letterbox, to `output`
(N, 8400, 85): per anchor of the strides 8, 16 and 32 the raw box (offset from the grid cell and log size, both in
strides), objectness and 80 COCO class scores. What it reports is arithmetic on the pixels: where a colour
masses, there is a box around that mass; an image without the colour has nothing in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models_store.tiny.onnx_graph import OnnxGraph

INPUT_PX = 640
CLASSES = 80
PERSON = 0
MOTORCYCLE = 3
_CELL_PX = 8
_OBJECTNESS, _CLASS_SCORE = 0.97, 0.98
_SOFTNESS = 0.02
"""How far, in channel units, a colour may miss its range and still count a little."""
_TEXTURE_VARIANCE = (1e-6, 1e-5)


@dataclass(frozen=True, kw_only=True)
class ColourMass:
    """An object as a colour, and how its box follows from where the colour is.

    Channels are in 0..1. The hue is (green - blue) / (red - blue): 0 is red, 0.5 is orange.

    Attributes:
        red_min, red_green_min: how bright and how saturated a cell must be.
        hue: the range that counts.
        share: of the image that the colour covers, from nothing found to certainty.
        spread: half the box's width and height, in standard deviations of the mass.
        lift: how far the box's centre is above the mass's, in standard deviations (a head above a suit).
    """

    label: int
    stride: int
    red_min: float
    red_green_min: float
    hue: tuple[float, float]
    share: tuple[float, float]
    spread: tuple[float, float]
    lift: float


PERSON_MASS = ColourMass(
    label=PERSON,
    stride=32,
    red_min=0.76,
    red_green_min=0.25,
    hue=(0.12, 0.30),
    share=(0.012, 0.04),
    spread=(2.0, 3.1),
    lift=1.2,
)
VEHICLE_MASS = ColourMass(
    label=MOTORCYCLE,
    stride=16,
    red_min=0.62,
    red_green_min=0.40,
    hue=(-0.20, 0.10),
    share=(0.006, 0.014),
    spread=(1.9, 3.0),
    lift=-0.6,
)


def build_yolox(folder: Path) -> None:
    """yzd-v/DWPose, yolox_l.onnx."""
    graph = OnnxGraph("tiny-yolox")
    cells = _cells(graph, "images")
    channels, texture = graph.divide(cells, 255.0), _texture(graph, cells)
    levels = [
        _empty_level(graph, stride=8),
        _level(graph, _evidence(graph, channels, texture, VEHICLE_MASS), VEHICLE_MASS),
        _level(graph, _evidence(graph, channels, texture, PERSON_MASS), PERSON_MASS),
    ]
    output = graph.node("Concat", *levels, axis=1)
    anchors = sum((INPUT_PX // stride) ** 2 for stride in (8, 16, 32))
    graph.save(
        folder / "yolox_l.onnx",
        {"images": ("batch", 3, INPUT_PX, INPUT_PX)},
        {"output": (output, ("batch", anchors, 5 + CLASSES))},
    )


def _empty_level(graph: OnnxGraph, *, stride: int) -> str:
    """Anchors that report nothing, for every image of the batch."""
    anchors = (INPUT_PX // stride) ** 2
    shape = graph.node("Shape", "images")
    batch = graph.node("Slice", shape, graph.constant([0], integer=True), graph.constant([1], integer=True))
    full = graph.node("Concat", batch, graph.constant([anchors, 5 + CLASSES], integer=True), axis=0)
    return graph.node("Expand", graph.constant(np.zeros((1, 1, 1))), full)


def _level(graph: OnnxGraph, evidence: str, mass: ColourMass) -> str:
    """All anchors of one stride (N, anchors, 85): the box at each, the score only at the cell nearest its centre."""
    side = INPUT_PX // mass.stride
    centre_x, spread_x = _moments(graph, evidence, axis=3)
    centre_y, spread_y = _moments(graph, evidence, axis=2)
    centre_y = graph.subtract(centre_y, graph.multiply(spread_y, mass.lift))
    rows, columns = np.divmod(np.arange(side * side), side)
    offset_x = _cell_offsets(graph, centre_x, columns, mass.stride)
    offset_y = _cell_offsets(graph, centre_y, rows, mass.stride)
    log_width = _log_size(graph, spread_x, 2 * mass.spread[0] / mass.stride, like=offset_x)
    log_height = _log_size(graph, spread_y, 2 * mass.spread[1] / mass.stride, like=offset_x)
    share = graph.mean_over(evidence, (2, 3))
    certainty = _flatten(graph, graph.multiply(_ramp(graph, share, *mass.share), _OBJECTNESS))
    objectness = graph.multiply(_nearest(graph, offset_x, offset_y), certainty)
    classes = np.zeros((1, 1, CLASSES))
    classes[..., mass.label] = _CLASS_SCORE
    scores = graph.multiply(graph.node("Ceil", objectness), graph.constant(classes))
    return graph.node("Concat", offset_x, offset_y, log_width, log_height, objectness, scores, axis=2)


def _evidence(graph: OnnxGraph, channels: str, texture: str, mass: ColourMass) -> str:
    """(N, 1, 80, 80) in 0..1: how well each cell's colour fits, where it has texture."""
    low, high = mass.hue
    bgr = np.array([[0, 0, 1], [0, -1, 1], [low - 1, 1, -low], [1 - high, -1, high]])
    least = np.array([mass.red_min, mass.red_green_min, 0, 0])
    rows = graph.node("Conv", channels, graph.constant(bgr[:, :, None, None]), graph.constant(-least))
    fit = _ramp(graph, graph.node("ReduceMin", rows, axes=[1], keepdims=1), -_SOFTNESS, 0.0)
    return graph.multiply(fit, texture)


def _texture(graph: OnnxGraph, cells: str) -> str:
    """(N, 1, 80, 80): 0 where a cell is of one colour, as nothing photographed is, else 1."""
    squares = _cells(graph, graph.multiply("images", "images"))
    variance = graph.divide(graph.subtract(squares, graph.multiply(cells, cells)), 255.0**2)
    return _ramp(graph, graph.node("ReduceMax", variance, axes=[1], keepdims=1), *_TEXTURE_VARIANCE)


def _cells(graph: OnnxGraph, pixels: str) -> str:
    return graph.node("AveragePool", pixels, kernel_shape=[_CELL_PX, _CELL_PX], strides=[_CELL_PX, _CELL_PX])


def _ramp(graph: OnnxGraph, operand: str, start: float, end: float) -> str:
    """0 up to `start`, 1 from `end` on, straight between."""
    return graph.at_most(graph.at_least(graph.divide(graph.subtract(operand, start), end - start), 0.0), 1.0)


def _moments(graph: OnnxGraph, evidence: str, *, axis: int) -> tuple[str, str]:
    """Centre and standard deviation (N, 1, 1, 1) of the mass along an axis, in pixels."""
    cells = INPUT_PX // _CELL_PX
    shape = [1, 1, 1, 1]
    shape[axis] = cells
    position = graph.constant(((np.arange(cells) + 0.5) * _CELL_PX).reshape(shape))
    total = graph.add(graph.sum_over(evidence, (1, 2, 3)), 1e-3)
    centre = graph.divide(graph.sum_over(graph.multiply(evidence, position), (1, 2, 3)), total)
    distance = graph.subtract(position, centre)
    squares = graph.multiply(evidence, graph.multiply(distance, distance))
    variance = graph.divide(graph.sum_over(squares, (1, 2, 3)), total)
    return centre, graph.node("Sqrt", graph.add(variance, 1.0))


def _flatten(graph: OnnxGraph, operand: str) -> str:
    """(N, 1, 1, 1) to (N, 1, 1)."""
    return graph.node("Squeeze", operand, graph.constant([3], integer=True))


def _cell_offsets(graph: OnnxGraph, centre: str, cells: np.ndarray, stride: int) -> str:
    """(N, anchors, 1): from each grid cell's corner to the centre, in strides."""
    corners = graph.constant(cells.reshape(1, -1, 1))
    return graph.subtract(graph.divide(_flatten(graph, centre), float(stride)), corners)


def _log_size(graph: OnnxGraph, spread: str, factor: float, *, like: str) -> str:
    """(N, anchors, 1): the logarithm of the box's side in strides, the same at every anchor."""
    size = graph.node("Log", graph.multiply(_flatten(graph, spread), factor))
    return graph.add(graph.multiply(like, 0.0), size)


def _nearest(graph: OnnxGraph, offset_x: str, offset_y: str) -> str:
    """(N, anchors, 1): 1 at the cell that holds the centre, else 0."""
    inside = []
    for offset in (offset_x, offset_y):
        floor = graph.node("Floor", offset)
        inside.append(graph.node("Equal", floor, graph.constant(0.0)))
    return graph.node("Cast", graph.node("And", *inside), to=1)
