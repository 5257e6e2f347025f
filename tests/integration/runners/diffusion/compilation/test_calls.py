"""Forms of calls: what has one form runs by one compiled block, and a form read from a file is believed only so far."""

from __future__ import annotations

import json

import pytest
import torch

from runners.diffusion.families.stable_diffusion.attention import ReferenceRows
from runners.diffusion.families.stable_diffusion.compilation.calls import OddCall, example_of, form_of, read_form

pytestmark = pytest.mark.integration

CPU = torch.device("cpu")
TENSOR = ["tensor", "torch.float32", [0, 4], [4, 1]]


def reference(rows, tokens=4, masks=None):
    return (ReferenceRows(tokens=torch.ones(rows, tokens, 16), scales=torch.ones(rows, 1, 1), masks=masks),)


def call(rows=2, side=8, tokens=77, of=None, dtype=torch.float32):
    hidden = torch.zeros(rows, side * side, 8, dtype=dtype)
    named = {"encoder_hidden_states": torch.zeros(rows, tokens, 16), "timestep": None}
    return form_of([hidden], named | {"cross_attention_kwargs": None if of is None else {"ip_hidden_states": of}})


def test_any_number_of_rows_from_two_on_has_one_form():
    assert call(rows=2) == call(rows=3) == call(rows=16) != call(rows=1)
    assert call(rows=2, of=reference(2)) == call(rows=5, of=reference(5))


@pytest.mark.parametrize(
    "other",
    [{"side": 4}, {"tokens": 154}, {"dtype": torch.float16}, {"references": 4}, {"references": 8}],
    ids=["size", "text", "format", "reference", "references"],
)
def test_whatever_else_differs_makes_another_form(other):
    references = other.pop("references", None)
    assert call(**other, of=references and reference(2, references)) != call()


def test_two_references_are_another_form_than_one():
    assert call(of=reference(2) * 2) != call(of=reference(2))


def test_tensors_that_lie_otherwise_in_memory_are_another_form():
    turned = torch.zeros(2, 8, 64).transpose(1, 2)
    assert form_of([turned], {}) != form_of([torch.zeros(2, 64, 8)], {})
    [example], _ = example_of(form_of([turned], {}), CPU, 3)
    assert (example.shape, example.stride()) == ((3, 64, 8), turned.stride())


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_an_example_has_the_form_that_it_is_made_of(rows):
    form = call(rows, of=reference(rows))
    arguments, named = example_of(form, CPU, rows)
    assert form_of(arguments, named) == form
    assert arguments[0].std() > 0.5


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([torch.zeros(2, 4)], {"reference": reference(2, masks=(None, torch.ones(1, 8, 8)))}),
        ([torch.zeros(2, 4)], {"odd": object()}),
        ([None], {}),
        ([], {"sample": torch.zeros(2, 4)}),
    ],
    ids=["masks", "object", "nothing", "named"],
)
def test_what_no_compiled_block_is_made_for_has_no_form(arguments, named):
    with pytest.raises(OddCall):
        form_of(arguments, named)


def test_tensors_of_inference_mode_alone_have_a_form():
    with torch.inference_mode(mode=False):
        ordinary = torch.zeros(2, 4)
    with pytest.raises(OddCall, match="inference mode"):
        form_of([ordinary], {})


def test_a_form_survives_being_written_down():
    for form in (
        call(),
        call(rows=1),
        call(of=reference(2)),
        call(of=reference(2) * 2),
        form_of([torch.zeros(1, 4), True, 0.5, "x"], {}),
    ):
        assert read_form(json.loads(json.dumps(form))) == form


@pytest.mark.parametrize(
    "written",
    [
        None,
        "tensor",
        [],
        [[], []],
        [[TENSOR]],
        [[["plain", None]], []],
        [[["tensor", "torch.int8", [2], [1]]], []],
        [[["tensor", "torch.float32", [2, 4], [1]]], []],
        [[["tensor", "torch.float32", [2, -4], [4, 1]]], []],
        [[["tensor", "torch.float32", [2, 4.0], [4, 1]]], []],
        [[["tensor", "torch.float32", [2, True], [4, 1]]], []],
        [[["tensor", "torch.float32", [2, 0], [4, 1]]], []],
        [[["tensor", "torch.float32", [1 << 20, 1 << 20], [1, 1]]], []],
        [[["tensor", "torch.float32", [2, 4], [1 << 28, 1 << 28]]], []],
        [[["tensor", "torch.float32", [1] * 9, [1] * 9]], []],
        [[TENSOR, ["reference", TENSOR, ["plain", 1]]], []],
        [[TENSOR, ["several", [["several", []]]]], []],
        [[TENSOR, ["several", ["reference"]]], []],
        [[TENSOR], [["name", ["code", "import os"]]]],
        [[TENSOR], [[1, TENSOR]]],
        [[TENSOR] * 100, []],
        [[TENSOR], [["name", ["named", [["a", TENSOR]] * 100]]]],
    ],
    ids=repr,
)
def test_what_is_no_form_is_refused(written):
    with pytest.raises(OddCall):
        read_form(written)
