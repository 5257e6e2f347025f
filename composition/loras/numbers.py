"""Whether every number of a safetensors file is one: a NaN or an infinity would spread over a whole image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO, Final

import numpy as np

from composition.errors import UnusableLora
from composition.loras.header import Header

BLOCK_BYTES: Final = 4 << 20

_EXPONENTS: Final[Mapping[str, tuple[Any, int]]] = {
    "F16": (np.dtype("<u2"), 0x7C00),
    "BF16": (np.dtype("<u2"), 0x7F80),
    "F32": (np.dtype("<u4"), 0x7F80_0000),
    "F64": (np.dtype("<u8"), 0x7FF0_0000_0000_0000),
}
"""Of the floating formats: the bits of the exponent, which are all set in NaN and infinity (IEEE 754)."""


def check_numbers(file: BinaryIO, header: Header) -> None:
    """Read every tensor, a block at a time. Raises: UnusableLora, with the tensor's name."""
    for name, entry in header.tensors.items():
        if entry.dtype not in _EXPONENTS:
            continue
        bits, exponent = _EXPONENTS[entry.dtype]
        file.seek(entry.begin)
        left = entry.end - entry.begin
        while left > 0:
            block = file.read(min(left, BLOCK_BYTES))
            if not block:
                raise UnusableLora(f"the file is cut off in tensor {name[:100]}")
            left -= len(block)
            if bool(((np.frombuffer(block, bits) & bits.type(exponent)) == exponent).any()):
                raise UnusableLora(f"tensor {name[:100]} has a NaN or an infinity")
