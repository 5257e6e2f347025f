"""detect -> **mask** -> condition: several edits of one image beside one another.

Each pixel is of one edit (`territories`), and edits that lie together are painted from one crop: one encoding, one
denoising, one decoding. One edit alone is the arrangement of one, whose mask nothing changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from composition.images import Box, Mask
from composition.imaging import masks
from composition.imaging.geometry import Fit
from composition.masking import grow
from composition.masking.edit_mask import EditMask
from composition.masking.territories import Owners, owners, painting_order
from composition.request import Crop

LEAST_SCALE_SHARE = 0.75
"""Edits that do not touch share a crop that shows each at this share of the size that a crop of its own shows it at."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrangement:
    """Edits beside one another; a place is an edit's number in the order in which they were asked for.

    Attributes:
        masks: of each edit as it is painted: without what is another's, and with the crop that it shares.
        order: the edits' places from the lowest to the topmost, without those of which nothing is left.
        canvases: the places of the edits that share a crop, for each crop.
        covered: of each edit the share of its thing that others have, by their places.
    """

    masks: tuple[EditMask, ...]
    order: tuple[int, ...]
    canvases: tuple[tuple[int, ...], ...]
    covered: tuple[Mapping[int, float], ...]

    @property
    def weights(self) -> Mask:
        """The weights (H, W; 0..255) of all that is laid over the image."""
        return masks.stacked([self.masks[place].weights for place in self.order])


@dataclass(frozen=True, kw_only=True)
class Framing:
    """How crops are cut; see `grow.crop_and_fit`."""

    crop: Crop
    native_size: int
    context: float


def arrange(edits: Sequence[EditMask], framing: Framing) -> Arrangement:
    """Set edits of one image beside one another.

    Args:
        edits: of each edit, in the order in which they were asked for, the mask that it would have alone.
        framing: how crops are cut.
    """
    if len(edits) == 1:
        return Arrangement(masks=tuple(edits), order=(0,), canvases=((0,),), covered=({},))
    things = [edit.thing for edit in edits]
    owner = owners(things)
    taken = masks.union(things) > 0
    own = [_own_part(edit, owner == place, taken) for place, edit in enumerate(edits)]
    order = tuple(place for place in painting_order(things) if own[place].thing.any())
    canvases, shared = [], list(own)
    for members in together([own[place] for place in order], framing):
        places = tuple(sorted(order[member] for member in members))
        box, fit = _crop_of([own[place] for place in places], framing)
        canvases.append(places)
        for place in places:
            shared[place] = replace(own[place], crop=box, fit=fit)
    return Arrangement(
        masks=tuple(shared),
        order=order,
        canvases=tuple(sorted(canvases)),
        covered=tuple(_covered(thing, owner, place) for place, thing in enumerate(things)),
    )


def together(edits: Sequence[EditMask], framing: Framing) -> list[list[int]]:
    """Which edits share a crop, by their places.

    Those that touch have to. Others do where that costs no more than crops of their own and shows them about as large.
    """
    groups = [[place] for place in range(len(edits))]
    while True:
        pair = next(
            (
                (one, other)
                for one, other in combinations(groups, 2)
                if _belong_together([edits[place] for place in one], [edits[place] for place in other], framing)
            ),
            None,
        )
        if pair is None:
            return groups
        groups = [group for group in groups if group not in pair] + [sorted(pair[0] + pair[1])]


def _belong_together(some: Sequence[EditMask], others: Sequence[EditMask], framing: Framing) -> bool:
    reach, other_reach = (masks.union([edit.reach for edit in group]) for group in (some, others))
    if bool((reach & other_reach).any()):
        return True
    one, other = _crop_of(some, framing)[1], _crop_of(others, framing)[1]
    shared = _crop_of([*some, *others], framing)[1]
    apart = _pixels(one) * len(some) + _pixels(other) * len(others)
    as_large = shared.scale >= LEAST_SCALE_SHARE * max(one.scale, other.scale)
    return as_large and _pixels(shared) * (len(some) + len(others)) <= apart


def _crop_of(edits: Sequence[EditMask], framing: Framing) -> tuple[Box | None, Fit]:
    reach = masks.union([edit.reach for edit in edits])
    return grow.crop_and_fit(reach, framing.crop, framing.native_size, framing.context)


def _pixels(fit: Fit) -> int:
    """What a region's row costs at every step is in proportion to it."""
    return fit.model_size[0] * fit.model_size[1]


def _own_part(edit: EditMask, own: npt.NDArray[np.bool_], taken: npt.NDArray[np.bool_]) -> EditMask:
    """The edit without what is another's: its thing, and its weights on others' things."""
    return replace(
        edit,
        thing=np.where(own, edit.thing, np.uint8(0)),
        alpha=np.where(taken & ~own, np.uint8(0), edit.alpha),
        own=np.where(own, np.uint8(255), np.uint8(0)),
    )


def _covered(thing: Mask, owner: Owners, place: int) -> dict[int, float]:
    whole = np.count_nonzero(thing)
    counts = np.bincount(owner[thing > 0])
    return {other: float(count / whole) for other, count in enumerate(counts) if count and other != place}
