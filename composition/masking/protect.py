"""detect -> **mask** -> condition: what a prompt says may not change, taken out of the thing that is repainted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from composition.images import Mask
from composition.imaging import masks
from composition.journal import Journal
from composition.masking.find import BACKGROUND

HELD_SHARE = 0.9
"""From this share of its pixels on, the thing is taken for a part of what is protected: a jacket of a person."""


def protected_mask(
    thing: Mask, phrases: Sequence[str], outlines: Mapping[str, Sequence[Mask]], *, rest: bool, journal: Journal
) -> Mask | None:
    """What stays as it is (0/255, the thing's size); None when nothing that is to stay was found.

    An instance that holds the thing itself ("replace the jacket, leave the person unchanged") is protected around it.

    Args:
        thing: (H, W), what is repainted, before anything is taken out of it.
        phrases: what may not change.
        outlines: of each phrase the masks of its instances, 0/255.
        rest: the thing is all that is not protected, so nothing holds it.
        journal: is told what was not found and what holds the thing.
    """
    found: list[Mask] = []
    for phrase in phrases:
        if phrase == BACKGROUND:
            found.append(masks.complement(thing))
            continue
        instances = outlines.get(phrase, ())
        if not instances:
            journal.warn(unprotected(phrase))
        holding = [not rest and _holds(instance, thing) for instance in instances]
        if any(holding):
            journal.warn(f"'{phrase}' holds what is repainted: only the rest of it is protected")
        found += [
            np.where(thing > 0, np.uint8(0), instance) if holds else instance
            for instance, holds in zip(instances, holding, strict=True)
        ]
    return masks.union(found) if found else None


def unprotected(phrase: str) -> str:
    """The warning of what may not change and was not found."""
    return f"nothing like '{phrase}' was found: it is not protected"


def _holds(instance: Mask, thing: Mask) -> bool:
    return bool(np.count_nonzero(instance & thing) >= HELD_SHARE * np.count_nonzero(thing))
