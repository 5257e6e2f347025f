"""Values that several requests can share: nobody can change them, and their size is known."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from composition.images import Outlines, Pose

VALUE_OVERHEAD_BYTES = 512
"""Counted for every entry and every small object in it, so that entries without arrays are bounded too."""


def freeze(value: Any) -> Any:
    """A copy of `value` that cannot be changed: arrays over immutable bytes, tuples, mappings, poses, outlines."""
    if isinstance(value, np.ndarray):
        return np.ndarray(value.shape, value.dtype, buffer=value.tobytes())
    if isinstance(value, Mapping):
        return MappingProxyType({key: freeze(item) for key, item in value.items()})
    if isinstance(value, tuple | list):
        return tuple(freeze(item) for item in value)
    if isinstance(value, Pose | Outlines):
        return type(value)(**{name: freeze(points) for name, points in vars(value).items()})
    return value


def size_bytes(value: Any) -> int:
    """What a frozen value counts against the limit."""
    if isinstance(value, np.ndarray):
        return value.nbytes + VALUE_OVERHEAD_BYTES
    if isinstance(value, Mapping | Pose | Outlines):
        return size_bytes(tuple(value.values() if isinstance(value, Mapping) else vars(value).values()))
    parts = value if isinstance(value, tuple) else ()
    return VALUE_OVERHEAD_BYTES + sum(size_bytes(part) for part in parts)
