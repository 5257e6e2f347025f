"""The order in which components are trained, and the preparation that each needs."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from demo_models.recipes.clip import ClipRecipe
from demo_models.recipes.depth import DepthRecipe
from demo_models.recipes.elsewhere import SHARDS, encode_missing_pictures
from demo_models.recipes.fine_inpainting import AUTOENCODER, ELSEWHERE_SHARE, FineRecipe
from demo_models.recipes.fine_inpainting import NAME as FINE_PAINTER
from demo_models.recipes.fine_vae import FineAutoencoderRecipe
from demo_models.recipes.grounding import GroundingRecipe
from demo_models.recipes.home import PHOTOGRAPHS, HomeRecipe
from demo_models.recipes.inpainting import ControlledRecipe, InpaintingRecipe
from demo_models.recipes.latents import encode_missing
from demo_models.recipes.lcm_lora import LcmRecipe
from demo_models.recipes.pose import PoseRecipe
from demo_models.recipes.safety import SafetyRecipe
from demo_models.recipes.sam import SegmentRecipe
from demo_models.recipes.shards import SceneSet, render_missing
from demo_models.recipes.taesd import TinyRecipe
from demo_models.recipes.training import Recipe, TrainingRun
from demo_models.recipes.vae import AutoencoderRecipe, DecoderRecipe
from demo_models.recipes.workdir import latents_folder, start_folder, weights_folder, workdir
from demo_models.recipes.yolox import YoloxRecipe

TRAINING_SCENES: Final = 8000
_SHARDS_TO_START_WITH: Final = 2


def _vae() -> Recipe:
    return AutoencoderRecipe(scenes=_training(), held_out=_held_out())


def _decoder() -> Recipe:
    return DecoderRecipe(scenes=_training(), held_out=_held_out())


def _fine_vae() -> Recipe:
    return FineAutoencoderRecipe(scenes=_training(), held_out=_held_out())


def _grounding() -> Recipe:
    return GroundingRecipe(scenes=_training(), held_out=_held_out())


def encode(autoencoder: str = "vae", shards: int | None = None) -> None:
    """Encodes training scenes that have no latents of an autoencoder yet, at most so many shards.

    With them what is beyond the world, for the painters that are trained on it: a shard at least.
    """
    folder, weights = latents_folder(autoencoder), weights_folder(autoencoder)
    encode_missing(workdir() / "data", folder, weights, shards)
    if autoencoder == AUTOENCODER:
        encode_missing_pictures(folder, weights, SHARDS if shards is None else 1)


def _encoding(autoencoder: str) -> Path:
    """Encodes enough to begin with, and the rest beside the training. Returns the folder."""
    folder = latents_folder(autoencoder)
    encode(autoencoder, max(0, _SHARDS_TO_START_WITH - len(list(folder.glob("train-*")))))
    subprocess.Popen([sys.executable, "-m", "demo_models.recipes", "encode", autoencoder])  # noqa: S603 - ourselves
    return folder


def _inpainting() -> Recipe:
    return InpaintingRecipe(scenes=_training(), latents_folder=_encoding("vae"))


def _controlled() -> Recipe:
    return ControlledRecipe(scenes=_training(), latents_folder=_encoding("vae"))


def _fine() -> Recipe:
    return FineRecipe(scenes=_training(), latents_folder=_encoding(AUTOENCODER))


def _lcm_lora() -> Recipe:
    return LcmRecipe(
        scenes=_training(),
        latents_folder=_encoding(AUTOENCODER),
        autoencoder=AUTOENCODER,
        painter=FINE_PAINTER,
        elsewhere_share=ELSEWHERE_SHARE,
    )


def _taesd() -> Recipe:
    return TinyRecipe(scenes=_training(), held_out=_held_out(), large=AUTOENCODER)


def _yolox() -> Recipe:
    return YoloxRecipe(scenes=_training(), held_out=_held_out())


def _dwpose() -> Recipe:
    return PoseRecipe(scenes=_training(), held_out=_held_out())


def _home() -> Recipe:
    return HomeRecipe(scenes=_training(), held_out=_held_out(), photographs=workdir() / PHOTOGRAPHS)


def _sam() -> Recipe:
    return SegmentRecipe(scenes=_training(), held_out=_held_out())


def _depth() -> Recipe:
    return DepthRecipe(scenes=_training(), held_out=_held_out())


def _clip() -> Recipe:
    return ClipRecipe(scenes=_training())


def _safety() -> Recipe:
    return SafetyRecipe(scenes=_training(), held_out=_held_out())


_LATENTS: Final = ("vae", AUTOENCODER)
"""Autoencoders whose latents others train on."""
COMPONENTS: Final[dict[str, Callable[[], Recipe]]] = {
    "vae": _vae,
    "inpainting": _inpainting,
    "controlled": _controlled,
    "grounding-dino": _grounding,
    "yolox": _yolox,
    "dwpose": _dwpose,
    "sam": _sam,
    "clip": _clip,
    "depth-anything": _depth,
    "safety-checker": _safety,
    "vae-decoder": _decoder,
    "vae-fine": _fine_vae,
    "fine": _fine,
    "lcm-lora": _lcm_lora,
    "taesd": _taesd,
    "home": _home,
}
"""In the order that pays."""
NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "inpainting": ("vae",),
    "controlled": ("vae", "inpainting"),
    "vae-decoder": ("vae",),
    "vae-fine": ("vae-decoder",),
    "fine": ("vae-fine", "controlled"),
    "lcm-lora": ("vae-fine", "fine"),
    "taesd": ("vae-fine",),
}
"""What must have been trained before. After more training of the autoencoder scenes are encoded anew, and what was
trained on the old latents has to learn again; training only the decoder changes nothing for them."""


def _training() -> SceneSet:
    return SceneSet.training(workdir() / "data")


def _held_out() -> SceneSet:
    return SceneSet.held_out(workdir() / "data")


def train_components(
    names: Sequence[str] | None, minutes: float | None = None, threads: int = 1, scenes: int | None = None
) -> bool:
    """Trains components in turn, rendering the scenes first where they are missing.

    Args:
        names: Which; None for all.
        minutes: Training time each shall have had in all; None for what its recipe asks for.
        threads: Processor cores to use.
        scenes: To train on at least; None for ``TRAINING_SCENES``. More that are there already are used, too.

    Returns:
        Whether all were finished: False after a request to stop.

    Raises:
        ValueError: A name is unknown, or what a component builds on has not been trained.
    """
    chosen = list(COMPONENTS) if names is None else list(names)
    if unknown := [name for name in chosen if name not in COMPONENTS]:
        raise ValueError(f"no component {unknown[0]!r}; known: {', '.join(COMPONENTS)}")
    render_missing(workdir() / "data", scenes or TRAINING_SCENES)
    for name in chosen:
        if untrained := lacking(name):
            raise ValueError(f"{name} builds on {', '.join(untrained)}: train that first")
        recipe = COMPONENTS[name]()
        if not TrainingRun(recipe=recipe, minutes=minutes or recipe.settings.minutes, threads=threads).train():
            return False
    return True


def lacking(name: str) -> list[str]:
    """Returns what must be trained before a component.

    An earlier state that training starts from will do for a painter's own or the one before; latents need weights.
    """
    needs = [needed for needed in NEEDS.get(name, ()) if not weights_folder(needed).exists()]
    if start_folder(name) is not None:
        return [needed for needed in needs if needed in _LATENTS]
    return [needed for needed in needs if needed in _LATENTS or start_folder(needed) is None]


def status() -> list[str]:
    """Returns a line per component: processor minutes and steps trained, and the last scores."""
    lines = []
    for name in COMPONENTS:
        log = workdir() / "runs" / name / "log.jsonl"
        rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        scored = [row for row in rows if any(key.startswith("score/") for key in row)]
        last = rows[-1] if rows else {"minutes": 0, "step": 0}
        scores = {key.removeprefix("score/"): value for key, value in (scored[-1] if scored else {}).items()}
        shown = " ".join(f"{key}={value:.3g}" for key, value in scores.items() if key not in ("step", "minutes"))
        lines.append(f"{name:18} {last['minutes']:7.1f} min {last['step']:7d} steps  {shown}")
    return lines
