"""Which pixels a user's mask means: decode -> planes -> **read the mask** -> submit, and again in the job.

People send white on black, but also photographs with a transparent hole (as OpenAI's API takes them), brush layers on
a transparent ground, strokes in colour, and classes 0 and 1. What can mean only one thing is taken and said; what can
mean two is refused by name. docs/api.md has the definitions.
"""

from __future__ import annotations

from typing import NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

from api.planes import in_mode
from composition.errors import EmptyMask, UnprocessableImage
from composition.images import Mask
from composition.ports.codec import MaskReading
from composition.request import MaskMode

LIGHT = 128
"""Of a grey value (0..255): this and above is light."""

_ALPHA_SPREAD = 32
"""Between the most opaque and the most transparent pixel; below, alpha is constant and decides nothing."""
_FEW, _MOST = 1 / 3, 2 / 3
"""Of an image's border: up to this it belongs to the other side, from this on it belongs to this one."""
_COLORFUL, _COLORFUL_SHARE = 64, 0.001
"""Difference of the channels (of 255) that is a colour, and the share of pixels that makes a mask a coloured one."""
_CLEAR_SHARE = 0.95
"""Of a coloured mask's pixels, that must be plainly on one side or the other; the rest are soft edges."""
_FLAT_SPREAD = 48
"""Of each channel of one colour: photographs have more."""
_FEW_COLORS = 6
"""Of a drawing."""
_SAMPLES = 65_536

Grey: TypeAlias = npt.NDArray[np.uint8]
Choice: TypeAlias = npt.NDArray[np.bool_]

_ASK = (
    "set config.mask_mode to luminance (the light part is repainted), alpha (the transparent part) or inverted "
    "(the dark part of an opaque mask, the opaque part of one with transparency)"
)


def read_mask(color: PillowImage.Image, alpha: PillowImage.Image | None, mode: MaskMode) -> MaskReading:
    """Read a mask's planes: colour (L, RGB or CMYK) and alpha (L of the same size, or None).

    Raises:
        EmptyMask: there is nothing to repaint in it, read this way.
        UnprocessableImage: it can mean either side, or has no transparency to be read by.
    """
    opacity = None if alpha is None else np.asarray(alpha)
    opaque = None if opacity is None else _opaque(opacity)
    visible = None if opaque is None else opacity
    if opacity is not None and opaque is None and opacity.max() < _ALPHA_SPREAD:
        chosen, note = _of_nothing_visible(opacity, mode)
    elif mode is MaskMode.AUTO:
        chosen, note = _unambiguous(color, opacity, opaque)
    elif mode is MaskMode.ALPHA:
        if opaque is None:
            raise UnprocessableImage("has no transparent part, by which config.mask_mode alpha reads it")
        chosen, note = ~opaque, None
    elif mode is MaskMode.INVERTED and opaque is not None:
        chosen, note = opaque, None
    else:
        chosen, note = _light(_grey(color, visible))
        if mode is MaskMode.INVERTED:
            chosen, note = ~chosen, None
    if not chosen.any():
        _refuse_empty(_grey(color, visible), mode)
    return MaskReading(mask=_mask(chosen), note=note)


def _mask(chosen: Choice) -> Mask:
    return np.where(chosen, np.uint8(255), np.uint8(0))


def _opaque(opacity: Grey) -> Choice | None:
    """The opaque side of an alpha plane; strokes of a faint brush are opaque beside nothing. None: it is constant."""
    low, high = int(opacity.min()), int(opacity.max())
    return None if high - low < _ALPHA_SPREAD else opacity >= (low + high + 1) // 2


def _of_nothing_visible(opacity: Grey, mode: MaskMode) -> tuple[Choice, None]:
    if mode is MaskMode.ALPHA:
        return np.ones(opacity.shape, np.bool_), None
    raise EmptyMask(
        "the mask is transparent everywhere: nothing to repaint; with config.mask_mode alpha it means everything"
    )


def _unambiguous(color: PillowImage.Image, opacity: Grey | None, opaque: Choice | None) -> tuple[Choice, str | None]:
    if opacity is not None and opaque is not None:
        return _by_transparency(color, opacity, opaque)
    values = grey = _grey(color, None)
    if color.mode != "L":
        red, green, blue = (np.asarray(channel) for channel in in_mode(color, "RGB").split())
        top = np.maximum(np.maximum(red, green), blue)
        colorful = (top - np.minimum(np.minimum(red, green), blue)) >= _COLORFUL
        if colorful.mean() >= _COLORFUL_SHARE:
            return _by_color(top, grey)
        values = top if grey.max() < LIGHT else grey
    light, note = _light(values)
    share = light.mean()
    if note is None and 0.5 < share < 1 and _on_border(light) >= _MOST:
        note = (
            f"mask_image: its light part, {_percent(light)}, is repainted; "
            "with config.mask_mode inverted it is the dark part"
        )
    return light, note


