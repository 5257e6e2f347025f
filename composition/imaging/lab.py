"""Colours as the eye sees them: sRGB to CIE L*a*b* under D65 and back, and the brightness of a pixel."""

from __future__ import annotations

from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Lab: TypeAlias = npt.NDArray[np.float32]
"""float32 (..., 3): L* 0..100, a* and b* about -127..127."""
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def to_lab(rgb: npt.NDArray[Any]) -> Lab:
    """SRGB (..., 3), 0..255, whole numbers or not, to L*a*b*."""
    pixels = rgb.reshape(-1, 1, 3).astype(np.float32) / np.float32(255)
    lab: Lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)
    return lab.reshape(rgb.shape)


def to_rgb(lab: Lab) -> npt.NDArray[np.uint8]:
    """L*a*b* (..., 3) to sRGB uint8, clipped to what sRGB can show."""
    pixels = cv2.cvtColor(lab.reshape(-1, 1, 3).astype(np.float32), cv2.COLOR_LAB2RGB)
    rgb: npt.NDArray[np.uint8] = np.clip(np.rint(pixels * 255), 0, 255).astype(np.uint8)
    return rgb.reshape(lab.shape)


def luma(rgb: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Rec. 601's luma of sRGB (..., 3), float32 (...), 0..255: what a shade multiplies, gamma and all."""
    return np.asarray(rgb.astype(np.float32) @ _LUMA, dtype=np.float32)


def distance(one: Lab, other: Lab) -> npt.NDArray[np.float32]:
    """CIE76, float32 (...)."""
    return np.asarray(np.linalg.norm(one - other, axis=-1), dtype=np.float32)
