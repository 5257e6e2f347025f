"""The key of a content: a digest of everything that a value depends on."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from composition.images import Detection
from composition.marks import Mark

THREADED_DIGEST_BYTES = 1 << 20
"""Larger images are digested in a thread: the event loop never waits longer than about a millisecond."""

Part: TypeAlias = npt.NDArray[np.uint8] | str | bytes | Mark | Sequence[Detection]


def content_key(*parts: Part) -> bytes:
    """BLAKE2b over the parts, each with its type, shape and length: different parts never share a key."""
    digest = hashlib.blake2b(digest_size=32)
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"array {part.dtype.str} {part.shape};".encode())
            digest.update(np.ascontiguousarray(part).data)
        else:
            kind, encoded = _encoded(part)
            digest.update(f"{kind} {len(encoded)};".encode())
            digest.update(encoded)
    return digest.digest()


async def content_key_off_loop(*parts: Part) -> bytes:
    """`content_key` for the event loop."""
    if any(isinstance(part, np.ndarray) and part.nbytes > THREADED_DIGEST_BYTES for part in parts):
        return await asyncio.to_thread(content_key, *parts)
    return content_key(*parts)


def _encoded(part: str | bytes | Mark | Sequence[Detection]) -> tuple[str, bytes]:
    if isinstance(part, bytes):
        return "bytes", part
    if isinstance(part, str):
        return "text", part.encode("utf-8", "surrogatepass")
    if isinstance(part, Mark):
        return "mark", repr(part).encode()
    return "detections", repr(tuple(part)).encode("utf-8", "surrogatepass")
