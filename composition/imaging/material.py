"""Which of a thing's pixels are of the material that changes colour: diffuse -> **keep** -> blend.

A car that becomes blue keeps its windows, tyres and lamps. What is what, the photograph and the painted image say
together: the model has painted its new colour where the material is, roughly and softly, and the photograph has the
edges. For every pixel the painted image, averaged over what is near and alike in the photograph, is compared with two
expectations: the photograph as it was, and the new colour under the photograph's light. It is of the material as far as
the second comes nearer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from composition.images import Image, Mask
from composition.imaging.lab import Lab, distance, luma, to_lab
from composition.imaging.masks import dilate
from composition.imaging.pattern import Pattern
from composition.imaging.slices import ColourSlices

NEAR_PX = 30.0
"""How far around the thing is looked, in pixels of a 512-pixel image."""
AVERAGED_PX = 10.0
"""Deviation of the averages over what is near and alike, in pixels of a 512-pixel image."""
TIE = 4.0
"""By how much the new colour has to come nearer than the old one, in L*a*b*: a decoder's haze is no change."""
SOFTNESS = 6.0
"""Difference of the two distances, in L*a*b*, that takes a pixel from one half to three quarters."""
FOREIGN, FOREIGN_SURFACE = 30.0, 45.0
"""Painted so far from the new look, a pixel is neither: the model failed there, and the photograph is better."""
PAINTED = 12.0
"""A painted pixel this far from the photograph was changed."""
SAME_HUE = 25.0
"""Two colours whose a* and b* are nearer are of one kind under different light."""
OTHER_HUE = 14.0
"""Two colours whose a* and b* are farther apart are of two materials, whatever light is on them."""
DARK = 0.4
"""Light below this share of the material's mean shows no hue."""
VISIBLE_LIGHT = 6.0
"""Deviation of L* below which light and shade need no thought."""
FOLLOWS = 0.25
"""Share of a pattern's contrast up to which it was painted over."""
LEAST_MATERIAL, LEAST_SURFACE = 0.1, 0.4
"""A smaller share of the thing is no colour, or no surface, that changed: the edit was something else."""
ONE_COLOUR = 0.45
"""A smaller share of the material having become of the new hue, the new look is not one colour."""
TOUCHING = 0.25
"""A part with a smaller share of its rim on the material does not touch it."""
LARGEST_PART = 0.25
"""Of the material's area: what is larger is no part of it."""
HIGHLIGHT = 1.35
"""Light above this many times the material's mean is a reflection: white light over the material's colour."""
EXTREMES = (0.02, 0.98)
"""The shares of a drawn material's pixels between which its lightness finds room in what a screen can show."""
LIGHTNESS_ROOM = (2.0, 98.0)
"""Between these L* it does."""
STEEPEST = 2.0
"""Light on very dark cloth is haze and gloss more than shade: no step of it grows by more than this."""
LEAST_GAIN = 0.35
"""Rather than lose more of its light, a material is less light than its colour: white cloth has grey folds."""
WHITE = 255.0
NEAREST, ASKED = 0.05, 45.0
"""The share of what was painted that says what the asked colour is to the model; so far may its hue be from it."""
LIGHTLY = 0.5
"""How much a difference of lightness counts against one of hue, where light may be any."""
LEAST_SEEN = 0.005
"""Of a drawn thing, that must have been painted in the new colour."""
UNSURE = 0.05
"""How much a colour's hue counts against what the model has painted on it, as a share of its pixels."""
ALIKE = 0.35
"""A colour of the photograph is of the material from this share of it on that became of the new colour."""
WIDE, LIKELY = 4.0, 0.8
"""Deviation over that of other averages of what is near and alike; the share of it that has to be of the new look."""
DOUBT = 0.01
"""The share of what is near and alike that has to be of the new look to say anything."""
SMEARED = 0.6
"""The share of the new look up to which a pixel was left as it was, and what is next to it has run into it."""
NEXT = 0.4
"""Deviation over that of other averages of what is next to a pixel."""
VIVID = 25.0
"""A colour whose a* and b* are nearer to grey has no hue that would tell it from other parts."""
_ROUNDS = 3
_RAMP_STEPS = 128
_MAX_EXPONENT = 30.0
_LEAST_PIXELS = 50

