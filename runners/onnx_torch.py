"""An ONNX graph as a torch module: the detectors that are published as ONNX files run where the other models do.

onnxruntime for CUDA is another distribution of the same package, for one version of CUDA, which need not be torch's
(ADR 9). A graph of these networks is a few hundred nodes of some forty operators, all of which torch has.
Integers are shapes and indices, and some operators take a number as an operand: those stay on the CPU, where their
values are read without waiting for the GPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional as F  # noqa: N812  as torch's own documentation has it

from runners.network import Tensor

Attributes = Mapping[str, Any]
Operands = Sequence[torch.Tensor]
"""One that a node leaves out is None all the same."""
Operator = Callable[[Operands, Attributes], Any]


_READS_VALUES = ("Clip", "Pad", "Resize")


class UnknownOperator(ValueError):
    """The graph has something that is not here; the message names it."""


class OnnxModule(nn.Module):
    """Runs the nodes of a graph in their order; weights are buffers, so they move with the module.

    Raises: UnknownOperator.
    """

    def __init__(self, path: Path, output_names: Sequence[str] | None = None) -> None:
        super().__init__()
        model = onnx.load(str(path))
        graph = model.graph
        if unknown := sorted({node.op_type for node in graph.node} - OPERATORS.keys()):
            raise UnknownOperator(f"{path.name} has the operators {', '.join(unknown)}")
        self._values: dict[str, torch.Tensor] = {}
        self._buffer_of: dict[str, str] = {}
        self._read = {name for node in graph.node if node.op_type in _READS_VALUES for name in node.input[1:]}
        for constant in graph.initializer:
            self._keep(constant.name, numpy_helper.to_array(constant))
        self._nodes = []
        for node in graph.node:
            attributes = {item.name: _value(item) for item in node.attribute}
            if node.op_type == "Constant":
                self._keep(node.output[0], np.asarray(next(iter(attributes.values()))))
            else:
                self._nodes.append((OPERATORS[node.op_type], list(node.input), list(node.output), attributes))
        held = {*self._values, *self._buffer_of}
        (self._input,) = [item.name for item in graph.input if item.name not in held]
        self._outputs = list(output_names) if output_names else [item.name for item in graph.output]
        sizes = next(item for item in graph.input if item.name == self._input).type.tensor_type.shape.dim
        self.input_shape = tuple(size.dim_value for size in sizes)
        self._last_use = _last_uses(self._nodes, self._outputs)

    def forward(self, batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        values: dict[str, Any] = {self._input: batch, **self._values}
        values |= {name: getattr(self, buffer) for name, buffer in self._buffer_of.items()}
        for number, (operator, inputs, outputs, attributes) in enumerate(self._nodes):
            operands: list[Any] = [values[name] if name else None for name in inputs]
            result = operator(operands, attributes)
            results = result if isinstance(result, tuple) else (result,)
            values.update(zip(outputs, results, strict=False))
            for name in self._last_use.get(number, ()):
                del values[name]
        return tuple(values[name] for name in self._outputs)

    def _keep(self, name: str, array: np.ndarray[Any, Any]) -> None:
        tensor = torch.from_numpy(np.array(array))
        if tensor.is_floating_point() and name not in self._read:
            self._buffer_of[name] = f"constant_{len(self._buffer_of)}"
            self.register_buffer(self._buffer_of[name], tensor)
        else:
            self._values[name] = tensor


class TorchNetwork:
    """A `Network` of an `OnnxModule`, wherever its weights are."""

    def __init__(self, module: OnnxModule) -> None:
        self.module = module.eval()
        self.fixed_batch: int | None = module.input_shape[0] or None

    @torch.inference_mode()
    def __call__(self, batch: Tensor) -> tuple[Tensor, ...]:
        weight = next(self.module.buffers(), None)
        device = weight.device if weight is not None else torch.device("cpu")
        outputs = self.module(torch.from_numpy(np.ascontiguousarray(batch)).to(device))
        return tuple(output.float().cpu().numpy() for output in outputs)


def _last_uses(nodes: Sequence[tuple[Any, list[str], list[str], Any]], outputs: Sequence[str]) -> dict[int, list[str]]:
    """Which intermediate results nobody needs after a node."""
    last: dict[str, int] = {}
    for number, (_, inputs, _, _) in enumerate(nodes):
        last |= dict.fromkeys(filter(None, inputs), number)
    made = {name for _, _, names, _ in nodes for name in names}
    uses: dict[int, list[str]] = {}
    for name, number in last.items():
        if name in made and name not in outputs:
            uses.setdefault(number, []).append(name)
    return uses


def _value(attribute: Any) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    return value.decode() if isinstance(value, bytes) else value


def _numbers(operand: Any) -> list[int]:
    return [int(number) for number in operand.reshape(-1).tolist()]


def _pads(attributes: Attributes, operand: torch.Tensor) -> torch.Tensor:
    """Pad height and width as ONNX says, which may differ at the two ends."""
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    return F.pad(operand, (left, right, top, bottom)) if any((top, left, bottom, right)) else operand


def _conv(x: Operands, a: Attributes) -> torch.Tensor:
    bias = x[2] if len(x) > 2 else None
    padded, stride = _pads(a, x[0]), a.get("strides", [1, 1])
    return F.conv2d(padded, x[1], bias, stride, 0, a.get("dilations", [1, 1]), a.get("group", 1))


def _max_pool(x: Operands, a: Attributes) -> torch.Tensor:
    top, left, bottom, right = a.get("pads", [0, 0, 0, 0])
    padded = F.pad(x[0], (left, right, top, bottom), value=-math.inf)
    return F.max_pool2d(padded, a["kernel_shape"], a.get("strides", [1, 1]), ceil_mode=bool(a.get("ceil_mode", 0)))


def _average_pool(x: Operands, a: Attributes) -> torch.Tensor:
    if any(a.get("pads", ())) and not a.get("count_include_pad", 0):
        raise UnknownOperator("AveragePool over its padding")
    return F.avg_pool2d(_pads(a, x[0]), a["kernel_shape"], a.get("strides", [1, 1]))


def _slice(x: Operands, a: Attributes) -> torch.Tensor:
    data, starts, ends = x[0], _numbers(x[1]), _numbers(x[2])
    axes = _numbers(x[3]) if len(x) > 3 and x[3] is not None else list(range(len(starts)))
    steps = _numbers(x[4]) if len(x) > 4 and x[4] is not None else [1] * len(starts)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        length = data.shape[axis]
        indices = range(*slice(start, end if end > -length - 1 else None, step).indices(length))
        if step > 0:
            data = data[(slice(None),) * (axis % data.ndim) + (slice(indices.start, indices.stop, step),)]
        else:
            data = data.index_select(axis, torch.tensor(list(indices), device=data.device))
    return data


def _reshape(x: Operands, a: Attributes) -> torch.Tensor:
    shape = _numbers(x[1])
    return x[0].reshape([x[0].shape[axis] if size == 0 else size for axis, size in enumerate(shape)])


def _resize(x: Operands, a: Attributes) -> torch.Tensor:
    data = x[0]
    if len(x) > 3 and x[3] is not None:
        size = _numbers(x[3])[2:]
    else:
        size = [int(side * scale) for side, scale in zip(data.shape[2:], x[2].tolist()[2:], strict=True)]
    if a.get("mode", "nearest") == "nearest":
        return F.interpolate(data, size=size, mode="nearest")
    if a.get("mode") != "linear":
        raise UnknownOperator(f"Resize {a['mode']}")
    corners = a.get("coordinate_transformation_mode") == "align_corners"
    return F.interpolate(data, size=size, mode="bilinear", align_corners=corners)


def _pad(x: Operands, a: Attributes) -> torch.Tensor:
    pads, rank = _numbers(x[1]), x[0].ndim
    ends = [(pads[axis], pads[axis + rank]) for axis in reversed(range(rank))]
    if a.get("mode", "constant") != "constant":
        raise UnknownOperator(f"Pad {a['mode']}")
    value = float(x[2]) if len(x) > 2 and x[2] is not None else 0.0
    return F.pad(x[0], [size for pair in ends for size in pair], value=value)


def _gather(x: Operands, a: Attributes) -> torch.Tensor:
    data, index, axis = x[0], x[1].to(x[0].device), a.get("axis", 0)
    index = torch.where(index < 0, index + data.shape[axis], index)
    return data.index_select(axis, index.reshape(-1)).reshape(
        *data.shape[:axis], *index.shape, *data.shape[axis % data.ndim + 1 :]
    )


def _gemm(x: Operands, a: Attributes) -> torch.Tensor:
    left = x[0].T if a.get("transA", 0) else x[0]
    right = x[1].T if a.get("transB", 0) else x[1]
    product: torch.Tensor = a.get("alpha", 1.0) * (left @ right)
    return product if len(x) < 3 else product + a.get("beta", 1.0) * x[2]


def _split(x: Operands, a: Attributes) -> tuple[torch.Tensor, ...]:
    axis = a.get("axis", 0)
    sizes = _numbers(x[1]) if len(x) > 1 and x[1] is not None else a.get("split")
    if sizes is None:
        raise UnknownOperator("Split into equal parts")
    return tuple(torch.split(x[0], list(sizes), dim=axis))


def _unsqueeze(x: Operands, a: Attributes) -> torch.Tensor:
    data = x[0]
    for axis in sorted(_axes(x, a)):
        data = data.unsqueeze(axis)
    return data


def _squeeze(x: Operands, a: Attributes) -> torch.Tensor:
    axes = _axes(x, a)
    return x[0].squeeze(tuple(axes)) if axes else x[0].squeeze()


def _axes(x: Operands, a: Attributes) -> list[int]:
    """Of newer graphs an operand, of older ones an attribute."""
    return _numbers(x[1]) if len(x) > 1 and x[1] is not None else list(a.get("axes", ()))


def _reduction(reduce: Callable[[torch.Tensor, list[int], bool], torch.Tensor]) -> Operator:
    def operator(x: Operands, a: Attributes) -> torch.Tensor:
        axes = _axes(x, a) or list(range(x[0].ndim))
        return reduce(x[0], axes, bool(a.get("keepdims", 1)))

    return operator


def _side_by_side(x: Operands) -> list[torch.Tensor]:
    """All where the first is that is not on the CPU: a shape may have become a factor."""
    device = next((operand.device for operand in x if operand.device.type != "cpu"), None)
    return list(x) if device is None else [operand.to(device) for operand in x]


def _elementwise(function: Callable[..., torch.Tensor]) -> Operator:
    return lambda x, a: function(*_side_by_side(x))


def _cast(x: Operands, a: Attributes) -> torch.Tensor:
    kind = torch.from_numpy(np.zeros(0, onnx.helper.tensor_dtype_to_np_dtype(a["to"]))).dtype
    return x[0].to(kind) if kind.is_floating_point else x[0].to("cpu", kind)


def _clip(x: Operands, a: Attributes) -> torch.Tensor:
    low = x[1] if len(x) > 1 else a.get("min")
    high = x[2] if len(x) > 2 else a.get("max")
    return torch.clamp(x[0], None if low is None else float(low), None if high is None else float(high))


def _filled(x: Operands, a: Attributes) -> torch.Tensor:
    value = torch.from_numpy(np.array(a.get("value", np.zeros(1, np.float32))).reshape(()))
    return torch.full(_numbers(x[0]), value.item(), dtype=value.dtype)


def _concat(x: Operands, a: Attributes) -> torch.Tensor:
    return torch.cat(_side_by_side(x), dim=a["axis"])


def _hard_sigmoid(x: Operands, a: Attributes) -> torch.Tensor:
    return torch.clamp(a.get("alpha", 0.2) * x[0] + a.get("beta", 0.5), 0.0, 1.0)


def _batch_norm(x: Operands, a: Attributes) -> torch.Tensor:
    return F.batch_norm(x[0], x[3], x[4], x[1], x[2], eps=a.get("epsilon", 1e-5))


def _many(function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Operator:
    def operator(x: Operands, a: Attributes) -> torch.Tensor:
        result, *others = _side_by_side(x)
        for other in others:
            result = function(result, other)
        return result

    return operator


def _expand(x: Operands, a: Attributes) -> torch.Tensor:
    shape = torch.broadcast_shapes(x[0].shape, tuple(_numbers(x[1])))  # type: ignore[no-untyped-call]
    return x[0].expand(shape)


def _divide(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Of integers towards zero, as ONNX has it."""
    return left / right if left.is_floating_point() else torch.div(left, right, rounding_mode="trunc")


