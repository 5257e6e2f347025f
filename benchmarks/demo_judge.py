"""Judges an edit of the demo world by the renderer's truth alone: nothing that the editor says of itself counts.

An edit succeeds when all of this holds at once:

- colour: the region's mean colour comes at least halfway to the truth (CIEDE2000);
- shape: its silhouette overlaps the true one by at least 0.7;
- surface: a plain thing has the true light and shade on it (`light_structure`); a material, a pattern or a rim has a
  texture that is nearer to the true one, by a third, than what a bucket of paint would have given;
- parts: what belongs to the thing but is made of something else (windows, tyres, table legs) looks as it should: 10
  CIEDE2000 on average at most;
- surroundings: no pixel has changed farther than 12 px from where the thing was or should be;
- front: what stands before the thing is as it was: at most 1 % of its pixels, 2 px inside its edge, have changed.

Beside the verdict stands a figure of its own: whether windows and wheels of a recoloured car look as before, within 5
CIEDE2000 on average each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from demo_models.world.edits import RECOLOUR, EditPair
from demo_models.world.palette import PLAIN
from demo_models.world.scenes import render_empty
from demo_models.world.scoring import (
    changed_beyond,
    colour_progress,
    light_structure,
    mean_colour,
    mean_difference,
    silhouette_overlap,
    texture_difference,
)

Pixels: TypeAlias = npt.NDArray[np.uint8]

HALFWAY = 0.5
SAME_SHAPE = 0.7
SAME_LIGHT = 0.5
BETTER_THAN_PAINT = 1 / 3
SAME_PARTS = 10.0
AS_BEFORE = 5.0
FRONT_EDGE_PX = 2
FRONT_SHARE = 0.01
CAR_PARTS = ("windows", "wheels")
REACH_PX = 12
"""At 256 px: what dilation and feather of the service's defaults reach."""
ALIKE = 2.0
"""A `texture_difference` that the eye does not see: grain drawn anew, of the same material, has 0.5 to 4."""
_LEAST_SURFACE_PX = 30
_LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How one edit was judged.

    Attributes:
        colour: how far the region's mean colour came, 0 = unchanged, 1 = the truth.
        shape: overlap of the painted silhouette with the true one.
        surface: agreement of light and shade (plain things), else how much of the way from paint to the true texture.
        surface_wanted: what `surface` must reach.
        parts: mean CIEDE2000 from the truth of the thing's parts of another material; 0 when it has none.
        strayed_px: pixels changed where nothing had to change.
        routed: whether the router took the pipeline that the edit calls for.
        time_ms: what the edit took.
        pose: similarity (OKS) of the key points that DWPose sees in the result to the true ones; None without a person.
        kept: mean CIEDE2000 from before of a recoloured car's windows and wheels, as far as they can be seen.
        front_changed: whether what stands before the thing has changed.
    """

    kind: str
    seed: int
    prompt: str
    colour: float
    shape: float
    surface: float
    surface_wanted: float
    parts: float
    strayed_px: int
    routed: bool = True
    time_ms: int = 0
    pose: float | None = None
    kept: Mapping[str, float] = field(default_factory=dict)
    front_changed: bool = False

    @property
    def success(self) -> bool:
        """All at once: averages that pass blobs do not count."""
        looks_right = self.colour >= HALFWAY and self.shape >= SAME_SHAPE and self.surface >= self.surface_wanted
        clean = self.strayed_px == 0 and not self.front_changed
        return looks_right and self.parts <= SAME_PARTS and clean


def judge(pair: EditPair, seed: int, result: Pixels, *, routed: bool = True) -> Verdict:
    """Compare an edited image (256, 256, 3) with the truth."""
    before, truth = pair.before.image, pair.after.image
    surface, wanted = _surface(pair, result)
    return Verdict(
        kind=pair.kind,
        seed=seed,
        prompt=pair.prompt,
        colour=colour_progress(before, result, truth, pair.region),
        shape=silhouette_overlap(result, truth, render_empty(pair.before.spec), window=pair.silhouette_window),
        surface=surface,
        surface_wanted=wanted,
        parts=_parts(pair, result),
        strayed_px=changed_beyond(before, result, true_shapes(pair), REACH_PX),
        routed=routed,
        kept=kept_parts(pair, result),
        front_changed=front_changed(pair, result),
    )


def front_changed(pair: EditPair, result: Pixels) -> bool:
    """Whether more of what stands before the thing looks otherwise than its soft edge explains."""
    inside = ndimage.binary_erosion(pair.before.front_mask > 250, iterations=FRONT_EDGE_PX)
    changed = (result != pair.before.image).any(axis=2) & inside
    return bool(np.count_nonzero(changed) > FRONT_SHARE * np.count_nonzero(inside))


def kept_parts(pair: EditPair, result: Pixels) -> dict[str, float]:
    """How far a recoloured car's windows and wheels are from what they were, mean CIEDE2000 each; else nothing."""
    if pair.kind != RECOLOUR:
        return {}
    distances = {}
    for name in CAR_PARTS:
        inside = ndimage.binary_erosion(pair.before.masks.get(name, np.zeros_like(pair.region)) > 250)
        if np.count_nonzero(inside) >= _LEAST_SURFACE_PX:
            distances[name] = mean_difference(result, pair.before.image, inside)
    return distances


def true_shapes(pair: EditPair) -> npt.NDArray[np.bool_]:
    """Where the thing was or should be, (256, 256)."""
    return (pair.silhouette > 0) | (pair.after.masks[pair.noun] > 0)


def flat_paint(pair: EditPair, alpha: Pixels) -> Pixels:
    """The true mean colour, flat, under an alpha (256, 256)."""
    return _over(pair, np.broadcast_to(mean_colour(pair.after.image, pair.region), pair.before.image.shape), alpha)


def tinted(pair: EditPair, alpha: Pixels) -> Pixels:
    """The true mean colour times the brightness that was there, under an alpha (256, 256)."""
    luma = pair.before.image @ _LUMA
    brightness = luma / max(float(luma[pair.region > 200].mean()), 1.0)
    return _over(pair, mean_colour(pair.after.image, pair.region) * brightness[..., None], alpha)


def _surface(pair: EditPair, result: Pixels) -> tuple[float, float]:
    inside = ndimage.binary_erosion(pair.region > 200)
    if np.count_nonzero(inside) < _LEAST_SURFACE_PX:
        inside = pair.region > 200
    truth = pair.after.image
    if pair.noun != "rims" and pair.after.spec.subject.appearance.material == PLAIN:
        return light_structure(result, truth, inside), SAME_LIGHT
    paints = (flat_paint(pair, pair.region), tinted(pair, pair.region))
    paint = min(texture_difference(painted, truth, inside) for painted in paints)
    return 1 - texture_difference(result, truth, inside) / max(paint, ALIKE), BETTER_THAN_PAINT


def _parts(pair: EditPair, result: Pixels) -> float:
    others = ndimage.binary_erosion((pair.silhouette > 250) & (pair.region < 5))
    if np.count_nonzero(others) < _LEAST_SURFACE_PX:
        return 0.0
    return mean_difference(result, pair.after.image, others)


def _over(pair: EditPair, paint: npt.NDArray[np.floating], alpha: Pixels) -> Pixels:
    share = alpha[..., None] / 255
    mixed = pair.before.image * (1 - share) + np.clip(paint, 0, 255) * share
    painted: Pixels = np.rint(mixed).astype(np.uint8)
    return painted
