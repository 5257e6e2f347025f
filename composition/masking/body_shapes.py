"""The outlines of body parts, drawn from a skeleton: widths are shares of the stature, with room for clothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np

from composition.decision import BodyRegion
from composition.images import Mask
from composition.masking.anatomy import (
    HAND,
    LEFT_ARM,
    LEFT_LEG,
    RIGHT_ARM,
    RIGHT_LEG,
    SHIN,
    TORSO_LENGTH,
    Disc,
    Head,
    Joint,
    Point,
    Points,
    Skeleton,
    discs,
    draw_hull,
    window_around,
    within,
)

FOUND_JAW = ((0.0, -0.42), (-0.17, -0.3), (0.17, -0.3))
GUESSED_JAW = ((0.0, -0.52), (-0.19, -0.38), (0.19, -0.38))
"""In the head's frame: without landmarks of the face, the jaw of an open mouth and of a chin held forward has room."""

ARM, LEG = (0.04, 0.035, 0.03), (0.05, 0.04, 0.03)
"""Radii of a limb at its joints, with cloth that lies on it."""
TIP, TIP_RADIUS = 0.06, 0.035
"""How far a hand or a foot reaches beyond wrist or ankle, straight on, and its radius."""

SLEEVE_ENDS = (-0.06, 0.045)
"""How far beyond the wrist, as shares of the stature, a sleeve's outline ends that holds no fingers."""
ALL_BUT_SPECKS = 0.98
"""The share of the pixels near a wrist that says how far an outline goes."""


def draw_region(region: BodyRegion, canvas: Mask, body: Skeleton) -> bool:
    """Draw a body part with 255 on the canvas (H, W); False, and nothing drawn, when its keypoints are missing."""
    return _DRAWN[region](canvas, body)


def _draw_upper(canvas: Mask, body: Skeleton) -> bool:
    """Torso down to the hips, arms down to the wrists."""
    shoulders = body.known(Joint.RIGHT_SHOULDER, Joint.LEFT_SHOULDER)
    if not len(shoulders) or body.stature <= 0.0:
        return False
    unit = body.stature
    hips = body.known(Joint.RIGHT_HIP, Joint.LEFT_HIP)
    if not len(hips):
        hips = shoulders + _down(body) * TORSO_LENGTH * unit
    collar = discs(body.known(Joint.NECK), 0.035 * unit)
    draw_hull(canvas, [*discs(shoulders, 0.045 * unit), *discs(hips, 0.055 * unit), *collar])
    for arm in (RIGHT_ARM, LEFT_ARM):
        _draw_limb(canvas, body, arm, (0.045, 0.04, 0.035))
    return True


def _draw_lower(canvas: Mask, body: Skeleton) -> bool:
    """Hips with the waist, both legs down to the ankles, and between the thighs, where a skirt hangs."""
    hips = body.known(Joint.RIGHT_HIP, Joint.LEFT_HIP)
    if not len(hips) or body.stature <= 0.0:
        return False
    unit = body.stature
    waist = hips - _down(body) * 0.06 * unit
    knees = body.known(Joint.RIGHT_KNEE, Joint.LEFT_KNEE)
    draw_hull(canvas, [*discs(hips, 0.07 * unit), *discs(waist, 0.055 * unit)])
    draw_hull(canvas, discs(np.concatenate([hips, knees]), 0.06 * unit))
    for leg in (RIGHT_LEG, LEFT_LEG):
        _draw_limb(canvas, body, leg, (0.07, 0.05, 0.04))
        _continue_leg(canvas, body, leg)
    return True


def _draw_full(canvas: Mask, body: Skeleton) -> bool:
    """Upper and lower, and the span of a long dress or coat between the legs."""
    upper, lower = _draw_upper(canvas, body), _draw_lower(canvas, body)
    if lower:
        span = body.known(Joint.RIGHT_HIP, Joint.LEFT_HIP, Joint.RIGHT_ANKLE, Joint.LEFT_ANKLE)
        draw_hull(canvas, discs(span, 0.05 * body.stature))
    return upper or lower


