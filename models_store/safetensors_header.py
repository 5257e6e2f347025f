"""A safetensors file's header: names and shapes of its tensors, for a few kilobytes of reading and without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]

LENGTH_BYTES = 8
LARGEST_BYTES = 100_000_000
"""The format's own limit on the header."""


class NotSafetensors(ValueError):
    """The file is of another format, or broken off in its header."""


def read_shapes(path: Path) -> Shapes:
    """The shape of every tensor in the file, by name. Raises: NotSafetensors, OSError."""
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        if not 2 <= length <= min(LARGEST_BYTES, size_bytes - LENGTH_BYTES):
            raise NotSafetensors(f"{path} is not a safetensors file")
        try:
            header = json.loads(file.read(length))
            return {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
        except (ValueError, AttributeError, KeyError, TypeError) as error:
            raise NotSafetensors(f"{path} is not a safetensors file") from error
