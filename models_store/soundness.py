"""Whether a file is what its name says, as far as that shows without loading it.

source -> **check** -> publish. For files whose digest nobody has written down: a truncated download, an error page
saved under a weight's name or a pointer instead of the content do not pass.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

_HEADER_SIZE_BYTES = 8
_LARGEST_HEADER_BYTES = 100_000_000
"""The safetensors format's own limit."""


def find_fault(path: Path) -> str | None:
    """What is wrong with a file, in a few words, or None. Files of unknown kinds only have to hold something."""
    if path.stat().st_size == 0:
        return "is empty"
    check = _CHECKS.get(path.suffix)
    return check(path) if check else None


def missing_shards(folder: Path) -> list[str]:
    """Weight files that an index beside them names and that are not there (relative POSIX paths)."""
    missing: set[str] = set()
    for index in folder.rglob("*.index.json"):
        try:
            named = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # another kind of index
        missing |= {(index.parent / name).relative_to(folder).as_posix() for name in named}
    return sorted(path for path in missing if not (folder / path).is_file())


def _fault_of_json(path: Path) -> str | None:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        return f"is not JSON ({error})"
    return None


def _fault_of_safetensors(path: Path) -> str | None:
    """The header names the tensors and where each ends: the file must end where the last one does."""
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_HEADER_SIZE_BYTES), "little")
        if not 2 <= length <= min(_LARGEST_HEADER_BYTES, size_bytes - _HEADER_SIZE_BYTES):
            return "is not a safetensors file"
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, AttributeError, KeyError, IndexError, TypeError):
            return "is not a safetensors file"
    expected_bytes = _HEADER_SIZE_BYTES + length + max(ends, default=0)
    return None if expected_bytes == size_bytes else f"has {size_bytes} bytes instead of {expected_bytes}"


def _fault_of_onnx(path: Path) -> str | None:
    import onnx

    try:
        nodes = len(onnx.load(str(path), load_external_data=False).graph.node)
    except Exception:  # whatever the parser of protocol buffers raises
        return "is not an ONNX file"
    return None if nodes else "is not an ONNX file"


def _fault_of_archive(path: Path) -> str | None:
    return None if zipfile.is_zipfile(path) else "is not a PyTorch archive"


_CHECKS: Mapping[str, Callable[[Path], str | None]] = {
    ".json": _fault_of_json,
    ".safetensors": _fault_of_safetensors,
    ".onnx": _fault_of_onnx,
    ".bin": _fault_of_archive,
}
