"""The header of a safetensors file, read and checked before anything looks at the tensors.

Format: 8 bytes of length (little-endian), so much JSON, then the tensors one after the other. The JSON has name ->
{dtype, shape, data_offsets}, and under __metadata__ texts by name
(https://github.com/huggingface/safetensors#format).
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, TypeAlias

from composition.errors import UnusableLora

MAX_HEADER_BYTES: Final = 8 << 20
"""What the largest LoRAs need is a tenth of it; a header is held in memory and parsed as a whole."""
MAX_METADATA_CHARS: Final = 4 << 20
MAX_TENSORS: Final = 20_000
MAX_NAME_CHARS: Final = 512
MAX_DIMENSIONS: Final = 8
MAX_ENTRY_CHARS: Final = 1024
"""Of a tensor's description: eight sides and two offsets of 19 digits take a third of it."""

ITEM_BYTES: Final[Mapping[str, int]] = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4}
"""Number formats that a LoRA may have; integers are for scalars that some scripts save so."""

_LENGTH = struct.Struct("<Q")
_DISGUISES: Final[Mapping[bytes, str]] = {
    b"PK\x03\x04": "a zip archive, as PyTorch saves pickles in",
    b"\x80": "a Python pickle",
    b"\x89HDF": "an HDF5 file",
    b"GGUF": "a GGUF file",
    b"\x1f\x8b": "a gzip archive",
}
"""What else is named .safetensors, by its first bytes. None of it is ever opened: a pickle runs code."""


