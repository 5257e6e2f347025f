"""Safetensors files, written by hand: sound ones, and such as nobody should send."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

RANK, WIDTH, CONTEXT = 4, 320, 768
DTYPES = {"F16": np.float16, "F32": np.float32, "F64": np.float64, "I64": np.int64}


def safetensors(
    tensors: Mapping[str, np.ndarray[Any, Any]], metadata: Mapping[str, str] | None = None, **changes: Any
) -> bytes:
    """A sound file; `changes` replace entries of the header: name -> what stands there, None takes it out."""
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": dict(metadata)}
    body = b""
    for name, array in tensors.items():
        dtype = next(key for key, value in DTYPES.items() if value == array.dtype)
        begin, body = len(body), body + array.tobytes()
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [begin, len(body)]}
    header |= changes
    return framed(json.dumps({name: value for name, value in header.items() if value is not None}).encode(), body)


def framed(header: bytes, body: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + body


def pair(module: str, *, down: str, up: str, rank: int = RANK, context: int = CONTEXT) -> dict[str, Any]:
    """Both matrices of one layer, in half precision."""
    return {
        f"{module}{down}": np.full((rank, context), 0.5, np.float16),
        f"{module}{up}": np.full((WIDTH, rank), 0.25, np.float16),
    }


TO_K = "down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
TO_K_DOTTED = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"


def kohya(rank: int = RANK, context: int = CONTEXT, prefix: str = "lora_unet_") -> dict[str, Any]:
    tensors = pair(f"{prefix}{TO_K}", down=".lora_down.weight", up=".lora_up.weight", rank=rank, context=context)
    return {**tensors, f"{prefix}{TO_K}.alpha": np.array(rank / 2, np.float32)}


def write(folder: Path, data: bytes, name: str = "style.safetensors") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path
