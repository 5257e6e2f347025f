"""DWPose through onnxruntime: a file with planted SimCC peaks, and the file of the model store."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from composition.images import Box
from runners.onnx_session import OnnxNetwork
from runners.structure.dwpose import DwPose
from runners.structure.queries import PoseQuery

CPU = torch.device("cpu")
OUTPUTS = ("simcc_x", "simcc_y")


def write_planted_dwpose(path, points, batch, score=0.9):
    """`input` (batch, 3, 384, 288) -> for everybody a peak at `points` (133, 2), in pixels of the crop."""
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Squeeze", ["nothing", "last"], ["nothing3"]),
    ]
    weights = [
        numpy_helper.from_array(np.zeros(1, np.float32), "zero"),
        numpy_helper.from_array(np.array([3], np.int64), "last"),
    ]
    outputs = []
    # simcc_y comes first in this file: outputs are taken by name.
    for axis, bins in (("y", 768), ("x", 576)):
        column = 0 if axis == "x" else 1
        peaks = np.exp(-((np.arange(bins)[None] - 2 * points[:, column, None]) ** 2) / 8) * score
        weights.append(numpy_helper.from_array(peaks[None].astype(np.float32), f"peaks_{axis}"))
        nodes.append(helper.make_node("Add", [f"peaks_{axis}", "nothing3"], [f"simcc_{axis}"]))
        outputs.append(helper.make_tensor_value_info(f"simcc_{axis}", TensorProto.FLOAT, [batch, 133, bins]))
    graph = helper.make_graph(
        nodes,
        "planted",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, 3, 384, 288])],
        outputs,
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, str(path))


@pytest.mark.parametrize("batch", ["batch", 1])
def test_planted_peaks_are_in_pixels_of_a_image_that_is_not_square(tmp_path, batch):
    rng = np.random.default_rng(1)
    points = np.stack([rng.uniform(10, 278, 133), rng.uniform(10, 374, 133)], axis=1)
    write_planted_dwpose(tmp_path / "dwpose.onnx", points, batch)
    tall, wide = Box(x0=50, y0=100, x1=250, y1=900), Box(x0=10, y0=300, x1=650, y1=420)
    query = PoseQuery(image=np.zeros((1024, 683, 3), np.uint8), people=(tall, wide))

    ((first, second),) = DwPose(OnnxNetwork(tmp_path / "dwpose.onnx", CPU, OUTPUTS)).estimate([query])

    # The crop is 1.25 x the box at 3:4, centred on it: 750 x 1000 around (150, 500), 800 x 1066.7 around (330, 360).
    for pose, centre, height in ((first, (150, 500), 1000), (second, (330, 360), 800 / 0.75)):
        expected = np.array(centre) + (points - (144, 192)) * height / 384
        assert np.abs(pose.face[:, :2] - expected[23:91]).max() <= 2
        assert np.abs(pose.left_hand[:, :2] - expected[91:112]).max() <= 2
        assert np.abs(pose.right_hand[:, :2] - expected[112:133]).max() <= 2
        assert np.abs(pose.body[0, :2] - expected[0]).max() <= 2
        assert np.abs(pose.body[1, :2] - expected[5:7].mean(axis=0)).max() <= 2
        assert pose.body[:, 2] == pytest.approx(0.9, abs=0.03)


def test_the_file_of_the_model_store_finds_a_body_in_the_box(tiny_models):
    dwpose = DwPose(OnnxNetwork(tiny_models.part("dwpose", "model"), CPU, OUTPUTS))
    image = np.random.default_rng(0).integers(0, 256, (400, 300, 3), dtype=np.uint8)
    person = Box(x0=60, y0=40, x1=220, y1=380)

    (poses,) = dwpose.estimate([PoseQuery(image=image, people=(person, person))])

    assert np.array_equal(poses[0].body, poses[1].body)
    assert poses[0].body[:, 2].max() > 0.3
    assert np.all((poses[0].body[:, 0] > -100) & (poses[0].body[:, 0] < 400))
