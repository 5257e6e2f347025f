r"""Length-prefixed frames: how a stream of events survives a transport that cuts it into arbitrary chunks.

A frame is `ICF1`, one byte of kind, two 32-bit big-endian lengths, a JSON header and the bytes of its arrays, one
after the other. The header's "arrays" lists name and shape of each; all are uint8.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

_MAGIC = b"ICF1"
_PREFIX = struct.Struct(">4sBII")
_MAX_HEADER_BYTES = 1 << 20
_MAX_BODY_BYTES = 1 << 28


class FrameError(Exception):
    """The bytes are no frames, or stop in the middle of one."""


class FrameKind(IntEnum):
    REQUEST = 0
    ACCEPTED = 1
    ALIVE = 2
    PROGRESS = 3
    RESULT = 4
    ERROR = 5

    @property
    def terminal(self) -> bool:
        return self in (FrameKind.RESULT, FrameKind.ERROR)


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """`header` is JSON-serialisable; `arrays` are uint8 of any shape."""

    kind: FrameKind
    header: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, npt.NDArray[np.uint8]] = field(default_factory=dict)


def encode_frame(frame: Frame) -> bytes:
    """Raises: FrameError when an array is not uint8, or the frame is larger than a decoder accepts."""
    for name, array in frame.arrays.items():
        if array.dtype != np.uint8:
            raise FrameError(f"array {name} is {array.dtype}, not uint8")
    listing = [{"name": name, "shape": array.shape} for name, array in frame.arrays.items()]
    header = json.dumps({"fields": frame.header, "arrays": listing}, separators=(",", ":")).encode()
    body = [np.ascontiguousarray(array).tobytes() for array in frame.arrays.values()]
    size = sum(map(len, body))
    if len(header) > _MAX_HEADER_BYTES or size > _MAX_BODY_BYTES:
        raise FrameError(f"a frame of {len(header)} + {size} bytes is too large")
    return b"".join([_PREFIX.pack(_MAGIC, frame.kind, len(header), size), header, *body])


class FrameDecoder:
    """Collects chunks of any size and gives back whole frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> list[Frame]:
        """Every frame that is complete with this chunk, in order. Raises: FrameError when what came is not a frame."""
        self._buffer += chunk
        frames: list[Frame] = []
        while (size := self._next_size()) is not None:
            frames.append(_decode(bytes(self._buffer[:size])))
            del self._buffer[:size]
        return frames

    def close(self) -> None:
        """Nothing more comes. Raises: FrameError when the stream ended in the middle of a frame."""
        if self._buffer:
            raise FrameError(f"the stream ended {len(self._buffer)} bytes into a frame")

    def _next_size(self) -> int | None:
        """Bytes of the frame at the front of the buffer, or None while it is incomplete."""
        if len(self._buffer) < _PREFIX.size:
            return None
        magic, _, header_bytes, body_bytes = _PREFIX.unpack_from(self._buffer)
        if magic != _MAGIC:
            raise FrameError("the stream does not hold frames")
        if header_bytes > _MAX_HEADER_BYTES or body_bytes > _MAX_BODY_BYTES:
            raise FrameError(f"a frame announces {header_bytes} + {body_bytes} bytes")
        size = int(_PREFIX.size + header_bytes + body_bytes)
        return size if len(self._buffer) >= size else None


def _decode(data: bytes) -> Frame:
    _, kind, header_bytes, body_bytes = _PREFIX.unpack_from(data)
    try:
        header = json.loads(data[_PREFIX.size : _PREFIX.size + header_bytes])
        arrays, offset = {}, _PREFIX.size + header_bytes
        for entry in header["arrays"]:
            shape = tuple(entry["shape"])
            size = int(np.prod(shape, dtype=np.int64))
            arrays[entry["name"]] = np.frombuffer(data, np.uint8, size, offset).reshape(shape)
            offset += size
        if offset != _PREFIX.size + header_bytes + body_bytes:
            raise FrameError("a frame's arrays do not fill its body")
        return Frame(kind=FrameKind(kind), header=header["fields"], arrays=arrays)
    except (ValueError, KeyError, TypeError) as error:
        raise FrameError(f"a frame cannot be read: {error}") from error


def decode_single(data: bytes) -> Frame:
    """The one frame that `data` is. Raises: FrameError when it is not exactly one."""
    decoder = FrameDecoder()
    frames = decoder.feed(data)
    decoder.close()
    if len(frames) != 1:
        raise FrameError(f"expected one frame, got {len(frames)}")
    return frames[0]
