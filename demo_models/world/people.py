"""People, seen from the front, with their OpenPose key points."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demo_models.world.canvas import Canvas, Stencil
from demo_models.world.geometry import Points, limb_outline, point, smooth_outline
from demo_models.world.ground import Ground
from demo_models.world.palette import GARMENTS, HAIR_TONES, PATTERNS, PLAIN, SKIN_TONES, Rgb, darker, jittered
from demo_models.world.shading import rounded_shade
from demo_models.world.textures import SWATCH_PX, Appearance, texture

SKIN, GARMENT, TROUSERS, SHOES, HAIR = 1, 2, 3, 4, 5
NOSE, NECK, R_SHOULDER, R_ELBOW, R_WRIST, L_SHOULDER, L_ELBOW, L_WRIST = range(8)
R_HIP, R_KNEE, R_ANKLE, L_HIP, L_KNEE, L_ANKLE, R_EYE, L_EYE, R_EAR, L_EAR = range(8, 18)
KEYPOINTS: Final = 18
_TROUSER_TONES: Final[tuple[Rgb, ...]] = ((44, 58, 92), (62, 62, 66), (120, 100, 76), (38, 38, 42), (88, 104, 84))

_HALF_FACE: Final = np.array([[0.3, -0.42], [0.38, -0.05], [0.27, 0.33]])
_FACE: Final = np.concatenate([[[0, -0.55]], _HALF_FACE, [[0, 0.5]], _HALF_FACE[::-1] * (-1, 1)])
_HALF_FRINGE: Final = np.array([[-0.31, -0.22], [-0.42, 0.02], [-0.42, -0.36], [-0.2, -0.62]])
_FRINGE: Final = np.concatenate([_HALF_FRINGE, _HALF_FRINGE[::-1] * (-1, 1), [[0.05, -0.3]]])
"""Outlines about the middle of the head, in heads."""


@dataclass(frozen=True, kw_only=True)
class Posture:
    """Angles in radians; zero hangs straight down, positive opens away from the body."""

    lean: float
    shoulders: tuple[float, float]
    elbows: tuple[float, float]
    hips: tuple[float, float]
    knees: tuple[float, float]
    head_turn: float

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Posture":
        """Draws a posture."""

        def pair(low: float, high: float) -> tuple[float, float]:
            return float(rng.uniform(low, high)), float(rng.uniform(low, high))

        return cls(
            lean=float(rng.uniform(-0.1, 0.1)),
            shoulders=pair(0.08, 1.6),
            elbows=pair(-0.5, 1.2),
            hips=pair(0.02, 0.3),
            knees=pair(0.0, 0.22),
            head_turn=float(rng.uniform(-0.3, 0.3)),
        )

    def towards(self, other: "Posture", share: float) -> "Posture":
        """Returns the posture on the way to another one: 0 is this one, 1 the other."""

        def between(one: float, two: float) -> float:
            return one + share * (two - one)

        def pair(ones: tuple[float, float], twos: tuple[float, float]) -> tuple[float, float]:
            return between(ones[0], twos[0]), between(ones[1], twos[1])

        return Posture(
            lean=between(self.lean, other.lean),
            shoulders=pair(self.shoulders, other.shoulders),
            elbows=pair(self.elbows, other.elbows),
            hips=pair(self.hips, other.hips),
            knees=pair(self.knees, other.knees),
            head_turn=between(self.head_turn, other.head_turn),
        )


@dataclass(frozen=True, kw_only=True)
class Person:
    """A standing person.

    Attributes:
        garment: t-shirt, jacket or dress.
        appearance: The garment's look.
        posture: The pose.
        height_px: Crown to sole, canvas pixels.
        centre_px: Column of the neck.
        top_px: Row of the crown.
        skin: Colour.
        hair: Colour, or None for a shaven head.
        long_hair: Whether the hair falls on the shoulders.
        trousers: Colour.
        shoes: Colour.
    """

    FAMILY: ClassVar[str] = "person"
    NAMED_PARTS: ClassVar[tuple[int, ...]] = (GARMENT,)

    garment: str
    appearance: Appearance
    posture: Posture
    height_px: float
    centre_px: float
    top_px: float
    skin: Rgb
    hair: Rgb | None
    long_hair: bool
    trousers: Rgb
    shoes: Rgb

    @classmethod
    def sample(cls, rng: np.random.Generator, garment: str | None = None) -> "Person":
        """Draws a person in the given garment or any."""
        return cls(
            garment=garment or str(rng.choice(GARMENTS)),
            appearance=Appearance.sample(rng, (PLAIN, PLAIN, *PATTERNS)),
            posture=Posture.sample(rng),
            height_px=float(rng.uniform(410, 465)),
            centre_px=float(rng.uniform(200, 312)),
            top_px=float(rng.uniform(18, 34)),
            skin=jittered(rng, SKIN_TONES[int(rng.integers(len(SKIN_TONES)))], 4),
            hair=None if rng.random() < 0.15 else jittered(rng, HAIR_TONES[int(rng.integers(len(HAIR_TONES)))], 4),
            long_hair=bool(rng.random() < 0.4),
            trousers=jittered(rng, _TROUSER_TONES[int(rng.integers(len(_TROUSER_TONES)))], 8),
            shoes=jittered(rng, (60, 52, 48), 18),
        )

    @property
    def noun(self) -> str:
        """The garment that a caption names."""
        return self.garment

    @property
    def LABELS(self) -> Mapping[str, tuple[int, ...]]:  # noqa: N802 - the same name as the other families' constant
        """The nouns to be found in the image and the parts that they cover."""
        lower = {} if self.garment == "dress" else {"trousers": (TROUSERS,)}
        return {"person": (SKIN, GARMENT, TROUSERS, SHOES, HAIR), self.garment: (GARMENT,), **lower}

    @property
    def unit_px(self) -> float:
        """An eighth of the height: a head."""
        return self.height_px / 8

    def keypoints(self) -> NDArray[np.float64]:
        """Returns the OpenPose-18 joints in canvas pixels, (18, 2). The person faces us: their right is on our left."""
        unit, pose = self.unit_px, self.posture
        joints = np.zeros((KEYPOINTS, 2))
        neck = point(self.centre_px, self.top_px + 1.35 * unit)
        hips = neck + _down(pose.lean) * 2.5 * unit
        joints[NECK] = neck
        for side, shoulder, hip in ((0, R_SHOULDER, R_HIP), (1, L_SHOULDER, L_HIP)):
            sign = -1 if side == 0 else 1
            joints[shoulder] = neck + point(sign * 0.80 * unit, 0.12 * unit)
            upper, lower = sign * pose.shoulders[side], sign * (pose.shoulders[side] + pose.elbows[side])
            joints[shoulder + 1] = joints[shoulder] + _down(upper) * 1.35 * unit
            joints[shoulder + 2] = joints[shoulder + 1] + _down(lower) * 1.2 * unit
            joints[hip] = hips + point(sign * 0.45 * unit, 0)
            thigh, shin = sign * pose.hips[side], sign * (pose.hips[side] - pose.knees[side])
            joints[hip + 1] = joints[hip] + _down(thigh) * 1.95 * unit
            joints[hip + 2] = joints[hip + 1] + _down(shin) * 1.8 * unit
        head, turn = self._head(), pose.head_turn
        joints[NOSE] = head + unit * point(0.14 * turn, 0.08)
        for eye, ear, sign in ((R_EYE, R_EAR, -1), (L_EYE, L_EAR, 1)):
            joints[eye] = head + unit * point(sign * 0.16 + 0.1 * turn, -0.07)
            joints[ear] = head + unit * point(sign * 0.38, 0.0)
        return joints

    def _head(self) -> Points:
        unit = self.unit_px
        return point(self.centre_px + 0.3 * unit * self.posture.head_turn, self.top_px + 0.55 * unit)

    def draw(self, canvas: Canvas, ground: Ground) -> None:
        """Paints the person from the back to the front."""
        unit, joints = self.unit_px, self.keypoints()
        sole = float(max(joints[R_ANKLE, 1], joints[L_ANKLE, 1])) + 0.2 * unit
        brush = _Brush(canvas=canvas, depth=ground.depth_at(sole), unit_px=unit)
        canvas.shadow(Stencil.ellipse(point(self.centre_px + 4, sole), 1.5 * unit, 0.16 * unit), 0.55, 7)
        if self.hair and self.long_hair:
            behind = limb_outline(self._head(), self._head() + point(0, 0.75 * unit), 0.46 * unit, 0.5 * unit)
            brush.round(behind, self.hair, HAIR, -4)
        self._draw_legs(brush, joints)
        neck = limb_outline(joints[NECK] + point(0, 0.1 * unit), self._head(), 0.17 * unit, 0.18 * unit)
        brush.round(neck, self.skin, SKIN)
        self._draw_torso(brush, joints)
        self._draw_arms(brush, joints)
        self._draw_head(brush, joints)

    def _draw_legs(self, brush: "_Brush", joints: Points) -> None:
        unit, bare = self.unit_px, self.garment == "dress"
        ink, part = (self.skin, SKIN) if bare else (self.trousers, TROUSERS)
        thin = 0.85 if bare else 1.0
        for hip in (R_HIP, L_HIP):
            knee, ankle = joints[hip + 1], joints[hip + 2]
            brush.round(limb_outline(knee, ankle, 0.28 * thin * unit, 0.19 * thin * unit), ink, part)
            brush.round(limb_outline(joints[hip], knee, 0.38 * thin * unit, 0.29 * thin * unit), ink, part)
            out = -0.22 if hip == R_HIP else 0.22
            toe = ankle + point(out * unit, 0.17 * unit)
            brush.round(limb_outline(ankle + point(0, 0.08 * unit), toe, 0.17 * unit, 0.12 * unit), self.shoes, SHOES)
        if not bare:
            brush.round(limb_outline(joints[R_HIP], joints[L_HIP], 0.36 * unit, 0.36 * unit), ink, part)

    def _torso(self, joints: Points) -> Points:
        unit = self.unit_px
        neck, right, left = joints[NECK], joints[R_SHOULDER], joints[L_SHOULDER]
        hip_r, hip_l = joints[R_HIP], joints[L_HIP]

        def at(origin: Points, x: float, y: float) -> Points:
            return origin + unit * point(x, y)

        collar = [at(neck, -0.3, -0.12), at(neck, 0, 0.04), at(neck, 0.3, -0.12)]
        down = [at(left, 0.10, -0.13), at(left, 0.16, 0.32), at((left + hip_l) / 2, 0.06, 0), at(hip_l, 0.37, 0.1)]
        up = [at(hip_r, -0.37, 0.1), at((right + hip_r) / 2, -0.06, 0), at(right, -0.16, 0.32), at(right, -0.10, -0.13)]
        if self.garment == "dress":
            knees = (joints[R_KNEE] + joints[L_KNEE]) / 2
            flare = max(0.95, abs(joints[L_KNEE, 0] - joints[R_KNEE, 0]) / 2 / unit + 0.5)
            hem = [at(knees, flare, -0.3), at(knees, 0, -0.18), at(knees, -flare, -0.3)]
        else:
            hem = [at(hip_l, 0.40, 0.4), at(hip_r, -0.40, 0.4)]
        return np.array([*collar, *down, *hem, *up])

    def _draw_torso(self, brush: "_Brush", joints: Points) -> None:
        unit, neck = self.unit_px, joints[NECK]
        ink = darker(self.appearance.rgb, 0.5)
        cloth = brush.cloth(smooth_outline(self._torso(joints), 5), self.appearance, 6, 0.3 * unit)
        hips = (joints[R_HIP] + joints[L_HIP]) / 2
        for offset, length in ((-0.34, 0.9), (0.3, 1.1)):
            fold = np.stack([hips + unit * point(offset, 0.3), hips + unit * point(offset * 0.8, 0.3 - length)])
            stripe = Stencil.polygon(limb_outline(fold[0], fold[1], 0.05 * unit, 0.02 * unit))
            brush.canvas.paint(stripe.blurred(3).within(cloth).scaled(0.3), (16, 16, 22))
        if self.garment == "jacket":
            brush.canvas.line(np.stack([neck, hips + unit * point(0, 0.38)]), (26, 26, 30), 4)
            for sign in (-1, 1):
                lapel = neck + unit * np.array([[0, 0.62], [sign * 0.30, -0.16], [sign * 0.46, 0.26]])
                brush.canvas.paint(Stencil.polygon(lapel), darker(self.appearance.rgb, 0.66))
        if self.garment == "dress":
            waist = (joints[[R_SHOULDER, L_SHOULDER]].mean(0) + hips) / 2 + unit * point(0, 0.45)
            belt = Stencil.polygon(limb_outline(waist - unit * point(0.8, 0), waist + unit * point(0.8, 0), 4, 4))
            brush.canvas.paint(belt.within(cloth), ink)

    def _draw_arms(self, brush: "_Brush", joints: Points) -> None:
        unit, jacket = self.unit_px, self.garment == "jacket"
        for shoulder in (R_SHOULDER, L_SHOULDER):
            top, elbow, wrist = joints[shoulder], joints[shoulder + 1], joints[shoulder + 2]
            hand = wrist + (wrist - elbow) * 0.16
            brush.round(limb_outline(wrist, hand, 0.15 * unit, 0.13 * unit), self.skin, SKIN, 12)
            if jacket:
                brush.cloth(limb_outline(elbow, wrist, 0.25 * unit, 0.20 * unit), self.appearance, 13, 0.14 * unit)
                brush.cloth(limb_outline(top, elbow, 0.31 * unit, 0.26 * unit), self.appearance, 12, 0.16 * unit)
                continue
            brush.round(limb_outline(elbow, wrist, 0.2 * unit, 0.14 * unit), self.skin, SKIN, 12)
            brush.round(limb_outline(top, elbow, 0.23 * unit, 0.2 * unit), self.skin, SKIN, 11)
            sleeve = top + (elbow - top) * (0.55 if self.garment == "t-shirt" else 0.22)
            brush.cloth(limb_outline(top, sleeve, 0.30 * unit, 0.30 * unit), self.appearance, 12, 0.16 * unit)

    def _draw_head(self, brush: "_Brush", joints: Points) -> None:
        unit, head = self.unit_px, self._head()
        brush.round(smooth_outline(head + unit * _FACE, 5), self.skin, SKIN, 8)
        if self.hair:
            brush.round(smooth_outline(head + unit * _FRINGE, 5), self.hair, HAIR, 9)
        for eye in (R_EYE, L_EYE):
            brush.canvas.paint(Stencil.ellipse(joints[eye], 0.075 * unit, 0.05 * unit), (246, 244, 240))
            brush.canvas.paint(Stencil.ellipse(joints[eye], 0.042 * unit, 0.05 * unit), (40, 34, 32))
            brow = joints[eye] + unit * np.array([[-0.09, -0.11], [0.09, -0.12]])
            brush.canvas.line(brow, darker(self.hair or self.skin, 0.6), 2)
        nose = joints[NOSE] + unit * np.array([[0.0, -0.04], [0.05, 0.06], [-0.01, 0.07]])
        brush.canvas.line(nose, darker(self.skin, 0.72), 2)
        mouth = joints[NOSE] + unit * np.array([[-0.12, 0.19], [0.0, 0.225], [0.12, 0.19]])
        brush.canvas.line(mouth, (150, 66, 62), 3)


def garment_image(person: Person) -> NDArray[np.uint8]:
    """Returns the garment alone as a shop would show it, on light grey, RGB uint8 (SWATCH_PX, SWATCH_PX, 3)."""
    canvas = Canvas()
    person.draw(canvas, Ground(horizon_px=0, gain_per_px=1))
    cloth = canvas.parts == GARMENT
    rows, columns = np.flatnonzero(cloth.any(axis=1)), np.flatnonzero(cloth.any(axis=0))
    side = int(1.1 * max(np.ptp(rows), np.ptp(columns)))
    plain = np.full((side, side, 3), 228, np.uint8)
    top, left = (side - np.ptp(rows)) // 2, (side - np.ptp(columns)) // 2
    box = np.s_[rows[0] : rows[-1], columns[0] : columns[-1]]
    window = plain[top : top + np.ptp(rows), left : left + np.ptp(columns)]
    window[cloth[box]] = np.clip(canvas.rgb[box][cloth[box]], 0, 255)
    return np.asarray(Image.fromarray(plain).resize((SWATCH_PX, SWATCH_PX), Image.Resampling.BOX))


@dataclass(frozen=True, kw_only=True)
class _Brush:
    """Paints inflated shapes at the person's depth."""

    canvas: Canvas
    depth: float
    unit_px: float

    def round(self, outline: Points, ink: Rgb, part: int, nearer: float = 0.0) -> None:
        """Paints a limb in one colour."""
        stencil = Stencil.polygon(outline)
        shade = rounded_shade(stencil, 0.14 * self.unit_px, 0.62)
        self.canvas.paint(stencil, ink, part=part, depth=self.depth + nearer, shade=shade)

    def cloth(self, outline: Points, look: Appearance, nearer: float, radius_px: float) -> Stencil:
        """Paints a piece of the garment."""
        stencil = Stencil.polygon(outline)
        shade = rounded_shade(stencil, radius_px, 0.58)
        self.canvas.paint(stencil, texture(look), part=GARMENT, depth=self.depth + nearer, shade=shade)
        return stencil


def _down(angle: float) -> Points:
    return point(float(np.sin(angle)), float(np.cos(angle)))
