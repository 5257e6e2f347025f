"""How well the painting networks do on held-out edits, by themselves: no service, no detector, true masks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor

from demo_models.recipes.controlnet import DEPTH, POSE, as_condition, depth_image, pose_image
from demo_models.recipes.diffusion import inpaint
from demo_models.recipes.edit_scores import edit_cells, generation_prompt, held_out_edits, share_halfway, write_sheet
from demo_models.recipes.inpainting import InpaintingTrainer, token_ids
from demo_models.recipes.ip_adapter import encoder_input, patches_of, set_scale
from demo_models.recipes.masks import BOXED, ROOMY, SILHOUETTE, pixels_of
from demo_models.recipes.vae import cell_px
from demo_models.world.edits import MATERIAL, RECOLOUR, REFERENCE, STRUCTURE, EditPair
from demo_models.world.scenes import render_empty
from demo_models.world.scoring import silhouette_overlap

_EDITS: Final = 24
_AT_ONCE: Final = 6
_REFERENCE_SCALE: Final = 0.6
_CONTROL_SCALE: Final = 0.8
_CONTROLLED: Final = (("depth", DEPTH, BOXED), ("depth_roomy", DEPTH, ROOMY), ("pose", POSE, BOXED))


def painting_scores(module: InpaintingTrainer, autoencoder: AutoencoderKL, sheets: Path) -> Mapping[str, float]:
    """Shares of edits whose colour comes halfway, and mean overlaps of silhouettes; writes sheets of the edits."""
    scores: dict[str, float] = {}
    for kind in (RECOLOUR, MATERIAL):
        for name, mask, count in ((kind, SILHOUETTE, _EDITS), (f"{kind}_box", BOXED, _EDITS // 2)):
            pairs = held_out_edits(kind, _EDITS)[:count]
            scores[name] = share_halfway(pairs, _painted(module, autoencoder, pairs, sheets / f"{name}.png", mask))
    pairs = held_out_edits(REFERENCE, _EDITS)
    for scale in (_REFERENCE_SCALE, 0.0):
        results = _painted(
            module, autoencoder, pairs, sheets / f"reference_{scale}.png", SILHOUETTE, adapter_scale=scale
        )
        scores[f"reference_at_{scale}"] = share_halfway(pairs, results)
    for name, control, mask in _CONTROLLED if module.controlnets else ():
        kind = STRUCTURE if control == DEPTH else RECOLOUR
        usable = [p for p in held_out_edits(kind, 3 * _EDITS) if control == DEPTH or p.before.keypoints is not None]
        pairs = tuple(usable[: _EDITS // 2])
        for steered in ("with", "without"):
            sheet = sheets / f"{name}_{steered}.png"
            results = _painted(module, autoencoder, pairs, sheet, mask, control=control if steered == "with" else None)
            scores[f"{name}_iou_{steered}"] = _mean_overlap(pairs, results, mask, cell_px(autoencoder))
    return scores


def _mean_overlap(pairs: Sequence[EditPair], results: Sequence[NDArray[np.uint8]], mask: int, size_px: int) -> float:
    windows = [pixels_of(edit_cells(pair, mask, size_px)) for pair in pairs]
    overlaps = [
        silhouette_overlap(result, pair.after.image, render_empty(pair.before.spec), window)
        for pair, result, window in zip(pairs, results, windows, strict=True)
    ]
    return float(np.mean(overlaps))


def _painted(
    module: InpaintingTrainer,
    autoencoder: AutoencoderKL,
    pairs: Sequence[EditPair],
    sheet: Path,
    mask: int,
    *,
    adapter_scale: float | None = None,
    control: str | None = None,
) -> list[NDArray[np.uint8]]:
    cells = np.stack([edit_cells(pair, mask, cell_px(autoencoder)) for pair in pairs])
    results: list[NDArray[np.uint8]] = []
    for first in range(0, len(pairs), _AT_ONCE):
        some = pairs[first : first + _AT_ONCE]
        images = np.stack([pair.before.image for pair in some])
        prompts = [_bare(pair) if adapter_scale is not None else generation_prompt(pair) for pair in some]
        context = tuple(module.text_encoder(token_ids(words))[0] for words in ([""] * len(some), prompts))
        patches = _patches(module, some) if adapter_scale else None
        steering = None if control is None else (control, _condition(some, control))

        def predict(
            stacked: Tensor,
            timestep: Tensor,
            words: Tensor,
            patches: Tensor | None = patches,
            steering: tuple[str, Tensor] | None = steering,
        ) -> Tensor:
            if adapter_scale:
                set_scale(module.unet, adapter_scale)
            return module.noise(stacked, timestep, words, patches, steering, _CONTROL_SCALE)

        window = cells[first : first + _AT_ONCE]
        results += list(inpaint(predict, autoencoder, images, window, (context[0], context[1])))
    sheet.parent.mkdir(parents=True, exist_ok=True)
    write_sheet(pairs, list(cells), results, sheet)
    return results


def _bare(pair: EditPair) -> str:
    return "car with sport rims" if pair.noun == "rims" else f"a {pair.noun}"


def _patches(module: InpaintingTrainer, pairs: Sequence[EditPair]) -> Tensor:
    pixels = encoder_input([pair.reference for pair in pairs if pair.reference is not None])
    return patches_of(module.image_encoder, torch.cat([torch.zeros_like(pixels), pixels]))


def _condition(pairs: Sequence[EditPair], control: str) -> Tensor:
    images = []
    for pair in pairs:
        joints = pair.before.keypoints
        if control == DEPTH or joints is None:
            images.append(depth_image(pair.before.depth))
        else:
            images.append(pose_image(joints))
    return as_condition(images).repeat(2, 1, 1, 1)
