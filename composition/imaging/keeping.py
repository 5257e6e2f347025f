"""The photograph's light, detail and parts in an edit of colour: diffuse -> **keep** -> blend.

What a model paints has passed its autoencoder: soft, pale, its wheels without spokes. Where a thing becomes another
colour and nothing else, only that colour is wanted of it. The material that changes (`material.py`) takes it under the
photograph's own light, pixel by pixel and at the photograph's resolution; whatever else is inside the outline
stays as photographed. A look of several colours is left as the model has painted it. Where a thing becomes another
material, its surface is the model's, and only its edges and its other parts are the photograph's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from composition.images import Image, Mask
from composition.imaging.guided import enlarged
from composition.imaging.masks import large_pieces, scale_px, window
from composition.imaging.material import NEAR_PX, Look, Plane, find_drawn_material, find_material
from composition.imaging.one_look import Rgb, Surface

CARRIED_SHARE = 0.9
"""What the frame before says of the material in a clip, where the flow is sure; each decides anew about the rest."""
SPECK = 0.005
"""A piece of the material below this share of its largest one is what happens to look like it."""
WORKING_PX = 384
"""The material is looked for with at most this many pixels along the long side; its edges are the photograph's own."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """What of a thing changes, and what it becomes.

    Attributes:
        share: (H, W), 0..255, how much of each pixel is of it.
        colour: RGB float32 (3,), 0..255, that it becomes where its luma in the photograph is `brightness`, 0..255.
        brightness: its mean.
        patterned: it had a pattern, which was painted over.
    """

    share: Mask
    colour: Rgb
    brightness: float
    patterned: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Kept:
    """A painted image with what was kept of the photograph.

    Attributes:
        image: (H, W, 3).
        light: how far light and shade are the photograph's, 0..1.
        parts: the share of the thing that stays as photographed because it is of another material, 0..1.
        material: None: all is as painted.
    """

    image: Image
    light: float = 0.0
    parts: float = 0.0
    material: Material | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Carried:
    """The material of a clip's frame before, carried to this one by what has moved.

    Attributes:
        material: it becomes here what it became there, whatever of it is in view and however bright it is.
        sure: (H, W), 0..255, how far its share can be relied on.
    """

    material: Material
    sure: Mask


def material_surface(
    painted: Image,
    photo: Image,
    thing: Mask,
    *,
    drawn: bool = False,
    asked: Rgb | None = None,
    known: bool = True,
) -> Surface | None:
    """What colour `keep` would give the material that changes; None where it takes all as painted. As there."""
    around = window(thing, scale_px(NEAR_PX, thing.shape) * 1.5)
    if around is None:
        return None
    images = painted[around], photo[around], thing[around]
    found = _found(*images, _size(thing), plain=True, drawn=drawn, asked=asked, known=known)
    return None if found is None else Surface(colour=found[1].colour, brightness=found[1].brightness)


def keep(
    painted: Image,
    photo: Image,
    thing: Mask,
    *,
    parts: bool = True,
    surface: bool = False,
    colour: Rgb | None = None,
    drawn: bool = False,
    asked: Rgb | None = None,
    known: bool = True,
    before: Carried | None = None,
) -> Kept:
    """The painted colour on the material that changes, under the photograph's light; the rest as photographed.

    Args:
        painted: (H, W, 3), by the model.
        photo: (H, W, 3).
        thing: (H, W), > 0 is what changes colour; the painted image is only believed in and close around it.
        parts: whether what is of another material stays; else all of the thing takes the new colour.
        surface: not only the colour changes: the painted surface is taken as it is, with its own light.
        colour: that the material becomes, under its mean light; None: the painted one.
        drawn: the outline is a person's and says what is meant: see `find_drawn_material`.
        asked: about which colour the model was asked for, where that can be told.
        known: the model was made for images of this kind: see there.
        before: of a frame of a clip, which decides with this one what is of the material, and alone what that becomes.
    """
    around = window(thing, scale_px(NEAR_PX, thing.shape) * 1.5)
    if around is None:
        return Kept(image=painted.copy())
    seen = photo[around].astype(np.float32)
    images = painted[around], photo[around], thing[around]
    patterned = None if before is None else before.material.patterned
    found = _found(*images, _size(thing), plain=not surface, drawn=drawn, asked=asked, known=known, patterned=patterned)
    if found is not None:
        share, look = _at_own_size(*found, photo[around], _working_scale(_size(thing)))
        look = look if colour is None else replace(look, colour=colour)
        if before is not None:
            share, look = _steady(share, before, around), _as_before(look, before.material)
    elif before is not None and not surface:
        share, look = _share_before(before, around), _evenly(before.material)
    else:
        return Kept(image=painted.copy())
    share = _without_specks(share)
    material = _material(share, look, around, _size(thing))
    inside = thing[around] > 0
    kept_share = float(1.0 - share[inside].mean()) if parts else 0.0
    share = share if parts else np.ones_like(share)
    new = painted[around].astype(np.float32) if surface else look.paint(seen)
    mixed = seen + share[..., None] * (new - seen)
    image = painted.copy()
    image[around] = np.rint(np.clip(mixed, 0.0, 255.0)).astype(np.uint8)
    return Kept(image=image, light=0.0 if surface else 1.0, parts=kept_share, material=material)


def _at_own_size(share: Plane, look: Look, photo: Image, shrink: float) -> tuple[Plane, Look]:
    """What was found at the working size, of a photograph (H, W, 3)."""
    if shrink == 1.0:
        return share, look
    height, width = photo.shape[:2]
    even = None if look.even is None else cv2.resize(look.even, (width, height))
    return enlarged(share, photo), replace(look, even=even)


def _without_specks(share: Plane) -> Plane:
    """The share of the material (H, W; 0..1) where it is in one piece with enough of it."""
    pieces, _ = large_pieces(share > 0.0, SPECK)
    return np.where(pieces, share, np.float32(0.0))


def _steady(share: Plane, before: Carried, around: tuple[slice, slice]) -> Plane:
    """The share of the material (H, W; 0..1) in a part of a frame, with what the frame before had there."""
    was = _share_before(before, around)
    weight = CARRIED_SHARE * before.sure[around].astype(np.float32) / np.float32(255.0)
    return np.asarray(share + weight * (was - share), dtype=np.float32)


def _share_before(before: Carried, around: tuple[slice, slice]) -> Plane:
    return np.asarray(before.material.share[around], dtype=np.float32) / np.float32(255.0)


def _as_before(look: Look, was: Material) -> Look:
    """A frame's look as the one before had it; without a pattern it is as bright as its own other colour was."""
    brightness = look.brightness if was.patterned else was.brightness
    return replace(look, colour=was.colour, brightness=brightness)


