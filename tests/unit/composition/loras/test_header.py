"""A file's header is refused before anything of the file is used, whatever is wrong with it."""

from __future__ import annotations

import io
import itertools
import json
import pickle
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from composition.errors import UnusableLora
from composition.loras.header import MAX_HEADER_BYTES, MAX_METADATA_CHARS, MAX_TENSORS, read_header
from tests.unit.composition.loras.files import framed, kohya, safetensors


def read(data: bytes, size_bytes: int | None = None):
    return read_header(io.BytesIO(data), len(data) if size_bytes is None else size_bytes)


def entry(begin: int, end: int, shape: list[int] | None = None, dtype: str = "F16"):
    return {"dtype": dtype, "shape": [(end - begin) // 2] if shape is None else shape, "data_offsets": [begin, end]}


def of(document: object, body: bytes = b"") -> bytes:
    return framed(json.dumps(document).encode(), body)


def test_a_sound_header_says_where_every_tensor_is():
    data = safetensors(kohya(), {"ss_output_name": "ink"})
    header = read(data)
    assert header.metadata == {"ss_output_name": "ink"}
    assert {name: (entry.dtype, entry.shape) for name, entry in header.tensors.items()} == {
        name: ("F16" if array.dtype == "float16" else "F32", array.shape) for name, array in kohya().items()
    }
    for name, array in kohya().items():
        found = header.tensors[name]
        assert data[found.begin : found.end] == array.tobytes()


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"a": 1}))
    return buffer.getvalue()


def nested(depth: int) -> bytes:
    return framed(b'{"a":' + b"[" * depth + b"]" * depth + b"}")


