"""A little writer of ONNX graphs, for detectors that are arithmetic on pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8
Dimension = int | str


class OnnxGraph:
    """Collects nodes and constants; every method returns the name of its result."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def constant(self, value: npt.ArrayLike, *, integer: bool = False) -> str:
        """A float32 (or int64) tensor."""
        name = f"constant_{len(self._constants)}"
        array = np.asarray(value, dtype=np.int64 if integer else np.float32)
        self._constants.append(numpy_helper.from_array(array, name))
        return name

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Apply an ONNX operator with one output."""
        name = f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def add(self, left: str, right: str | float) -> str:
        return self.node("Add", left, self._operand(right))

    def subtract(self, left: str, right: str | float) -> str:
        return self.node("Sub", left, self._operand(right))

    def multiply(self, left: str, right: str | float) -> str:
        return self.node("Mul", left, self._operand(right))

    def divide(self, left: str, right: str | float) -> str:
        return self.node("Div", left, self._operand(right))

    def at_least(self, left: str, right: str | float) -> str:
        return self.node("Max", left, self._operand(right))

    def at_most(self, left: str, right: str | float) -> str:
        return self.node("Min", left, self._operand(right))

    def sum_over(self, operand: str, axes: Sequence[int]) -> str:
        """Sum, keeping the summed dimensions with length one."""
        return self.node("ReduceSum", operand, self.constant(list(axes), integer=True), keepdims=1)

    def mean_over(self, operand: str, axes: Sequence[int]) -> str:
        """Mean, keeping the dimensions with length one."""
        return self.node("ReduceMean", operand, axes=list(axes), keepdims=1)

    def save(
        self,
        path: Path,
        inputs: Mapping[str, Sequence[Dimension]],
        outputs: Mapping[str, tuple[str, Sequence[Dimension]]],
    ) -> None:
        """Check the graph and write it.

        Args:
            path: the .onnx file.
            inputs: shape by name; a text is a dynamic dimension.
            outputs: by name, the result that it shows and its shape.
        """
        for name, (result, _) in outputs.items():
            self._nodes.append(helper.make_node("Identity", [result], [name]))
        graph = helper.make_graph(
            self._nodes,
            self._name,
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(s)) for name, (_, s) in outputs.items()],
            self._constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name=self._name)
        model.ir_version = IR_VERSION
        onnx.checker.check_model(model, full_check=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, str(path))

    def _operand(self, value: str | float) -> str:
        return value if isinstance(value, str) else self.constant(value)
