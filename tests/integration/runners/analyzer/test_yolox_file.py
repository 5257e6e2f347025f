"""YOLOX through onnxruntime: a file with planted boxes, and the file of the model store."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from runners.analyzer.labels import COCO_LABELS
from runners.analyzer.yolox import YoloxDetector
from runners.onnx_session import OnnxNetwork

CPU = torch.device("cpu")


def write_planted_yolox(path, rows, batch):
    """`images` (batch, 3, 640, 640) -> the same (8400, 85) rows for every image, plus 0 x the mean of its pixels."""
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Squeeze", ["nothing", "last"], ["nothing3"]),
        helper.make_node("Add", ["rows", "nothing3"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "planted",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, 640, 640])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [batch, 8400, 85])],
        [
            numpy_helper.from_array(rows[None], "rows"),
            numpy_helper.from_array(np.zeros(1, np.float32), "zero"),
            numpy_helper.from_array(np.array([3], np.int64), "last"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, str(path))


@pytest.mark.parametrize("batch", [1, "batch"])
def test_a_planted_car_is_found_in_a_image_that_is_not_square(tmp_path, batch):
    rows = np.zeros((8400, 85), np.float32)
    # Stride 16, column 10, row 5 on the canvas; the image is 1280 x 720, so a canvas pixel is two of it.
    cell = 6400 + 5 * 40 + 10
    rows[cell, :4] = 0.25, 0.5, np.log(96 / 16), np.log(64 / 16)
    rows[cell, 4], rows[cell, 5 + COCO_LABELS.index("car")] = 0.9, 0.8
    write_planted_yolox(tmp_path / "yolox.onnx", rows, batch)
    photo = np.full((720, 1280, 3), 90, np.uint8)

    results = YoloxDetector(OnnxNetwork(tmp_path / "yolox.onnx", CPU)).detect([photo, photo])

    centre_x, centre_y = (10.25 * 16) * 2, (5.5 * 16) * 2
    for (found,) in results:
        assert found.label == "car"
        assert found.score == pytest.approx(0.72, abs=1e-5)
        assert [found.box.x0, found.box.y0, found.box.x1, found.box.y1] == pytest.approx(
            [centre_x - 96, centre_y - 64, centre_x + 96, centre_y + 64], abs=2
        )


def test_the_file_of_the_model_store_answers_with_boxes_inside_the_image(tiny_models):
    detector = YoloxDetector(OnnxNetwork(tiny_models.part("yolox", "model"), CPU))
    rng = np.random.default_rng(5)
    images = [np.full((333, 517, 3), (215, 110, 60), np.uint8), rng.integers(0, 256, (700, 300, 3), dtype=np.uint8)]

    for photo, found in zip(images, detector.detect(images), strict=True):
        height, width = photo.shape[:2]
        for item in found:
            assert item.label in COCO_LABELS
            assert 0 <= item.box.x0 < item.box.x1 <= width
            assert 0 <= item.box.y0 < item.box.y1 <= height
        assert found == detector.detect([photo])[0]
