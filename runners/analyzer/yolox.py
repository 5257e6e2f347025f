"""image -> letterbox -> **YOLOX** -> decode -> NMS -> what is in the image.

YOLOX (Ge et al. 2021, arXiv:2107.08430; Apache-2.0) trained on COCO, as the ONNX file that the DWPose authors publish:
`images` float32 (1, 3, 640, 640), BGR in 0..255 -> (1, 8400, 85), a row per cell of the strides 8, 16 and 32:
centre offset in cells, log size in cells, objectness, 80 class probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from composition.images import Detection, Image
from runners.analyzer.labels import COCO_LABELS
from runners.boxes import Boxes, best_per_label, clip_boxes, has_area
from runners.network import Network, Tensor, module_of, run_in_batches

INPUT_PX = 640
STRIDES = (8, 16, 32)
PADDING_GREY = 114
SCORE_THRESHOLD = 0.3
"""Objectness x class probability below which nothing is reported, as DWPose's pipeline does."""
NMS_THRESHOLD = 0.45
"""YOLOX's own, per class."""
_LARGEST_LOG_SIZE = 10.0


class YoloxDetector:
    """Finds COCO objects with the ONNX model described above."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._cells, self._strides = _grid()

    @property
    def module(self) -> object:
        return module_of(self._network)

    def detect(self, images: Sequence[Image]) -> list[tuple[Detection, ...]]:
        """COCO objects per image, best first, boxes in its pixels. Images may differ in size."""
        prepared = [letterbox(image) for image in images]
        (rows,) = run_in_batches(self._network, np.stack([canvas for canvas, _ in prepared]))
        return [self._read(row, image, scale) for row, image, (_, scale) in zip(rows, images, prepared, strict=True)]

    def _read(self, rows: Tensor, image: Image, scale: npt.NDArray[np.float32]) -> tuple[Detection, ...]:
        """One image's 8400 rows as detections; `scale` (2,) is canvas pixels per image pixel, x and y."""
        probabilities = rows[:, 4:5] * rows[:, 5:]
        cells, classes = np.nonzero(probabilities >= SCORE_THRESHOLD)
        if not cells.size:
            return ()
        scores = probabilities[cells, classes]
        in_image: Boxes = self._decode(rows[cells, :4], cells) / np.concatenate([scale, scale])
        boxes = clip_boxes(in_image, *image.shape[:2])
        usable = has_area(boxes)
        return best_per_label(boxes[usable], scores[usable], classes[usable], COCO_LABELS, NMS_THRESHOLD)

    def _decode(self, raw: Tensor, cells: npt.NDArray[np.intp]) -> Boxes:
        """Rows (N, 4) of the cells with indices `cells` as boxes on the canvas, in pixels."""
        strides = self._strides[cells, None]
        centres = (raw[:, :2] + self._cells[cells]) * strides
        # Untrained weights can ask for e^1000: the canvas is no larger than e^7.
        half = np.exp(np.minimum(raw[:, 2:], _LARGEST_LOG_SIZE)) * strides / 2
        boxes: Boxes = np.concatenate([centres - half, centres + half], axis=1).astype(np.float32)
        return boxes


def letterbox(image: Image) -> tuple[Tensor, npt.NDArray[np.float32]]:
    """Fit an image into YOLOX's square: top left, aspect kept, the rest grey.

    Gives float32 (3, 640, 640) in BGR, and the pixels of the square per pixel of the image, float32 (x, y): apart, as
    each is rounded to whole pixels.
    """
    height, width = image.shape[:2]
    ratio = min(INPUT_PX / height, INPUT_PX / width)
    new_height, new_width = max(1, int(height * ratio)), max(1, int(width * ratio))
    resized = cv2.resize(image, (new_width, new_height), interpolation=cv2.INTER_LINEAR)
    canvas = np.full((INPUT_PX, INPUT_PX, 3), PADDING_GREY, np.uint8)
    canvas[:new_height, :new_width] = resized
    planes = np.ascontiguousarray(canvas[:, :, ::-1].transpose(2, 0, 1), dtype=np.float32)
    return planes, np.array([new_width / width, new_height / height], np.float32)


def _grid() -> tuple[Tensor, Tensor]:
    """Column and row of every cell (8400, 2), and its stride in pixels (8400,)."""
    cells, strides = [], []
    for stride in STRIDES:
        side = INPUT_PX // stride
        rows, columns = np.divmod(np.arange(side * side), side)
        cells.append(np.stack([columns, rows], axis=1))
        strides.append(np.full(side * side, stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)
