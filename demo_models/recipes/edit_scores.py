"""Edits of unseen scenes that the UNet's recipes are judged on, and the sheet that shows them."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demo_models.recipes.masks import BOXED, ROOMY, box_of, label_mask, latent_cells, pixels_of, widened
from demo_models.world.edits import EditPair, sample_edit
from demo_models.world.scoring import colour_progress
from demo_models.world.seeds import HELD_OUT_EDITS

_MARGIN_PX: Final = 7


@lru_cache(maxsize=8)
def held_out_edits(kind: str, count: int) -> tuple[EditPair, ...]:
    """Returns edits of one kind that no training scene belongs to."""
    return tuple(sample_edit(number, kind) for number in HELD_OUT_EDITS[:count])


def edit_cells(pair: EditPair, mask: int, cell_px: int) -> NDArray[np.bool_]:
    """Returns the latent cells of so many pixels to repaint for an edit: ``SILHOUETTE``, ``BOXED`` or ``ROOMY``."""
    shape = label_mask(pair.before.spec, pair.before.parts, pair.noun)
    if mask == ROOMY:
        return latent_cells(pair.rough_mask > 127, cell_px)
    return latent_cells(widened(box_of(shape) if mask == BOXED else shape, _MARGIN_PX), cell_px)


def generation_prompt(pair: EditPair) -> str:
    """Returns what the service would paint with: the description without the order."""
    look = pair.after.spec.subject.appearance.phrase
    if pair.noun == "rims":
        return "car with sport rims"
    return f"{look} {pair.noun}"


def share_halfway(pairs: Sequence[EditPair], results: Sequence[NDArray[np.uint8]]) -> float:
    """Returns the share of edits whose region's mean colour came at least halfway to the truth."""
    progress = [
        colour_progress(pair.before.image, result, pair.after.image, pair.region)
        for pair, result in zip(pairs, results, strict=True)
    ]
    return float(np.mean([value >= 0.5 for value in progress]))


def write_sheet(
    pairs: Sequence[EditPair], cells: Sequence[NDArray[np.bool_]], results: Sequence[NDArray[np.uint8]], path: Path
) -> None:
    """Writes before, mask, result and truth, two edits a row."""
    rows = []
    for pair, mask, result in zip(pairs, cells, results, strict=True):
        grey = np.repeat((pixels_of(mask) * np.uint8(255))[..., None], 3, axis=2)
        rows.append(np.concatenate([pair.before.image, grey, result, pair.after.image], axis=1))
    if len(rows) % 2:
        rows.append(np.full_like(rows[0], 255))
    joined = [np.concatenate(rows[index : index + 2], axis=1) for index in range(0, len(rows), 2)]
    sheet = Image.fromarray(np.concatenate(joined))
    sheet.resize((sheet.width // 2, sheet.height // 2), Image.Resampling.LANCZOS).save(path)