@dataclass(frozen=True, kw_only=True)
class TensorEntry:
    """One tensor: its format, and where its bytes are, counted from the start of the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Header:
    """`tensors` by name, in the order of their bytes."""

    tensors: Mapping[str, TensorEntry]
    metadata: Mapping[str, str] = field(default_factory=dict)


def read_header(file: BinaryIO, size_bytes: int) -> Header:
    """The header of a file of so many bytes, which is at its start; at most `MAX_HEADER_BYTES` are read.

    Raises:
        UnusableLora: it is no safetensors file, or one that promises what it does not hold.
    """
    start = file.read(_LENGTH.size)
    for magic, what in _DISGUISES.items():
        if start.startswith(magic) and not _plausible(start, size_bytes):
            raise UnusableLora(f"the file is {what}, not safetensors; only .safetensors is taken, and never unpickled")
    if not _plausible(start, size_bytes):
        raise UnusableLora("the file is not safetensors: it does not begin with the length of a header")
    (length,) = _LENGTH.unpack(start)
    if length > MAX_HEADER_BYTES:
        raise UnusableLora(f"the file's header is {length} bytes long, more than {MAX_HEADER_BYTES} are not read")
    document = _parsed(file.read(length))
    metadata = document.pop("__metadata__", {})
    if len(document) > MAX_TENSORS:
        raise UnusableLora(f"the file has {len(document)} tensors, more than {MAX_TENSORS} are not taken")
    if not document:
        raise UnusableLora("the file has no tensors")
    first_byte = _LENGTH.size + length
    tensors = {name: _entry(name, value, first_byte) for name, value in document.items()}
    ordered = dict(sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)))
    _check_coverage(ordered, first_byte, size_bytes)
    return Header(tensors=ordered, metadata=metadata)


def _plausible(start: bytes, size_bytes: int) -> bool:
    """Whether the first bytes are the length of a header that the file can hold."""
    return len(start) == _LENGTH.size and 2 <= _LENGTH.unpack(start)[0] <= size_bytes - _LENGTH.size


def _parsed(header: bytes) -> dict[str, Any]:
    """The table of the tensors, of which each is parsed by itself.

    Eight megabytes of empty lists, parsed at once, are a second in which nothing else of the process runs.
    """
    try:
        text = header.decode()
        if not _comes(text, 0, "{"):
            raise UnusableLora("the file's header is not a table of tensors")
        document, end = _table(text, 0, _member)
        if end < len(text.rstrip(_SPACES)):
            raise ValueError("something comes behind the table")
    except (ValueError, RecursionError) as error:  # both decoding and JSON errors are ValueErrors
        raise UnusableLora(f"the file's header is not valid JSON: {_brief(error)}") from error
    return document


_Read: TypeAlias = Callable[[str, int, str], tuple[Any, int]]
"""Of a text, a place in it and the name of what is there: the value, and the place behind it. Raises: ValueError."""


def _table(text: str, at: int, read: _Read) -> tuple[dict[str, Any], int]:
    """The object at a place of a JSON text, and the place behind it. Raises: ValueError."""
    table: dict[str, Any] = {}
    at = _behind(text, at, "{")
    while not _comes(text, at, "}"):
        at = _behind(text, at, ",") if table else at
        name, at = _string(text, at)
        if name in table:
            raise ValueError("a name comes twice")
        table[name], at = read(text, _behind(text, at, ":"), name)
        if len(table) > MAX_TENSORS + 1:
            raise UnusableLora(f"the file's header has more than {MAX_TENSORS} names")
    return table, _behind(text, at, "}")


def _member(text: str, at: int, name: str) -> tuple[Any, int]:
    if name == "__metadata__":
        return _metadata(text, at)
    begin = _place(text, at)
    description = text[begin : begin + MAX_ENTRY_CHARS]
    if not description.startswith("{"):
        raise _undescribed(name)
    try:
        value, length = _DECODER.raw_decode(description)
    except ValueError:
        if len(description) == MAX_ENTRY_CHARS:
            raise _undescribed(name) from None
        raise
    return value, begin + length


def _metadata(text: str, at: int) -> tuple[dict[str, str], int]:
    if not _comes(text, at, "{"):
        raise UnusableLora(_NO_TEXTS)
    table, end = _table(text, at, _text)
    if sum(len(name) + len(value) for name, value in table.items()) > MAX_METADATA_CHARS:
        raise UnusableLora(f"the file's __metadata__ has more than {MAX_METADATA_CHARS} characters")
    return table, end


def _text(text: str, at: int, name: str) -> tuple[str, int]:
    if not _comes(text, at, '"'):
        raise UnusableLora(_NO_TEXTS)
    return _string(text, at)


def _string(text: str, at: int) -> tuple[str, int]:
    begin = _behind(text, at, '"') - 1
    value, end = _DECODER.raw_decode(text, begin)
    return value, end


def _comes(text: str, at: int, character: str) -> bool:
    return text.startswith(character, _place(text, at))


def _behind(text: str, at: int, character: str) -> int:
    place = _place(text, at)
    if not text.startswith(character, place):
        raise ValueError(f"character {place} should be {character}")
    return place + 1


def _place(text: str, at: int) -> int:
    """Of the first character that is no space, from a place on."""
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()


def _without_repetition(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("a name comes twice")
    return table


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_without_repetition)
_SPACES: Final = " \t\n\r"
_SPACE: Final = re.compile(f"[{_SPACES}]*")
_NO_TEXTS: Final = "the file's __metadata__ is not a table of texts"


def _brief(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:100]


def _undescribed(name: str) -> UnusableLora:
    return UnusableLora(f"tensor {name[:100]} is not described by dtype, shape and data_offsets")


def _entry(name: str, value: Any, first_byte: int) -> TensorEntry:
    if not 0 < len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise UnusableLora(f"a tensor's name has {len(name)} characters or cannot be printed")
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise _undescribed(name)
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise UnusableLora(f"tensor {name[:100]} is of type {str(dtype)[:20]}; taken: {', '.join(ITEM_BYTES)}")
    if not _naturals(shape) or len(shape) > MAX_DIMENSIONS:
        raise UnusableLora(f"tensor {name[:100]} has no valid shape")
    if not _naturals(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise UnusableLora(f"tensor {name[:100]} has no valid data_offsets")
    if math.prod(shape) * ITEM_BYTES[dtype] != offsets[1] - offsets[0]:
        raise UnusableLora(f"tensor {name[:100]} has another number of bytes than its shape needs")
    return TensorEntry(dtype=dtype, shape=tuple(shape), begin=first_byte + offsets[0], end=first_byte + offsets[1])


def _naturals(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**63 for value in values)


def _check_coverage(ordered: Mapping[str, TensorEntry], first_byte: int, size_bytes: int) -> None:
    """Every byte behind the header belongs to exactly one tensor."""
    position = first_byte
    for name, entry in ordered.items():
        if entry.begin != position:
            what = "overlaps another tensor" if entry.begin < position else "leaves a gap before it"
            raise UnusableLora(f"tensor {name[:100]} {what}")
        position = entry.end
    if position > size_bytes:
        raise UnusableLora(f"the file is cut off: {position - size_bytes} bytes of its tensors are missing")
    if position < size_bytes:
        raise UnusableLora(f"the file has {size_bytes - position} bytes that belong to no tensor")
