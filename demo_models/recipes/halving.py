"""ONNX files of networks that others trained -> **half precision** -> the shipped weights.

Only the numbers that take the room are stored in half precision, each with a cast behind it: a runtime computes in
float32 as before, and folds the casts when it loads the file.
"""

from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_LEAST_NUMBERS: Final = 1024
"""Smaller constants stay as they are."""


def halve(source: Path, target: Path) -> None:
    """Writes a network whose large constants are in half precision and whose image input is float32.

    Raises:
        ValueError: A constant is too large for half precision, or the network has several inputs.
    """
    model = onnx.load(str(source))
    _take_float_input(model.graph)
    casts = []
    for constant in model.graph.initializer:
        values = numpy_helper.to_array(constant)
        if constant.data_type != TensorProto.FLOAT or values.size < _LEAST_NUMBERS:
            continue
        if (largest := np.abs(values).max()) > np.finfo(np.float16).max:
            raise ValueError(f"{source.name}: {constant.name} reaches {largest:.0f}")
        whole, stored = constant.name, f"{constant.name}:half"
        constant.CopyFrom(numpy_helper.from_array(values.astype(np.float16), stored))
        casts.append(helper.make_node("Cast", [stored], [whole], to=TensorProto.FLOAT))
    for place, cast in enumerate(casts):
        model.graph.node.insert(place, cast)
    onnx.checker.check_model(model)
    onnx.save(model, str(target))


def _take_float_input(graph: onnx.GraphProto) -> None:
    """An input of whole numbers that is only cast becomes float32: every other network of ours takes that."""
    constants = {constant.name for constant in graph.initializer}
    image, *others = [item for item in graph.input if item.name not in constants]
    if others:
        raise ValueError(f"the network has the inputs {image.name} and {others[0].name}")
    if image.type.tensor_type.elem_type == TensorProto.FLOAT:
        return
    for node in graph.node:
        if image.name in node.input and node.op_type != "Cast":
            raise ValueError(f"{node.op_type} needs the input {image.name} as it is")
    whole = {node.output[0] for node in graph.node if image.name in node.input}
    for place in reversed(range(len(graph.node))):
        if image.name in graph.node[place].input:
            del graph.node[place]
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name in whole:
                node.input[place] = image.name
    image.type.tensor_type.elem_type = TensorProto.FLOAT