def _light(grey: Grey) -> tuple[Choice, str | None]:
    """The light side of grey values: from `LIGHT` on, or of a darker mask on black what stands out from it."""
    top = int(grey.max())
    if top >= LIGHT or top == 0:
        return grey >= LIGHT, None
    values = np.flatnonzero(np.bincount(grey.ravel(), minlength=256))
    if values.tolist() == [0, top]:
        return grey == top, f"mask_image: read as the two values 0 and {top}; {top} is repainted"
    if values[0] == 0 and top >= LIGHT // 4:
        cut = (top + 1) // 2
        return grey >= cut, f"mask_image: its lightest grey value is {top}, so it was cut at {cut} instead of {LIGHT}"
    return np.zeros(grey.shape, np.bool_), None


def _by_color(top: Grey, grey: Grey) -> tuple[Choice, str]:
    """Strokes of any colour on black, or light strokes on a dark one; `top` is the highest channel of each pixel."""
    cut = min(_COLORFUL, (int(top.max()) + 1) // 2)
    lit, dark = top >= cut, top < cut // 2
    if _are_sides(lit, dark):
        return lit, f"mask_image: read as strokes in colour on black; they, {_percent(lit)}, are repainted"
    light, dark = grey >= 192, grey < 64
    if _are_sides(light, dark):
        light = grey >= LIGHT
        return light, f"mask_image: read as light strokes on a dark colour; they, {_percent(light)}, are repainted"
    raise UnprocessableImage(f"is in colour, and it is not clear which side of it is meant: {_ASK}")


def _are_sides(strokes: Choice, ground: Choice) -> bool:
    """Whether two sets of pixels are strokes and the ground around them, with little that is neither."""
    painted, left = strokes.mean(), ground.mean()
    between = 1 - painted - left
    clear = between <= min(1 - _CLEAR_SHARE, painted / 2)
    return bool(clear and painted > 0 and left > 0 and _on_border(ground) >= _FEW)


def _by_transparency(color: PillowImage.Image, opacity: Grey, opaque: Choice) -> tuple[Choice, str]:
    """A hole in what is opaque all around, or strokes on a ground that is transparent all around.

    A few colours on a transparent ground are a brush's. A photograph is not painted, so that its hole may reach the
    border; cut out, with a transparent ground, it can mean the thing or all around it.
    """
    border, paint = _on_border(opaque), _paint(color, opacity)
    one_color = bool((np.ptp(np.percentile(paint, (3, 97), axis=0), axis=0) <= _FLAT_SPREAD).all())
    drawn = one_color or _share_of_commonest(paint) >= 0.98
    grey = bool((np.ptp(paint, axis=1) < _COLORFUL).mean() > 0.98)
    black_and_white = drawn and grey and not one_color
    strokes = drawn and opaque.mean() <= 0.5 and border <= (_FEW if grey else 0.5)
    hole = border >= (_MOST if drawn else 0.5) and (grey or not one_color)
    if strokes and not black_and_white:
        return opaque, f"mask_image: read as strokes on a transparent ground; they, {_percent(opaque)}, are repainted"
    if hole and not black_and_white:
        return ~opaque, f"mask_image: read by its transparency; the transparent part, {_percent(~opaque)}, is repainted"
    raise UnprocessableImage(f"has transparent parts, and it is not clear which side of it is meant: {_ASK}")


def _paint(color: PillowImage.Image, opacity: Grey) -> npt.NDArray[np.int16]:
    """RGB (N, 3) of some of the opaque pixels, those of soft edges left out."""
    low, high = int(opacity.min()), int(opacity.max())
    solid = np.flatnonzero(opacity >= high - (high - low) // 4)
    solid = solid[:: max(1, len(solid) // _SAMPLES)]
    return np.asarray(in_mode(color, "RGB")).reshape(-1, 3)[solid].astype(np.int16)


def _share_of_commonest(paint: npt.NDArray[np.int16]) -> float:
    """How much of it the `_FEW_COLORS` commonest colours make up, colours that differ little counted as one."""
    red, green, blue = (paint >> 4).T
    counts = np.bincount((red << 8) | (green << 4) | blue, minlength=4096)
    return float(np.sort(counts)[-_FEW_COLORS:].sum() / len(paint))


def _grey(color: PillowImage.Image, opacity: Grey | None) -> Grey:
    """Luminance; transparent parts are black."""
    grey = np.asarray(in_mode(color if color.mode != "CMYK" else color.convert("RGB"), "L"))
    if opacity is None:
        return grey
    return ((grey.astype(np.uint16) * opacity + 127) // 255).astype(np.uint8)


def _on_border(side: Choice) -> float:
    """The share of an image's outermost pixels that are on this side."""
    return float(np.concatenate([side[0], side[-1], side[1:-1, 0], side[1:-1, -1]]).mean())


def _percent(side: Choice) -> str:
    share = 100 * float(side.mean())
    return f"{share:.0f} % of the image" if share >= 1 else "less than 1 % of the image"


def _refuse_empty(grey: Grey, mode: MaskMode) -> NoReturn:
    if mode is MaskMode.INVERTED:
        raise EmptyMask("the mask has no pixel to repaint: read as inverted, its dark part is, and all of it is light")
    raise EmptyMask(
        "the mask has no pixel to repaint: read as luminance, its light part is, and its lightest grey value is "
        f"{int(grey.max())} of 255"
    )