OPERATORS: Mapping[str, Operator] = {
    "Abs": _elementwise(torch.abs),
    "Add": _elementwise(torch.add),
    "And": _elementwise(torch.logical_and),
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Ceil": _elementwise(torch.ceil),
    "Clip": _clip,
    "Concat": _concat,
    "Constant": lambda x, a: None,
    "ConstantOfShape": _filled,
    "Conv": _conv,
    "Div": _elementwise(_divide),
    "Equal": _elementwise(torch.eq),
    "Erf": _elementwise(torch.erf),
    "Exp": _elementwise(torch.exp),
    "Expand": _expand,
    "Flatten": lambda x, a: x[0].reshape(math.prod(x[0].shape[: a.get("axis", 1)]), -1),
    "Floor": _elementwise(torch.floor),
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda x, a: x[0].mean(dim=(2, 3), keepdim=True),
    "Greater": _elementwise(torch.gt),
    "GreaterOrEqual": _elementwise(torch.ge),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _elementwise(F.hardswish),
    "Identity": lambda x, a: x[0],
    "LeakyRelu": lambda x, a: F.leaky_relu(x[0], a.get("alpha", 0.01)),
    "Less": _elementwise(torch.lt),
    "LessOrEqual": _elementwise(torch.le),
    "Log": _elementwise(torch.log),
    "MatMul": _elementwise(torch.matmul),
    "Max": _many(torch.maximum),
    "MaxPool": _max_pool,
    "Min": _many(torch.minimum),
    "Mul": _elementwise(torch.mul),
    "Neg": _elementwise(torch.neg),
    "Not": _elementwise(torch.logical_not),
    "Or": _elementwise(torch.logical_or),
    "Pad": _pad,
    "Pow": _elementwise(torch.pow),
    "ReduceL2": _reduction(lambda t, axes, keep: torch.linalg.vector_norm(t, dim=axes, keepdim=keep)),
    "ReduceMax": _reduction(lambda t, axes, keep: torch.amax(t, dim=axes, keepdim=keep)),
    "ReduceMean": _reduction(lambda t, axes, keep: torch.mean(t, dim=axes, keepdim=keep)),
    "ReduceMin": _reduction(lambda t, axes, keep: torch.amin(t, dim=axes, keepdim=keep)),
    "ReduceSum": _reduction(lambda t, axes, keep: torch.sum(t, dim=axes, keepdim=keep)),
    "Relu": _elementwise(torch.relu),
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": lambda x, a: torch.tensor(x[0].shape),
    "Sigmoid": _elementwise(torch.sigmoid),
    "Slice": _slice,
    "Softmax": lambda x, a: torch.softmax(x[0], dim=a.get("axis", -1)),
    "Split": _split,
    "Sqrt": _elementwise(torch.sqrt),
    "Squeeze": _squeeze,
    "Sub": _elementwise(torch.sub),
    "Tanh": _elementwise(torch.tanh),
    "Transpose": lambda x, a: x[0].permute(a.get("perm", tuple(reversed(range(x[0].ndim))))),
    "Unsqueeze": _unsqueeze,
    "Where": _elementwise(torch.where),
}
"""By the name of the ONNX operator (opset 11 to 17)."""
