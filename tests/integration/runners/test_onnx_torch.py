"""The ONNX detectors as torch modules give what onnxruntime gives, and need no value from the device on their way."""

from __future__ import annotations

import logging

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from composition.config import ModelsConfig
from models_store.store import ModelSet
from runners.onnx_session import OnnxNetwork, find_difference, open_network, open_on_gpu
from runners.onnx_torch import OPERATORS, OnnxModule, TorchNetwork, UnknownOperator

pytestmark = pytest.mark.integration

CPU = torch.device("cpu")
FILES = [("yolox", None), ("dwpose", ("simcc_x", "simcc_y"))]


@pytest.fixture(params=FILES, ids=[role for role, _ in FILES])
def published(request, configured_models):
    role, outputs = request.param
    models = ModelSet(ModelsConfig(profile=configured_models.profile))
    return models.part(role, "model"), outputs


def test_a_published_file_gives_what_onnxruntime_gives(published):
    path, outputs = published
    ours, theirs = TorchNetwork(OnnxModule(path, outputs)), OnnxNetwork(path, CPU, outputs)
    assert ours.fixed_batch == theirs.fixed_batch
    rows = ours.fixed_batch or 2
    batch = np.random.default_rng(1).random((rows, *ours.module.input_shape[1:]), np.float32)
    for mine, other in zip(ours(batch), theirs(batch), strict=True):
        assert mine.shape == other.shape
        assert np.abs(mine - other).max() <= 1e-5 * max(1.0, np.abs(other).max())


def test_no_value_of_the_device_is_asked_for_and_no_two_devices_meet(published):
    path, outputs = published
    module = OnnxModule(path, outputs).to("meta")  # it has shapes and no values: whoever asks for one fails
    shape = [size or 2 for size in module.input_shape]
    expected = TorchNetwork(OnnxModule(path, outputs))(np.zeros(shape, np.float32))
    found = module(torch.empty(shape, device="meta"))
    assert [tuple(output.shape) for output in found] == [output.shape for output in expected]


def graph_of(folder, operator: str, *operands, outputs=("y",), **attributes):
    """A file with one node over x (1, 4, 6, 6); an operand of None is left out."""
    constants = [
        numpy_helper.from_array(np.asarray(value), f"c{n}") for n, value in enumerate(operands) if value is not None
    ]
    names = ["" if value is None else f"c{n}" for n, value in enumerate(operands)]
    node = helper.make_node(operator, ["x", *names], list(outputs), **attributes)
    value = helper.make_tensor_value_info
    inputs, found = [value("x", TensorProto.FLOAT, [1, 4, 6, 6])], [value("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph([node], "test", inputs, found, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(folder / "g.onnx"))
    return folder / "g.onnx"


WEIGHTS = np.linspace(-1, 1, 36, dtype=np.float32).reshape(2, 2, 3, 3)
UP = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
CASES = [
    ("MaxPool", (), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ("AveragePool", (), {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ("Resize", (None, np.float32([1, 1, 2, 2])), UP),
    ("Resize", (None, None, [1, 4, 9, 3]), {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}),
    ("Slice", ([1, -1], [3, -7], [1, 3], [1, -2]), {}),
    ("Transpose", (), {"perm": [0, 2, 3, 1]}),
    ("Pad", ([0, 0, 1, 2, 0, 0, 0, 1], np.float32(0.5)), {}),
    ("Gather", ([[0, -1]],), {"axis": 1}),
    ("Clip", (np.float32(0.2), np.float32(0.7)), {}),
    ("Reshape", ([0, 2, -1],), {}),
    ("HardSigmoid", (), {"alpha": 0.3}),
    ("ReduceL2", (), {"axes": [1], "keepdims": 1}),
    ("Softmax", (), {"axis": 1}),
    ("Unsqueeze", ([0, -1],), {}),
    ("Flatten", (), {"axis": 2}),
    (
        "Conv",
        (np.ones((2, 2, 3, 3), np.float32), np.ones(2, np.float32)),
        {"group": 2, "pads": [1, 0, 1, 2], "strides": [2, 1]},
    ),
    ("LeakyRelu", (), {"alpha": 0.2}),
    ("Split", ([3, 1],), {"axis": 1, "outputs": ("y", "rest")}),
]


@pytest.mark.parametrize(("operator", "operands", "attributes"), CASES)
def test_an_operator_means_what_onnx_says(operator, operands, attributes, tmp_path):
    path = graph_of(tmp_path, operator, *operands, **attributes)
    x = np.random.default_rng(2).random((1, 4, 6, 6), np.float32)
    (ours,), (theirs,) = TorchNetwork(OnnxModule(path))(x), OnnxNetwork(path, CPU)(x)
    assert np.allclose(ours, theirs, atol=1e-6)
    assert ours.shape == theirs.shape


def test_an_operator_that_there_is_none_of_is_named(tmp_path):
    assert "Sin" not in OPERATORS
    with pytest.raises(UnknownOperator, match=r"g\.onnx has the operators Sin"):
        OnnxModule(graph_of(tmp_path, "Sin"))


def test_what_torch_cannot_run_goes_on_in_onnxruntime_with_a_warning(tmp_path, caplog):
    path = graph_of(tmp_path, "Sin")
    with caplog.at_level(logging.WARNING):
        network = open_on_gpu(path, CPU, None)
    assert isinstance(network, OnnxNetwork)
    assert "g.onnx is run by onnxruntime with CPUExecutionProvider: g.onnx has the operators Sin" in caplog.text


def test_what_torch_computes_otherwise_is_found_out(tmp_path, monkeypatch, caplog):
    path = graph_of(tmp_path, "LeakyRelu", alpha=0.2)
    monkeypatch.setitem(OPERATORS, "LeakyRelu", lambda x, a: x[0] * 1.5)
    module = TorchNetwork(OnnxModule(path))
    assert find_difference(module, OnnxNetwork(path, CPU)) == "output 0 is not what onnxruntime gives"
    assert isinstance(open_on_gpu(path, CPU, None), OnnxNetwork)


def test_on_a_device_that_is_no_cpu_torch_runs_it_and_on_a_cpu_onnxruntime(tmp_path):
    path = graph_of(tmp_path, "Softmax", axis=1)
    assert isinstance(open_network(path, CPU), OnnxNetwork)
    network = open_on_gpu(path, CPU, None)
    assert isinstance(network, TorchNetwork)