Plane = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.bool_]
Colour = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Shading:
    """A photograph's light on a material that takes another colour: every step of lightness stays one.

    A surface that reflects r times as much light has the cube root of r times the L* + 16 (CIE 1976), so another
    colour under the same light is as light as a straight line of what was there. The line's slope is held to what has
    room: what is ten times as bright as black cloth is on the mean is no light that yellow cloth could show.

    Attributes:
        was: L* of the photograph, rising, between which lightness runs straight.
        becomes: what is added to the new colour's L* there.
    """

    was: tuple[float, ...]
    becomes: tuple[float, ...]

    @classmethod
    def of(cls, lightness: Plane, colour: Colour) -> Shading:
        """For a material with pixels of that L* (N,), that becomes of a colour, RGB (3,) 0..255."""
        mean, new = float(lightness.mean()), float(to_lab(colour)[0])
        darkest, lightest = (float(value) for value in np.quantile(lightness, EXTREMES))
        below, above = max(mean - darkest, 1.0), max(lightest - mean, 1.0)
        gain = min((new + 16.0) / (mean + 16.0), STEEPEST, max(new - LIGHTNESS_ROOM[0], 1.0) / below)
        gain = max(min(gain, (LIGHTNESS_ROOM[1] - new) / above), LEAST_GAIN * gain)
        middle = min(0.0, LIGHTNESS_ROOM[1] - new - gain * above)
        dark, light = middle - gain * below, middle + gain * above
        was = (0.0, mean - below, mean + above, 100.0)
        ends = (max(dark - gain * was[1], -new), min(light + gain * (100.0 - was[2]), 100.0 - new))
        return cls(was=was, becomes=(ends[0], dark, light, ends[1]))

    def on(self, colour: Colour, photo: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The photograph (H, W, 3) as if all of it were of a colour (3,), 0..255."""
        lightness = float(to_lab(colour)[0]) + np.interp(to_lab(photo)[..., 0], self.was, self.becomes)
        ramp = _ramp(colour)
        steps = np.maximum.accumulate(to_lab(ramp)[:, 0])
        channels = [np.interp(lightness, steps, ramp[:, channel]) for channel in range(3)]
        return np.stack(channels, axis=-1).astype(np.float32)


def _ramp(colour: Colour) -> npt.NDArray[np.float32]:
    """A colour (3,) under more and more light, RGB (N, 3), 0..255: from black to a reflection, to white."""
    lit = np.linspace(0.0, HIGHLIGHT, _RAMP_STEPS, dtype=np.float32)[:, None] * colour.astype(np.float32)
    lit = np.minimum(lit, WHITE)
    white = np.linspace(0.0, 1.0, _RAMP_STEPS, dtype=np.float32)[1:, None]
    return np.concatenate([lit, lit[-1] + white * (WHITE - lit[-1])])


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """A new colour, and the light that falls on it.

    Attributes:
        colour: RGB float32 (3,), 0..255, under the material's mean light.
        brightness: the material's mean luma in the photograph, 0..255.
        even: the photograph's luma without a pattern that was painted over, (H, W), 0..255; None: as it is.
        shading: how light falls on a thing that a person drew; None: as its luma over the mean.
    """

    colour: npt.NDArray[np.float32]
    brightness: float
    even: Plane | None = None
    shading: Shading | None = None

    def paint(self, photo: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The photograph (H, W, 3) as if all of it were of this colour, 0..255."""
        if self.shading is not None:
            return self.shading.on(self.colour, photo)
        bright = luma(photo) if self.even is None else self.even
        light = (bright + 1.0) / (self.brightness + 1.0)
        painted = np.minimum(light, HIGHLIGHT)[..., None] * self.colour
        brightest = HIGHLIGHT * (self.brightness + 1.0)
        if brightest < WHITE:
            white = np.maximum(bright - brightest, 0.0)[..., None] / (WHITE - brightest)
            painted = painted + white * (WHITE - painted)
        return np.asarray(np.clip(painted, 0.0, 255.0), dtype=np.float32)


def find_material(
    photo: Image, painted: Image, thing: Mask, *, scale: float, plain: bool = True, patterned: bool | None = None
) -> tuple[Plane, Look] | None:
    """How much of every pixel is of the material, float32 (H, W) in 0..1, and its new look.

    Args:
        photo: (H, W, 3), as it was.
        painted: (H, W, 3), by the model, which was asked for a new colour of the thing.
        thing: (H, W), > 0; at least one pixel is.
        scale: pixels of these images for one of a 512-pixel image.
        plain: the new look is a colour; else it is a surface (marble, wood), whose pixels differ more from their mean.
        patterned: whether a pattern of the thing is painted over; None: as the painted image says.

    Returns:
        None where the model has not painted one new colour on a part of the thing that is worth the name.
    """
    core, near, sigma_px = _core(thing), dilate(thing, NEAR_PX * scale) > 0, AVERAGED_PX * scale
    evidence = _Evidence(photo.astype(np.float32), painted, near, sigma_px)
    share = evidence.first_guess(core)
    even = evidence.without_pattern(share * core, core, patterned) if plain else None
    if even is not None:
        evidence = _Evidence(even, painted, near, sigma_px)
        share = evidence.first_guess(core)
    apart = np.zeros(core.shape, bool)
    for _ in range(_ROUNDS):
        if share[core].mean() < LEAST_MATERIAL:
            return None
        look = evidence.look(share * core * ~apart)
        share = evidence.share_of(look, FOREIGN if plain else FOREIGN_SURFACE)
        old = evidence.old_colour(share, core & ~apart)
        apart = evidence.apart(share, core, old)
        share = share * (1.0 - _softened(apart))
    if share[core].mean() < (LEAST_MATERIAL if plain else LEAST_SURFACE):
        return None
    if plain:
        if not evidence.is_one_colour(look, core & ~apart, old):
            return None
        more = np.maximum(evidence.of_hue(old), evidence.of_alike(look, share, core))
        share = np.maximum(share, more * (thing > 0) * (1.0 - _softened(apart)))
    return _hardened(share), look if even is None else replace(look, even=luma(even))


def find_drawn_material(
    photo: Image, painted: Image, thing: Mask, *, scale: float, asked: Colour | None, known: bool = True
) -> tuple[Plane, Look] | None:
    """As `find_material`, of a thing whose outline the user drew: what is alike in the photograph is of one material.

    The outline says what is meant, so a model that does not know the thing, and has painted the new colour on some of
    it and its own ideas on the rest, is believed in the colour only.

    Args:
        photo: as there.
        painted: as there.
        thing: as there.
        scale: as there.
        asked: about which colour the model was asked for, RGB (3,); None: whichever it painted most.
        known: the model was made for images of this kind: its colour is the mean of what it painted about the asked
            one. Else it is what it painted nearest to that: the rest is paler, or in a shade that nothing casts there.
    """
    core = _core(thing)
    around = dilate(thing, NEAR_PX * scale) > 0
    evidence = _Evidence(photo.astype(np.float32), painted, around, AVERAGED_PX * scale)
    near = None if asked is None else evidence.painted_near(asked, core)
    seen, own = near or (evidence.first_guess(core), None)
    if seen[core].mean() < LEAST_SEEN:
        return None
    look = evidence.look(seen)
    if own is not None and not known:
        look = replace(look, colour=own)
    share = evidence.alike(look, seen, core)
    if share[core].mean() < LEAST_MATERIAL:
        return None
    apart = evidence.apart(share, core, evidence.old_colour(share, core))
    share = share * (1.0 - _softened(apart))
    brightness = float((luma(photo) * share)[core].sum() / share[core].sum())
    lightness = evidence.lightness(core & (share > 0.5))
    shading = Shading.of(lightness, look.colour) if len(lightness) else None
    return _hardened(share), replace(look, brightness=brightness, shading=shading)


def _core(thing: Mask) -> Pixels:
    """The thing without its rim, if anything is left then."""
    core = cv2.erode((thing > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return np.asarray(core if np.count_nonzero(core) >= _LEAST_PIXELS else thing > 0)


def _hardened(share: Plane) -> Plane:
    return np.asarray(np.clip((share - 0.08) / 0.84, 0.0, 1.0), dtype=np.float32)


class _Evidence:
    """What the photograph and the painted image say, as far as it does not depend on the guess."""

    def __init__(self, photo: npt.NDArray[np.float32], painted: Image, near: Pixels, sigma_px: float) -> None:
        self._photo, self._painted = photo, painted.astype(np.float32)
        self._photo_lab, self._painted_lab = to_lab(photo), to_lab(painted)
        self._sigma_px = sigma_px
        self._weight = near.astype(np.float32) + np.float32(1e-4)
        self._slices = ColourSlices.of(self._photo_lab, near, self._sigma_px)
        self._was, self._seen = self._average(self._photo_lab), self._average(self._painted_lab)
        self._change = distance(self._seen, self._was)

    def lightness(self, where: Pixels) -> Plane:
        """L* of the photograph there, (N,)."""
        return self._photo_lab[..., 0][where]

    def first_guess(self, core: Pixels) -> Plane:
        """Where the model has painted the colour that it painted most, in whatever lightness."""
        number = self._slices.shares.argmax(axis=0)[core]
        effort = np.clip(self._change[core] - PAINTED, 1e-3, FOREIGN)
        totals = np.bincount(number, effort)
        used = np.flatnonzero(totals)
        sums = [np.bincount(number, effort * self._seen[core][:, channel])[used] for channel in (1, 2)]
        hues = np.stack(sums, axis=1) / totals[used][:, None]
        near = np.linalg.norm(hues[:, None] - hues, axis=2) < SAME_HUE / 2
        most = hues[(near * totals[used]).sum(axis=1).argmax()].astype(np.float32)
        alike = distance(self._seen[..., 1:], most) < SAME_HUE / 2
        return np.asarray(core & alike & (self._change > PAINTED / 2), dtype=np.float32)

    def painted_near(self, colour: Colour, core: Pixels) -> tuple[Plane, Colour] | None:
        """Where the model has painted the colour (3,) that comes nearest to one, and that; None: nothing comes near.

        Every model has its own idea of what a word for a colour means: what it has painted nearest to it is that idea.
        """
        changed = core & (self._change > PAINTED / 2)
        if not changed.any():
            return None
        apart = self._from(colour)
        nearest = changed & (apart <= np.quantile(apart[changed], NEAREST))
        own = self._painted[nearest].mean(axis=0)
        if float(distance(to_lab(own)[1:], to_lab(colour)[1:])) > ASKED:
            return None
        return np.asarray(changed & (self._from(own) < SAME_HUE / 2), dtype=np.float32), own

    def alike(self, look: Look, seen: Plane, core: Pixels) -> Plane:
        """The share of the material where what is alike in the photograph is of it, or is not, all of it.

        What the model has painted in neither look says nothing: there the hue decides that the material had where the
        new look was seen.
        """
        new = _rising((self._change - PAINTED) / 3.0) * _rising((FOREIGN - self._from(look.colour)) / 5.0)
        old = _rising((PAINTED - self._change) / 3.0) * (1.0 - new)
        colours = self._slices.shares[:, core]
        of_new, of_old, of_all = ((colours * plane[core]).sum(axis=1) for plane in (new, old, np.ones_like(new)))
        odd, _ = self._odd(self.old_colour(seen, core))
        of_odd = (colours * odd[core]).sum(axis=1)
        of_all = of_all + np.float32(1.0)  # a colour of the surroundings may have no pixel inside
        unsure = UNSURE * of_all
        odds = (of_new + unsure * (1.0 - of_odd / of_all)) / (of_new + of_old + unsure)
        share = np.asarray(np.tensordot(odds, self._slices.shares, axes=1), dtype=np.float32)
        return np.where(core, _rising((share - ALIKE) / 0.05), 0.0).astype(np.float32)

    def of_hue(self, old: Lab) -> Plane:
        """What has the hue of the material's old colour (3,) and was painted over, in whatever colour, 0..1.

        A model that paints a thing in another shape smears what is around it over the rest: that is of the thing
        all the same. What it left as it was is not meant, and a colour without a hue says nothing.
        """
        if float(np.linalg.norm(to_lab(old)[1:])) < VIVID:
            return np.zeros(self._change.shape, np.float32)
        apart, light = self._from_shaded(old)
        return _rising((OTHER_HUE - apart) / 2.0) * _rising((self._change - PAINTED) / 3.0) * (light > DARK)

    def of_alike(self, look: Look, share: Plane, core: Pixels) -> Plane:
        """What was painted over, in whatever colour, where what is near and alike is of the material, 0..1."""
        new, left = share * core, _rising((PAINTED - self._change) / 3.0) * (1.0 - share) * core
        wide = replace(self._slices, sigma_px=WIDE * self._sigma_px)
        votes = wide.average(np.dstack([new, left, core.astype(np.float32)]), self._weight)
        counted = votes[..., 0] + votes[..., 1] + DOUBT * votes[..., 2] + np.float32(1e-4)
        sure: Plane = votes[..., 0] / counted
        return _rising((sure - LIKELY) / 0.05) * _rising((self._painted_over(look) - 0.5) / 0.1)

    def look(self, material: Plane) -> Look:
        """The new look of the material (H, W, 0..1), seen well inside of it: at its edges the model has smeared it."""
        material = self._well_inside(material)
        total = float(material.sum())
        colour = (self._painted * material[..., None]).sum(axis=(0, 1)) / total
        return Look(colour=colour, brightness=float((luma(self._photo) * material).sum() / total))

    def without_pattern(self, material: Plane, core: Pixels, patterned: bool | None) -> npt.NDArray[np.float32] | None:
        """The photograph (H, W, 3) without the pattern of a thing; None: it has none, or the painted image has it."""
        if patterned is False or not material.any():
            return None
        look = self.look(material)
        pattern = Pattern.of(self._photo, core & self._painted_in(look.colour), self._sigma_px)
        if pattern is None:
            return None
        expected = pattern.contrast(to_lab(look.paint(self._photo))[..., 0])
        left = pattern.contrast(self._painted_lab[..., 0])
        if patterned is None and abs(expected) >= VISIBLE_LIGHT and left / expected > FOLLOWS:
            return None
        thing = cv2.dilate(core.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        return pattern.evened(self._photo, thing & (self._painted_over(look) > 0.5), look.colour)

    def is_one_colour(self, look: Look, core: Pixels, old: Lab) -> bool:
        """Whether most of what the model changed of the material has become of the look's colour."""
        odd, light = self._odd(old)
        changed = core & ~odd & (light > DARK) & (self._change > PAINTED)
        return bool(np.count_nonzero(changed & self._painted_in(look.colour)) >= ONE_COLOUR * np.count_nonzero(changed))

    def share_of(self, look: Look, foreign: float) -> Plane:
        """How much nearer the painted image is to the look than to the photograph, as a share, 0..1."""
        to_new = distance(self._seen, self._average(to_lab(look.paint(self._photo))))
        return _rising((self._change - to_new - TIE) / SOFTNESS) * _rising((foreign - to_new) / 5.0)

    def old_colour(self, share: Plane, core: Pixels) -> Lab:
        """The material's colour in the photograph, RGB (3,): the median, as a rim or two may still be taken for it."""
        material = core & (share > 0.5)
        seen = self._photo[material if material.any() else core]
        return np.asarray(np.median(seen, axis=0), dtype=np.float32)

    def apart(self, share: Plane, core: Pixels, old: Lab) -> Pixels:
        """What is of another colour in the photograph and does not touch the material: rims within their tyres.

        A model that paints a black car paints all of its wheel black. What is foreign and touches the material may be a
        pattern on it, and there the model is believed.
        """
        odd, light = self._odd(old)
        foreign = core & odd & (light > 1.5 * DARK)
        own = (share > 0.5) & ~odd & (light > DARK)
        closed = cv2.morphologyEx(foreign.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
        count, numbers = cv2.connectedComponents(closed, connectivity=8)
        apart = np.zeros(share.shape, bool)
        for number in range(1, count):
            part = (numbers == number).astype(np.uint8)
            rim = (cv2.dilate(part, np.ones((5, 5), np.uint8)) > 0) & (part == 0)
            if own[rim].mean() < TOUCHING and part.sum() < LARGEST_PART * own.sum():
                apart |= part > 0
        return apart

    def _from(self, colour: Colour) -> Plane:
        """How far the painted image is from a colour (3,), most of all in hue: the model has its own light."""
        apart = self._seen - to_lab(colour)
        apart[..., 0] *= np.float32(LIGHTLY)
        return np.asarray(np.linalg.norm(apart, axis=2), dtype=np.float32)

    def _odd(self, old: Lab) -> tuple[Pixels, Plane]:
        """What is of another hue in the photograph than the material, and the light on everything, 1 = its mean."""
        apart, light = self._from_shaded(old)
        return apart > OTHER_HUE, light

    def _from_shaded(self, old: Lab) -> tuple[Plane, Plane]:
        """How far each pixel's a* and b* are from the colour under its light, and that light, 1 = the mean."""
        light = (luma(self._photo) + 1.0) / (luma(old) + 1.0)
        shaded = to_lab(np.clip(light[..., None] * old, 0.0, 255.0))
        return distance(self._photo_lab[..., 1:], shaded[..., 1:]), light

    def _painted_over(self, look: Look) -> Plane:
        """How far a pixel was not left as photographed, with some of the new look smeared over it at most, 0..1."""
        to_look = to_lab(look.paint(self._photo)) - self._photo_lab
        to_painted = self._painted_lab - self._photo_lab
        along = (to_look * to_painted).sum(axis=2) / np.maximum(np.square(to_look).sum(axis=2), 1.0)
        smeared = np.clip(along, 0.0, SMEARED)[..., None] * to_look
        over = np.where(along > SMEARED, 1.0, _rising((distance(to_painted, smeared) - PAINTED) / 3.0))
        blurred = cv2.GaussianBlur(over.astype(np.float32), (0, 0), NEXT * self._sigma_px)
        return np.asarray(blurred, dtype=np.float32)

    def _well_inside(self, material: Plane) -> Plane:
        side = 2 * round(0.4 * self._sigma_px) + 1
        inside = material * cv2.erode((material > 0.5).astype(np.float32), np.ones((side, side), np.uint8))
        return np.asarray(inside if inside.sum() >= _LEAST_PIXELS else material, dtype=np.float32)

    def _painted_in(self, colour: npt.NDArray[np.float32]) -> Pixels:
        """What has become of a colour (3,), whatever light is on it."""
        alike = distance(self._painted_lab[..., 1:], to_lab(colour)[1:]) < SAME_HUE
        return np.asarray(alike & (self._change > PAINTED))

    def _average(self, planes: Lab) -> Lab:
        return self._slices.average(planes, self._weight)


def _rising(value: Plane) -> Plane:
    """The logistic function."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(value, -_MAX_EXPONENT, _MAX_EXPONENT))), dtype=np.float32)


def _softened(part: Pixels) -> Plane:
    """A part (H, W) with its seam, 0..1."""
    grown = cv2.dilate(part.astype(np.float32), np.ones((3, 3), np.uint8))
    return np.asarray(cv2.GaussianBlur(grown, (0, 0), 0.8), dtype=np.float32)