def _draw_feet(canvas: Mask, body: Skeleton) -> bool:
    """Each ankle with the foot points that are nearest to it; without such points, a foot's length below the shin."""
    ankles = [(leg, point) for leg in (RIGHT_LEG, LEFT_LEG) if (point := body.get(leg[2])) is not None]
    if not ankles or body.stature <= 0.0:
        return False
    unit = body.stature
    middles = np.array([point for _, point in ankles])
    owners = np.linalg.norm(body.feet[:, None] - middles[None], axis=2).argmin(axis=1)
    for index, (leg, ankle) in enumerate(ankles):
        own = body.feet[owners == index]
        if not len(own):
            knee = body.get(leg[1])
            own = np.array([ankle + (_down(body) if knee is None else _unit(ankle - knee)) * TIP * unit])
        draw_hull(canvas, [Disc(centre=ankle, radius=TIP_RADIUS * unit), *discs(own, TIP_RADIUS * unit)])
    return True


def _draw_head(canvas: Mask, body: Skeleton) -> bool:
    """From the brows up to where a hat ends."""
    if body.head is None:
        return False
    corners = ((-0.5, 0.2), (0.5, 0.2), (-0.45, 0.75), (0.45, 0.75))
    draw_hull(canvas, _in_head(body.head, corners, 0.08))
    return True


def _draw_eyes(canvas: Mask, body: Skeleton) -> bool:
    """The band that glasses cover, from brow to cheekbone and to both temples."""
    if body.head is None:
        return False
    draw_hull(canvas, _in_head(body.head, ((-0.33, 0.02), (0.33, 0.02), (-0.2, -0.06), (0.2, -0.06)), 0.1))
    return True


def _draw_neck(canvas: Mask, body: Skeleton) -> bool:
    """From under the chin down to the breastbone, where a scarf, a tie or a necklace hangs."""
    neck, unit = body.get(Joint.NECK), body.stature
    neck = body.middle(Joint.RIGHT_SHOULDER, Joint.LEFT_SHOULDER) if neck is None else neck
    if neck is None or unit <= 0.0:
        return False
    down = _down(body)
    chin = neck - down * 0.06 * unit if body.head is None else body.head.chin
    draw_hull(canvas, [Disc(centre=chin, radius=0.04 * unit), Disc(centre=neck, radius=0.065 * unit)])
    breastbone = neck + down * 0.45 * TORSO_LENGTH * unit
    draw_hull(canvas, [Disc(centre=neck, radius=0.065 * unit), Disc(centre=breastbone, radius=0.035 * unit)])
    return True


def draw_face(canvas: Mask, body: Skeleton) -> None:
    """Chin to hairline: an oval in the head's frame, and the face's own landmarks where they were found."""
    if body.head is None:
        return
    found = len(body.face) >= 10
    jaw = FOUND_JAW if found else GUESSED_JAW
    oval = (*jaw, (-0.24, 0.0), (0.24, 0.0), (-0.18, 0.25), (0.18, 0.25))
    sides = body.known(Joint.NOSE, Joint.RIGHT_EAR, Joint.LEFT_EAR)
    turned = [] if found else discs(sides, 0.08 * body.head.height)
    draw_hull(canvas, [*_in_head(body.head, oval, 0.1), *turned])
    if found:
        forehead = body.face + 0.2 * body.head.height * body.head.up
        draw_hull(canvas, discs(np.concatenate([body.face, forehead]), 0.02 * body.head.height))


def knows_hand(fingers: Points) -> bool:
    """Whether so many of a hand's points were found that they say where it is."""
    return len(fingers) >= 5


def ends_at_wrist(outline: Mask, body: Skeleton, arm: tuple[Joint, ...]) -> bool:
    """Whether a sleeve's outline (H, W; > 0) reaches the wrist and leaves the fingers out."""
    elbow, wrist = body.get(arm[1]), body.get(arm[2])
    if elbow is None or wrist is None:
        return False
    window = window_around(wrist, HAND * body.stature, outline.shape)
    if window is None:
        return False
    rows, columns = np.nonzero((outline[window] > 0) & within(wrist, HAND * body.stature, window))
    near = np.stack([columns + window[1].start, rows + window[0].start], axis=1) - wrist
    if not len(near):
        return False
    reach = float(np.quantile(near @ _unit(wrist - elbow), ALL_BUT_SPECKS)) / body.stature
    return SLEEVE_ENDS[0] < reach < SLEEVE_ENDS[1]


