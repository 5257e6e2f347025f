"""Where training keeps its data and state: outside the source tree."""

import hashlib
import json
import os
from pathlib import Path
from typing import Final

ORIGIN: Final = "made-from.json"


def workdir() -> Path:
    """Returns the folder named by ``DEMO_WORKDIR``, made if it does not exist."""
    folder = Path(os.environ.get("DEMO_WORKDIR", "~/.cache/image-composition/demo-training")).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def weights_folder(component: str) -> Path:
    """Returns where a component's averaged weights are kept, in the layout that ``from_pretrained`` reads."""
    return workdir() / "weights" / component


def start_folder(component: str) -> Path | None:
    """Returns earlier weights of a component that its training shall start from, or None to start from nothing."""
    folder = workdir() / "start" / component
    return folder if folder.exists() else None


def trained_folder(component: str) -> Path:
    """Returns where a component's weights are: those trained here, or else the earlier ones."""
    trained = weights_folder(component)
    return trained if trained.exists() else start_folder(component) or trained


def latents_folder(autoencoder: str) -> Path:
    """Returns where latents of the present autoencoder of that name are kept: those of another one are worthless.

    Raises:
        FileNotFoundError: It has not been trained.
    """
    weights = weights_folder(autoencoder) / "diffusion_pytorch_model.safetensors"
    return workdir() / "latents" / hashlib.sha256(weights.read_bytes()).hexdigest()[:12]


def note_origin(folder: Path, component: str) -> None:
    """Writes beside weights which other component they were made from and fit: no other one."""
    (folder / ORIGIN).write_text(json.dumps(component))


def origin_of(folder: Path) -> str | None:
    """Returns what `note_origin` wrote there; None: nothing."""
    note = folder / ORIGIN
    return json.loads(note.read_text()) if note.exists() else None


def pause_file() -> Path:
    """Returns the file whose existence makes every training run wait."""
    return workdir() / "PAUSE"
