"""ICC profiles written by hand (ICC.1:2010), so that what an image must look like follows from the specification."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

import numpy as np

D50 = (0.9642, 1.0, 0.8249)
SRGB_PRIMARIES = ((0.4360, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
"""Red, green and blue in XYZ, adapted to D50."""
P3_PRIMARIES = ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))


def srgb_to_linear(value: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1, 0..1."""
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(value: np.ndarray) -> np.ndarray:
    value = np.clip(value, 0, 1)
    return np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1 / 2.4) - 0.055)


def xyz_to_srgb(xyz: np.ndarray) -> np.ndarray:
    """XYZ relative to D50, shape (..., 3), to sRGB 0..255."""
    linear = xyz @ np.linalg.inv(np.array(SRGB_PRIMARIES))
    return linear_to_srgb(linear) * 255


def lab_to_srgb(lab: np.ndarray) -> np.ndarray:
    """L 0..100, a and b, shape (..., 3), to sRGB 0..255."""
    y = (lab[..., 0] + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    return xyz_to_srgb(np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * D50)


def _fixed(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*values)


def linear_curve() -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">I", 0)


def gamma_curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"


def table_curve(function: Callable[[np.ndarray], np.ndarray], entries: int = 1024) -> bytes:
    values = np.round(function(np.linspace(0, 1, entries)) * 65535).astype(">u2")
    return b"curv\0\0\0\0" + struct.pack(">I", entries) + values.tobytes()


def parametric_srgb_curve() -> bytes:
    """Of version 4: type 3, Y = (aX + b)^g above d, else cX."""
    return b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def _text(name: str, version: int) -> bytes:
    if version == 4:
        text = name.encode("utf-16-be")
        return b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(text), 28) + text
    text = name.encode() + b"\0"
    return b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78)


def _profile(
    tags: dict[bytes, bytes], *, name: str, space: bytes, pcs: bytes = b"XYZ ", kind: bytes = b"mntr", version: int = 2
) -> bytes:
    tags = {b"desc": _text(name, version), b"cprt": _text("none", version), b"wtpt": _xyz(D50), **tags}
    if version == 2:
        tags[b"cprt"] = b"text\0\0\0\0none\0"
    table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for tag, data in tags.items():
        padded = data + bytes(-len(data) % 4)
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += padded
    head = struct.pack(
        ">I4sI4s4s4s6H4s",
        start + len(body),
        b"none",
        0x02400000 if version == 2 else 0x04200000,
        kind,
        space,
        pcs,
        *(2020, 1, 1, 0, 0, 0),
        b"acsp",
    )
    head += bytes(68 - len(head)) + _fixed(*D50)
    return head + bytes(128 - len(head)) + table + body


def matrix_profile(
    name: str, curve: bytes, primaries: Sequence[Sequence[float]] = SRGB_PRIMARIES, version: int = 2
) -> bytes:
    """RGB by one curve and three primaries."""
    tags = {tag: _xyz(xyz) for tag, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)}
    return _profile(tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve), name=name, space=b"RGB ", version=version)


def grey_profile(name: str, curve: bytes) -> bytes:
    return _profile({b"kTRC": curve}, name=name, space=b"GRAY")


def table_profile(
    name: str, space: bytes, to_lab: Callable[[np.ndarray], np.ndarray], *, points: int = 2, channels: int = 3
) -> bytes:
    """A device described by a table to Lab (lut16, `A2B0`), as printers are: `points` along each channel.

    Args:
        to_lab: device values (N, channels), 0..1, to Lab (N, 3).
    """
    steps = np.linspace(0, 1, points)
    device = np.stack(np.meshgrid(*[steps] * channels, indexing="ij"), axis=-1).reshape(-1, channels)
    lab = to_lab(device)
    encoded = np.stack([lab[:, 0] * 652.8, (lab[:, 1] + 128) * 256, (lab[:, 2] + 128) * 256], axis=-1)
    straight = np.array([0, 65535], ">u2").tobytes()
    lut = (
        b"mft2\0\0\0\0"
        + struct.pack(">BBBB", channels, 3, points, 0)
        + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
        + struct.pack(">HH", 2, 2)
        + straight * channels
        + np.clip(np.round(encoded), 0, 65535).astype(">u2").tobytes()
        + straight * 3
    )
    return _profile({b"A2B0": lut}, name=name, space=space, pcs=b"Lab ", kind=b"prtr")