def draw_hand(canvas: Mask, body: Skeleton, arm: tuple[Joint, ...], fingers: Points) -> None:
    unit, wrist, elbow = body.stature, body.get(arm[2]), body.get(arm[1])
    if knows_hand(fingers):
        draw_hull(canvas, discs(fingers, 0.012 * unit))
    elif wrist is not None and elbow is not None:
        tips = wrist + _unit(wrist - elbow) * 0.09 * unit
        draw_hull(canvas, [Disc(centre=wrist, radius=0.05 * unit), Disc(centre=tips, radius=0.055 * unit)])
    elif wrist is not None:
        draw_hull(canvas, [Disc(centre=wrist, radius=0.06 * unit)])


def draw_limbs(canvas: Mask, body: Skeleton, wanted: Callable[[Mask], bool]) -> None:
    """The parts of arms and legs that are wanted, asked with the bone of each (H, W; > 0); hands and feet go along."""
    unit = body.stature
    for limb, radii in ((RIGHT_ARM, ARM), (LEFT_ARM, ARM), (RIGHT_LEG, LEG), (LEFT_LEG, LEG)):
        for place, (near, far) in enumerate(pairwise(_joints(body, limb, radii))):
            if near is None or far is None:
                continue
            part = [near, far]
            if place == 1:
                tip = far.centre + _unit(far.centre - near.centre) * TIP * unit
                part.append(Disc(centre=tip, radius=TIP_RADIUS * unit))
            bone = np.zeros_like(canvas)
            draw_hull(bone, [replace(disc, radius=0.5) for disc in (part[0], part[-1])])
            if bone.any() and wanted(bone):
                draw_hull(canvas, part)


def _draw_limb(canvas: Mask, body: Skeleton, limb: tuple[Joint, ...], radii: tuple[float, ...]) -> None:
    for near, far in pairwise(_joints(body, limb, radii)):
        if near is not None and far is not None:
            draw_hull(canvas, [near, far])


def _joints(body: Skeleton, limb: tuple[Joint, ...], radii: tuple[float, ...]) -> list[Disc | None]:
    """A limb's joints with its width at them, of radii that are shares of the stature; None where one was not found."""
    return [
        None if (point := body.get(joint)) is None else Disc(centre=point, radius=radius * body.stature)
        for joint, radius in zip(limb, radii, strict=True)
    ]


def _continue_leg(canvas: Mask, body: Skeleton, leg: tuple[Joint, ...]) -> None:
    """A shin whose ankle was not seen goes on from the knee, straight down the body."""
    knee, unit = body.get(leg[1]), body.stature
    if knee is not None and body.get(leg[2]) is None:
        ankle = knee + _down(body) * SHIN * unit
        draw_hull(canvas, [Disc(centre=knee, radius=0.05 * unit), Disc(centre=ankle, radius=0.04 * unit)])


def _in_head(head: Head, corners: Iterable[tuple[float, float]], radius: float) -> list[Disc]:
    return [Disc(centre=head.at(across, up), radius=radius * head.height) for across, up in corners]


def _down(body: Skeleton) -> Point:
    """The trunk's direction, shoulders to hips; straight down when it is not seen."""
    top = body.middle(Joint.RIGHT_SHOULDER, Joint.LEFT_SHOULDER, Joint.NECK)
    bottom = body.middle(Joint.RIGHT_HIP, Joint.LEFT_HIP)
    if top is None or bottom is None or np.allclose(top, bottom):
        return np.array([0.0, 1.0])
    return _unit(bottom - top)


def _unit(vector: Point) -> Point:
    direction: Point = vector / max(float(np.linalg.norm(vector)), 1e-9)
    return direction


_DRAWN: Mapping[BodyRegion, Callable[[Mask, Skeleton], bool]] = {
    BodyRegion.UPPER: _draw_upper,
    BodyRegion.LOWER: _draw_lower,
    BodyRegion.FULL: _draw_full,
    BodyRegion.FEET: _draw_feet,
    BodyRegion.HEAD: _draw_head,
    BodyRegion.EYES: _draw_eyes,
    BodyRegion.NECK: _draw_neck,
}
