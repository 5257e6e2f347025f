"""The form of a call to a block: what it is given, without the numbers in it.

A form is made of plain tuples, so that it can be a key, and be written down and read again. What is the number of rows
in a tensor's shape stands there as `ROWS`: one compiled block serves any number of them from two on. torch.compile
takes one row for a case of its own, and so does a form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import torch

from runners.diffusion.families.stable_diffusion.attention import ReferenceRows

Form: TypeAlias = tuple[Any, ...]

ROWS: Final = 0
LEAST_ROWS: Final = 2
"""That `ROWS` stands for; one row is a case of its own."""
_TENSOR, _NAMED, _REFERENCE, _SEVERAL, _PLAIN = "tensor", "named", "reference", "several", "plain"
_DTYPES: Final = {str(dtype): dtype for dtype in (torch.float32, torch.float16, torch.bfloat16)}
_MOST_VALUES: Final = 1 << 28
_MOST_ARGUMENTS: Final = 32


class OddCall(ValueError):
    """A call that is not compiled, or no form at all."""


def form_of(arguments: Sequence[Any], named: Mapping[str, Any]) -> Form:
    """The form of a call whose first argument is a tensor with a row in front for each row of the batch.

    Raises: OddCall: it holds what a compiled block is not made for, such as masks of references.
    """
    first = arguments[0] if arguments else None
    if not isinstance(first, torch.Tensor) or first.ndim == 0:
        raise OddCall("a block is called with a tensor first")
    rows = first.shape[0]
    return tuple([_form(one, rows) for one in arguments]), tuple(
        [(name, _form(one, rows)) for name, one in named.items()]
    )


def _form(value: Any, rows: int) -> Form:
    if value is None:
        return (_PLAIN, None)
    if isinstance(value, torch.Tensor):
        if not value.is_inference():
            raise OddCall("torch compiles tensors of inference mode and others apart")
        shape = tuple(value.shape)
        if rows > 1 and shape and shape[0] == rows:
            shape = (ROWS, *shape[1:])
        return _TENSOR, str(value.dtype), shape, value.stride()
    if isinstance(value, ReferenceRows):
        if value.masks is not None:
            raise OddCall("masks of references differ from row to row")
        return _REFERENCE, _form(value.tokens, rows), _form(value.scales, rows)
    if isinstance(value, tuple) and len(value) <= _MOST_ARGUMENTS:
        return _SEVERAL, tuple([_form(one, rows) for one in value])
    if isinstance(value, dict):
        return _NAMED, tuple([(name, _form(one, rows)) for name, one in value.items()])
    if isinstance(value, bool | int | float | str):
        return (_PLAIN, value)
    raise OddCall(f"a block is given a {type(value).__name__}")


def holds_for_many(form: Form) -> bool:
    """Whether it stands for any number of rows from two on."""
    what, *rest = form[0][0]
    return bool(what == _TENSOR and rest[1][0] == ROWS)


def example_of(form: Form, device: torch.device, rows: int = LEAST_ROWS) -> tuple[list[Any], dict[str, Any]]:
    """Arguments of this form, filled with noise; the number of rows in them is marked as one that changes."""
    generator = torch.Generator(device).manual_seed(0)
    arguments, named = form
    return (
        [_example(one, generator, rows) for one in arguments],
        {name: _example(one, generator, rows) for name, one in named},
    )


def _example(form: Form, generator: torch.Generator, rows: int) -> Any:
    what, *rest = form
    if what == _PLAIN:
        return rest[0]
    if what == _NAMED:
        return {name: _example(one, generator, rows) for name, one in rest[0]}
    if what == _SEVERAL:
        return tuple([_example(one, generator, rows) for one in rest[0]])
    if what == _REFERENCE:
        return ReferenceRows(tokens=_example(rest[0], generator, rows), scales=_example(rest[1], generator, rows))
    dtype, shape, strides = rest
    changing = bool(shape) and shape[0] == ROWS
    size = (rows, *shape[1:]) if changing else shape
    tensor = torch.empty_strided(size, strides, dtype=_DTYPES[dtype], device=generator.device)
    tensor.copy_(torch.randn(size, generator=generator, dtype=torch.float32, device=generator.device))
    if changing:
        torch._dynamo.mark_dynamic(tensor, 0)
    return tensor


def read_form(written: Any) -> Form:
    """A form as JSON has it, lists for tuples. Raises: OddCall: it is none, or one that no block could be given."""
    match written:
        case [[["tensor", *_], *_] as arguments, list(named)] if len(arguments) + len(named) <= _MOST_ARGUMENTS:
            return tuple(_read(one) for one in arguments), _read_named(named)
    raise OddCall("no call of a block")


def _read(written: Any) -> Form:
    match written:
        case ["plain", None | bool() | int() | float() | str() as value]:
            return (_PLAIN, value)
        case ["named", list(named)]:
            return _NAMED, _read_named(named)
        case ["several", list(parts)] if all(isinstance(one, list) and one[:1] == ["reference"] for one in parts):
            return _SEVERAL, tuple(_read(one) for one in parts[:_MOST_ARGUMENTS])
        case ["reference", ["tensor", *_] as tokens, ["tensor", *_] as scales]:
            return _REFERENCE, _read(tokens), _read(scales)
        case ["tensor", str(dtype), list(shape), list(strides)] if dtype in _DTYPES and len(shape) == len(strides) <= 4:
            if all(_is_size(size) for size in (*shape, *strides)) and 0 not in shape[1:] and _reach(shape, strides):
                return _TENSOR, dtype, tuple(shape), tuple(strides)
    raise OddCall("no argument of a block")


def _read_named(written: list[Any]) -> tuple[Any, ...]:
    if len(written) > _MOST_ARGUMENTS:
        raise OddCall("too many arguments of a block")
    pairs = []
    for pair in written:
        match pair:
            case [str(name), list(form)]:
                pairs.append((name, _read(form)))
            case _:
                raise OddCall("no argument of a block")
    return tuple(pairs)


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MOST_VALUES


def _reach(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether such a tensor has a size that a computer can hold."""
    sizes = [size or LEAST_ROWS for size in shape]
    values = 1
    for size in sizes:
        values *= size
    return max(values, sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))) <= _MOST_VALUES
