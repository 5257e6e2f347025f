"""The header of a safetensors file, read and checked before anything looks at the tensors.

Format: 8 bytes of length (little-endian), so much JSON, then the tensors one after the other. The JSON has name ->
{dtype, shape, data_offsets}, and under __metadata__ texts by name
(https://github.com/huggingface/safetensors#format).
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

from composition.errors import UnusableLora

MAX_HEADER_BYTES: Final = 8 << 20
"""What the largest LoRAs need is a tenth of it; a header is held in memory and parsed as a whole."""
MAX_METADATA_CHARS: Final = 4 << 20
MAX_TENSORS: Final = 20_000
MAX_NAME_CHARS: Final = 512
MAX_DIMENSIONS: Final = 8

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
    metadata = _metadata(document.pop("__metadata__", {}))
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


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        document = json.loads(text, object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError) as error:  # both decoding and JSON errors are ValueErrors
        raise UnusableLora(f"the file's header is not valid JSON: {_brief(error)}") from error
    if not isinstance(document, dict):
        raise UnusableLora("the file's header is not a table of tensors")
    return document


def _without_repetition(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("a name comes twice")
    return table


def _brief(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:100]


def _metadata(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise UnusableLora("the file's __metadata__ is not a table of texts")
    if sum(len(name) + len(text) for name, text in value.items()) > MAX_METADATA_CHARS:
        raise UnusableLora(f"the file's __metadata__ has more than {MAX_METADATA_CHARS} characters")
    return value


def _entry(name: str, value: Any, first_byte: int) -> TensorEntry:
    if not 0 < len(name) <= MAX_NAME_CHARS or not name.isprintable():
        raise UnusableLora(f"a tensor's name has {len(name)} characters or cannot be printed")
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise UnusableLora(f"tensor {name[:100]} is not described by dtype, shape and data_offsets")
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