def _evenly(was: Material) -> Look:
    """The look that the frame before had, under the light of the photograph alone."""
    return Look(colour=was.colour, brightness=was.brightness)


def _material(share: Plane, look: Look, around: tuple[slice, slice], shape: tuple[int, int]) -> Material:
    whole = np.zeros(shape, np.uint8)
    whole[around] = np.rint(share * 255.0).astype(np.uint8)
    return Material(share=whole, colour=look.colour, brightness=look.brightness, patterned=look.even is not None)


def _size(mask: Mask) -> tuple[int, int]:
    return mask.shape[0], mask.shape[1]


def _working_scale(shape: tuple[int, int]) -> float:
    return min(1.0, WORKING_PX / max(shape))


def _found(
    painted: Image,
    photo: Image,
    thing: Mask,
    shape: tuple[int, int],
    *,
    plain: bool,
    drawn: bool = False,
    asked: Rgb | None = None,
    known: bool = True,
    patterned: bool | None = None,
) -> tuple[Plane, Look] | None:
    """`find_material` of a part of images of a shape, at the working size."""
    shrink = _working_scale(shape)
    images = _shrunk(photo, shrink), _shrunk(painted, shrink), _solid(thing, shrink)
    scale = scale_px(shrink, shape)
    if drawn and plain:
        return find_drawn_material(*images, scale=scale, asked=asked, known=known)
    return find_material(*images, scale=scale, plain=plain, patterned=patterned)


def _shrunk(image: Image, share: float) -> Image:
    if share == 1.0:
        return image
    size = (max(1, round(image.shape[1] * share)), max(1, round(image.shape[0] * share)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _solid(thing: Mask, share: float) -> Mask:
    """The mask at the working size; a thing too thin for it is still there."""
    return (_shrunk(np.where(thing > 0, np.uint8(255), np.uint8(0)), share) > 0).astype(np.uint8)
