"""The order in which components are trained, and the preparation that each needs."""

import json
import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from demo_models.recipes.clip import ClipRecipe
from demo_models.recipes.depth import DepthRecipe
from demo_models.recipes.elsewhere import encode_missing_pictures
from demo_models.recipes.fine_inpainting import AUTOENCODER, ELSEWHERE_SHARE, FineRecipe, finest
from demo_models.recipes.fine_vae import FineAutoencoderRecipe
from demo_models.recipes.grounding import GroundingRecipe
from demo_models.recipes.home import PHOTOGRAPHS, HomeRecipe
from demo_models.recipes.inpainting import ControlledRecipe, InpaintingRecipe
from demo_models.recipes.latents import Encoding
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
_PICTURES_PER_SCENE: Final = 0.75


@dataclass(frozen=True, kw_only=True)
class Means:
    """What there is to train with.

    Attributes:
        device: "cpu" or "cuda".
        processes: That render and encode scenes, and that draw batches beside a training on a GPU.
        threads: Processor cores that a training on the processor uses.
    """

    device: str = "cpu"
    processes: int = 1
    threads: int = 1


def _vae(_: Means) -> Recipe:
    return AutoencoderRecipe(scenes=_training(), held_out=_held_out())


def _decoder(_: Means) -> Recipe:
    return DecoderRecipe(scenes=_training(), held_out=_held_out())


def _fine_vae(_: Means) -> Recipe:
    return FineAutoencoderRecipe(scenes=_training(), held_out=_held_out())


def _grounding(_: Means) -> Recipe:
    return GroundingRecipe(scenes=_training(), held_out=_held_out())


def encode(autoencoder: str, means: Means, shards: int | None = None) -> None:
    """Encodes training scenes that have no latents of an autoencoder yet, at most so many shards.

    With those of the fine one, or of the coarse one while nothing fine is trained, pictures beyond the world: a shard
    at least.
    """
    scenes = workdir() / "data"
    encoding = Encoding(
        latents=latents_folder(autoencoder),
        weights=weights_folder(autoencoder),
        device=means.device,
        processes=means.processes,
    )
    encoding.missing_scenes(scenes, shards)
    if autoencoder in (AUTOENCODER, finest()[0]):
        rendered = len(list(scenes.glob("train-*")))
        encode_missing_pictures(encoding, math.ceil(_PICTURES_PER_SCENE * rendered) if shards is None else 1)


def _encoding(autoencoder: str, means: Means) -> Path:
    """Encodes enough to begin with, and the rest beside the training. Returns the folder."""
    folder = latents_folder(autoencoder)
    encode(autoencoder, means, max(0, _SHARDS_TO_START_WITH - len(list(folder.glob("train-*")))))
    options = ["--device", means.device, "--processes", str(means.processes)]
    command = [sys.executable, "-m", "demo_models.recipes", "encode", autoencoder, *options]
    subprocess.Popen(command)  # noqa: S603 - ourselves
    return folder


def _inpainting(means: Means) -> Recipe:
    return InpaintingRecipe(scenes=_training(), latents_folder=_encoding("vae", means))


def _controlled(means: Means) -> Recipe:
    return ControlledRecipe(scenes=_training(), latents_folder=_encoding("vae", means))


def _fine(means: Means) -> Recipe:
    return FineRecipe(scenes=_training(), latents_folder=_encoding(AUTOENCODER, means))


def _lcm_lora(means: Means) -> Recipe:
    autoencoder, painter = finest()
    return LcmRecipe(
        scenes=_training(),
        latents_folder=_encoding(autoencoder, means),
        autoencoder=autoencoder,
        painter=painter,
        elsewhere_share=ELSEWHERE_SHARE,
    )


def _taesd(_: Means) -> Recipe:
    return TinyRecipe(scenes=_training(), held_out=_held_out(), large=finest()[0])


def _yolox(_: Means) -> Recipe:
    return YoloxRecipe(scenes=_training(hidden=True), held_out=_held_out())


def _dwpose(_: Means) -> Recipe:
    return PoseRecipe(scenes=_training(hidden=True), held_out=_held_out())


def _home(_: Means) -> Recipe:
    return HomeRecipe(scenes=_training(), held_out=_held_out(), photographs=workdir() / PHOTOGRAPHS)


def _sam(_: Means) -> Recipe:
    return SegmentRecipe(scenes=_training(hidden=True), held_out=_held_out())


def _depth(_: Means) -> Recipe:
    return DepthRecipe(scenes=_training(hidden=True), held_out=_held_out())


def _clip(_: Means) -> Recipe:
    return ClipRecipe(scenes=_training())


def _safety(_: Means) -> Recipe:
    return SafetyRecipe(scenes=_training(), held_out=_held_out())


_LATENTS: Final = ("vae", AUTOENCODER)
"""Autoencoders whose latents others train on."""
COMPONENTS: Final[dict[str, Callable[[Means], Recipe]]] = {
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
    "lcm-lora": ("vae", "controlled"),
    "taesd": ("vae",),
}
"""What must have been trained before. After more training of the autoencoder scenes are encoded anew, and what was
trained on the old latents has to learn again; training only the decoder changes nothing for them."""


_ON_PROCESSORS: Final = ("grounding-dino", "yolox")
"""Their losses go box by box, with tables that stay with the processor."""


def _training(*, hidden: bool = False) -> SceneSet:
    return SceneSet.training(workdir() / "data", hidden=hidden)


def _held_out() -> SceneSet:
    return SceneSet.held_out(workdir() / "data")


def train_components(
    names: Sequence[str] | None,
    means: Means,
    *,
    minutes: float | None = None,
    scenes: int | None = None,
    judged: bool = True,
    **settings: Any,
) -> bool:
    """Trains components in turn, rendering the scenes first where they are missing.

    Args:
        names: Which; None for all.
        means: What to train them with.
        minutes: Training time each shall have had in all; None for what its recipe asks for.
        scenes: To train on at least; None for ``TRAINING_SCENES``. More that are there already are used, too.
        judged: Whether the weights are scored at the end.
        settings: In place of those of the recipes' own of the same names, see ``Settings``.

    Returns:
        Whether all were finished: False after a request to stop.

    Raises:
        ValueError: A name is unknown, a component cannot train on the device or what it builds on is not trained.
    """
    chosen = list(COMPONENTS) if names is None else list(names)
    if unknown := [name for name in chosen if name not in COMPONENTS]:
        raise ValueError(f"no component {unknown[0]!r}; known: {', '.join(COMPONENTS)}")
    if means.device != "cpu" and (bound := [name for name in chosen if name in _ON_PROCESSORS]):
        raise ValueError(f"{bound[0]} trains on a processor only")
    render_missing(workdir() / "data", scenes or TRAINING_SCENES, means.processes)
    for name in chosen:
        if untrained := lacking(name):
            raise ValueError(f"{name} builds on {', '.join(untrained)}: train that first")
        recipe: Any = COMPONENTS[name](means)
        changed: Recipe = replace(recipe, settings=replace(recipe.settings, **settings))
        run = TrainingRun(
            recipe=changed,
            minutes=minutes or changed.settings.minutes,
            threads=means.threads,
            device=means.device,
            drawing=means.processes if means.device == "cuda" else 0,
            judged=judged,
        )
        if not run.train():
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