REFUSED = {
    "empty": (b"", "does not begin with the length"),
    "seven bytes": (b"\x02" + bytes(6), "does not begin with the length"),
    "a zip": (zipped(), "a zip archive"),
    "a pickle": (pickle.dumps({"state_dict": [1, 2, 3]}), "a Python pickle"),
    "a longer header than the file": (struct.pack("<Q", 100) + b"{}", "does not begin with the length"),
    "a header of terabytes": (struct.pack("<Q", 1 << 44) + b"{}" * 100, "does not begin with the length"),
    "no JSON": (framed(b"{]"), "is not valid JSON"),
    "no UTF-8": (framed(b'{"\xff":1}'), "is not valid JSON"),
    "a list": (of([1, 2]), "is not a table"),
    "a nesting bomb": (nested(200_000), "tensor a is not described by"),
    "a small nesting bomb": (framed(b'{"a":{"b":' + b"[" * 1000 + b"]}}"), "nested too deeply"),
    "a number bomb": (framed(b'{"a":{"dtype":' + b"9" * 10_000 + b"}}"), "tensor a is not described by"),
    "a bomb of empty lists, broken at its end": (
        framed(b'{"a":{"shape":[' + b"[]," * 100_000 + b"!]}}"),
        "tensor a is not described by",
    ),
    "a name twice": (framed(b'{"a":{},"a":{}}'), "is not valid JSON: a name comes twice"),
    "a key twice": (framed(b'{"a":{"dtype":1,"dtype":1}}'), "is not valid JSON: a name comes twice"),
    "two tables": (framed(b'{"a":{}} {}'), "is not valid JSON: something comes behind the table"),
    "no comma": (framed(b'{"a":{}"b":{}}'), "is not valid JSON: character 7 should be ,"),
    "a comma too many": (framed(b'{"a":{},}'), "is not valid JSON: character 8 should be"),
    "only a comma": (framed(b"{,}"), "is not valid JSON: character 1 should be"),
    "a table without an end": (framed(b'{"a":{}'), "is not valid JSON: character 7 should be ,"),
    "no tensors": (of({"__metadata__": {"a": "b"}}), "has no tensors"),
    "metadata of numbers": (of({"__metadata__": {"a": 1}, "t": entry(0, 4)}, bytes(4)), "not a table of texts"),
    "metadata of a list": (of({"__metadata__": ["a"], "t": entry(0, 4)}, bytes(4)), "not a table of texts"),
    "long metadata": (
        of({"__metadata__": {"a": "b" * MAX_METADATA_CHARS}, "t": entry(0, 4)}, bytes(4)),
        "more than 4194304 characters",
    ),
    "many tensors": (
        of({str(n): entry(0, 0) for n in range(MAX_TENSORS + 1)}),
        "has 20001 tensors",
    ),
    "a crowd of names": (of({str(n): {} for n in range(100_000)}), "has more than 20000 names"),
    "a crowd of texts": (of({"__metadata__": {str(n): "" for n in range(100_000)}}), "has more than 20000 names"),
    "an empty name": (of({"": entry(0, 4)}, bytes(4)), "a tensor's name has 0 characters"),
    "a name with a line break": (of({"a\nb": entry(0, 4)}, bytes(4)), "cannot be printed"),
    "a long name": (of({"a" * 513: entry(0, 4)}, bytes(4)), "a tensor's name has 513 characters"),
    "a tensor that is a number": (of({"a": 3}), "is not described by"),
    "a tensor with a key too many": (of({"a": entry(0, 4) | {"x": 1}}, bytes(4)), "is not described by"),
    "another number format": (of({"a": entry(0, 4, [4], "F8_E4M3")}, bytes(4)), "is of type F8_E4M3"),
    "a format that is a list": (of({"a": entry(0, 4) | {"dtype": ["F16"]}}, bytes(4)), "is of type"),
    "a negative side": (of({"a": entry(0, 4, [-2, -1])}, bytes(4)), "no valid shape"),
    "a side that is true": (of({"a": entry(0, 2, [True])}, bytes(2)), "no valid shape"),
    "a fraction of a side": (of({"a": entry(0, 4, [2.0])}, bytes(4)), "no valid shape"),
    "nine dimensions": (of({"a": entry(0, 2, [1] * 9)}, bytes(2)), "no valid shape"),
    "three offsets": (of({"a": entry(0, 4) | {"data_offsets": [0, 4, 4]}}, bytes(4)), "no valid data_offsets"),
    "backwards": (of({"a": entry(0, 4) | {"data_offsets": [4, 0]}}, bytes(4)), "no valid data_offsets"),
    "a shape of other bytes": (of({"a": entry(0, 4, [3])}, bytes(4)), "another number of bytes"),
    "a shape that overflows": (of({"a": entry(0, 0, [2**62, 2**62])}), "another number of bytes"),
    "an overlap": (of({"a": entry(0, 4), "b": entry(2, 6)}, bytes(6)), "tensor b overlaps another tensor"),
    "the same bytes twice": (of({"a": entry(0, 4), "b": entry(0, 4)}, bytes(4)), "overlaps another tensor"),
    "a gap": (of({"a": entry(0, 4), "b": entry(6, 8)}, bytes(8)), "tensor b leaves a gap"),
    "a gap at the start": (of({"a": entry(2, 4)}, bytes(4)), "tensor a leaves a gap"),
    "cut off": (safetensors(kohya())[:-7], "is cut off: 7 bytes"),
    "bytes of nobody": (safetensors(kohya()) + b"PK\x03\x04", "4 bytes that belong to no tensor"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_sound_is_refused_with_the_reason(what):
    data, reason = REFUSED[what]
    with pytest.raises(UnusableLora) as caught:
        read(data)
    assert reason in caught.value.message
    assert (caught.value.status, caught.value.code) == (422, "INVALID_INPUT")


def test_a_header_bomb_is_not_read():
    class Counting(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            self.taken += len(data)
            return data

    file = Counting(struct.pack("<Q", MAX_HEADER_BYTES + 1) + bytes(1000))
    with pytest.raises(UnusableLora, match="more than 8388608 are not read"):
        read_header(file, 2 << 30)
    assert file.taken == 8


@given(st.binary(max_size=300))
def test_any_bytes_are_a_header_or_refused(data):
    with pytest.raises(UnusableLora):
        read(data)


SOUND = safetensors(kohya(), {"ss_output_name": "ink"})
LENGTH = 8 + struct.unpack("<Q", SOUND[:8])[0]


@given(st.integers(0, LENGTH - 1), st.integers(0, 255), st.integers(0, len(SOUND)))
def test_a_sound_file_that_was_tampered_with_is_refused_or_covers_its_bytes_still(position, value, kept):
    data = bytearray(SOUND)
    data[position] = value
    try:
        header = read(bytes(data[:kept]))
    except UnusableLora:
        return
    assert kept == len(SOUND)
    covered = sorted((entry.begin, entry.end) for entry in header.tensors.values())
    assert all(end == begin for (_, end), (begin, _) in itertools.pairwise(covered))
    assert covered[-1][1] == len(SOUND)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
fields = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F16", "F32", "I64", "BOOL", ""]) | json_values,
        "shape": st.lists(st.integers(-1, 4), max_size=3) | json_values,
        "data_offsets": st.lists(st.integers(-1, 20), min_size=2, max_size=2) | json_values,
    }
)


@given(st.dictionaries(st.text(max_size=8), fields | json_values, max_size=3), st.binary(max_size=20))
def test_any_table_is_a_header_or_refused(document, body):
    try:
        header = read(of(document, body))
    except UnusableLora:
        return
    assert sum(entry.end - entry.begin for entry in header.tensors.values()) == len(body)
