"""Which diffusion pipelines are served, known without loading one: the importer and the runner both ask here.

A pipeline's class is what its `model_index.json` says (`_class_name`); a family of the diffusion runner serves it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from composition.config import ConfigError

FAMILIES: Mapping[str, str] = {
    "StableDiffusionInpaintPipeline": "sd15",
    "StableDiffusionXLInpaintPipeline": "sdxl",
}
"""Per pipeline class the folder in `runners/diffusion/families` that serves it."""


class UnservedPipeline(ConfigError):
    """The configured base model is of a class that no family serves; the message names it and those that are served."""


def pipeline_class(folder: Path) -> str | None:
    """The class that a pipeline's folder says it is; None when it does not say."""
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return index.get("_class_name") if isinstance(index, dict) else None


def latent_cell_px(folder: Path, *, what: str) -> int:
    """Pixels per latent cell and side of a pipeline's folder: its autoencoder halves the image between its levels.

    `what` has that folder, for the message, as in `family_of`. Raises: UnservedPipeline when its files do not say.
    """
    try:
        config = json.loads((folder / "vae" / "config.json").read_text(encoding="utf-8"))
        levels = len(config["block_out_channels"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnservedPipeline(f"{what} has no autoencoder (no vae/config.json with block_out_channels)") from error
    return int(2 ** (levels - 1))


def family_of(pipeline: str | None, *, what: str) -> str:
    """The family that serves a pipeline class, None of a folder without one.

    `what` has that class, for the message: a configuration key with its value. Raises: UnservedPipeline.
    """
    family = FAMILIES.get(pipeline or "")
    if family is None:
        kind = f"a {pipeline}" if pipeline else "no diffusion pipeline (no model_index.json with a _class_name)"
        raise UnservedPipeline(f"{what} is {kind}; served: {', '.join(sorted(FAMILIES))}")
    return family
