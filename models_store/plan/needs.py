"""What a profile takes: parameters per part, counted in its files or told by its manifest, and its activations.

files or manifest -> **needs** -> planner. Activations are counted figures per latent cell or per call; the command is
`python -m benchmarks.count_memory`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from models_store.checkpoints import UNET, VAE
from models_store.manifest import Model
from models_store.safetensors_header import NotSafetensors, read_shapes
from models_store.store import ModelSet

_HEADER_SIZE_BYTES = 8
_PREFIXES = {UNET: "unet", VAE: "vae", "cond_stage_model.": "text_encoder", "conditioner.": "text_encoder"}
"""Of a checkpoint in one file; the two text encoders of SDXL count as one."""
HALF_BYTES, FULL_BYTES = 2, 4


class Process(StrEnum):
    """Which runner holds a part."""

    DIFFUSION = "diffusion"
    ANALYZER = "analyzer"
    DETECTOR = "detector"
    STRUCTURE = "structure"


@dataclass(frozen=True, kw_only=True)
class Component:
    """One network.

    Attributes:
        every_step: a denoising step needs it; what does not may wait on the CPU.
        full_precision: it runs in float32 whatever the number format is.
        convertible: its weights can be held as int8 (SPEC 6.2): the key of `optimization.int8` that asks for it.
    """

    name: str
    parameters: int
    process: Process = Process.DIFFUSION
    every_step: bool = False
    full_precision: bool = False
    convertible: str | None = None

    def bytes_at(self, parameter_bytes: int) -> int:
        return self.parameters * (FULL_BYTES if self.full_precision else parameter_bytes)


@dataclass(frozen=True, kw_only=True)
class Activations:
    """Peak bytes in half precision; for a latent cell of one row (UNet) or one image (autoencoder)."""

    unet_per_cell: int
    decode_per_cell: int
    perception_per_image: int

    def unet(self, rows: int, size_px: int, cell_px: int) -> int:
        return self.unet_per_cell * rows * (size_px // cell_px) ** 2

    def decode(self, size_px: int, cell_px: int) -> int:
        return self.decode_per_cell * (size_px // cell_px) ** 2


COUNTED: Mapping[str, Activations] = {
    "sd-inpainting": Activations(unet_per_cell=21_300, decode_per_cell=98_400, perception_per_image=1_430_000_000),
    "sdxl-inpainting": Activations(unet_per_cell=14_300, decode_per_cell=98_400, perception_per_image=1_430_000_000),
}
"""By base role, at the published widths, two ControlNets in use. Narrower models (tiny, demo) take less."""


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a profile takes on a card, whatever the card.

    Attributes:
        checkpoints: what each of those that a request may name beside the base model brings, the largest first.
        counted: the parameters are those of imported files; else the manifest's.
    """

    profile: str
    components: tuple[Component, ...]
    activations: Activations
    native_size: int
    checkpoints: tuple[tuple[Component, ...], ...] = ()
    cell_px: int = 8
    counted: bool = True

    def of(self, process: Process) -> tuple[Component, ...]:
        return tuple(part for part in self.components if part.process is process)

    def of_checkpoints(self, count: int) -> tuple[Component, ...]:
        """What as many of them take at worst."""
        return tuple(part for brought in self.checkpoints[:count] for part in brought)


_BROUGHT = ("unet", "vae", "text_encoder", "text_encoder_2")
"""The networks of a checkpoint; what else is in its folder is the base's."""
_PERCEPTION: Mapping[str, tuple[Process, bool]] = {
    "clip": (Process.ANALYZER, False),
    "yolox": (Process.ANALYZER, True),
    "grounding-dino": (Process.DETECTOR, True),
    "sam": (Process.DETECTOR, False),
    "depth-anything": (Process.STRUCTURE, False),
    "dwpose": (Process.STRUCTURE, True),
}
"""Role -> its process, and whether it runs in float32."""


def needs_of(models: ModelSet) -> Needs:
    """Count what is imported; take the manifest's word for what is not."""
    components: list[Component] = []
    counted = True
    for role in models.roles:
        if role in COUNTED and role != models.base_role:
            continue  # another pipeline, which this configuration does not load
        imported = role not in models.missing
        counted = counted and imported
        sizes = _count(models.path(role)) if imported else _told(models.model(role))
        components += _components(role, models.base_role, sizes)
    return Needs(
        profile=models.profile,
        components=tuple(components),
        activations=COUNTED[models.base_role],
        native_size=models.native_size,
        checkpoints=_checkpoints(models),
        cell_px=models.latent_cell_px if models.base_role not in models.missing else 8,
        counted=counted,
    )


def _checkpoints(models: ModelSet) -> tuple[tuple[Component, ...], ...]:
    brought = [
        tuple(part for part in _components(models.base_role, models.base_role, _count(path)) if part.name in _BROUGHT)
        for path in models.checkpoints.values()
    ]
    return tuple(sorted(brought, key=lambda parts: -sum(part.parameters for part in parts)))


def _components(role: str, base_role: str, sizes: Mapping[str, int]) -> list[Component]:
    if role == base_role:
        return [
            Component(
                name=name, parameters=count, every_step=name == "unet", convertible="unet" if name == "unet" else None
            )
            for name, count in sizes.items()
        ]
    total = sum(sizes.values())
    if role == "ip-adapter":
        encoder = sizes.get("image_encoder", 0)
        return [
            Component(name="image_encoder", parameters=encoder, convertible="image_encoder"),
            Component(name="ip-adapter", parameters=total - encoder, every_step=True),
        ]
    if role.startswith("controlnet-"):
        return [Component(name=role, parameters=total, every_step=True, convertible="controlnets")]
    if role in _PERCEPTION:
        process, full_precision = _PERCEPTION[role]
        return [Component(name=role, parameters=total, process=process, full_precision=full_precision)]
    return [Component(name=role, parameters=total, every_step=role != "safety-checker")]


def _told(model: Model) -> dict[str, int]:
    """The manifest's counts; without any, what its bytes are: ONNX files are in float32, others may be in half."""
    if model.parameters:
        return dict(model.parameters)
    width = FULL_BYTES if any(path.endswith(".onnx") for path in model.required) else HALF_BYTES
    return {"": model.size_bytes // width}


def _count(folder: Path) -> dict[str, int]:
    """Parameters by first subfolder with weights: of each network just one format's, and one precision's."""
    if folder.is_file():
        return _count_one_file(folder)
    found: dict[str, dict[str, int]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".safetensors", ".bin", ".onnx") or not path.is_file():
            continue
        place = path.parent.relative_to(folder).as_posix()
        name = place.rsplit("/", 1)[-1] if place not in (".", "models", "sdxl_models") else ""
        # A file in two formats or precisions (model.safetensors, model.fp16.safetensors, .bin) is one network.
        stem = path.name.removesuffix(path.suffix).replace(".fp16", "")
        counts = found.setdefault(name, {})
        counts[stem] = max(counts.get(stem, 0), count_parameters(path))
    return {name: _together(name, counts) for name, counts in found.items()}


def _count_one_file(path: Path) -> dict[str, int]:
    """Of a checkpoint in the original layout; what training left in it beside the networks is not loaded."""
    try:
        shapes = read_shapes(path)
    except (NotSafetensors, OSError):
        return {"unet": count_parameters(path)}
    counts: dict[str, int] = {}
    for name, shape in shapes.items():
        for prefix, network in _PREFIXES.items():
            if name.startswith(prefix):
                counts[network] = counts.get(network, 0) + math.prod(shape)
    return counts


def _together(name: str, counts: Mapping[str, int]) -> int:
    """IP-Adapter weights lie side by side, of which one is loaded: the largest. Shards add up."""
    return max(counts.values()) if name == "" else sum(counts.values())


def count_parameters(path: Path) -> int:
    """How many numbers a weight file holds: read from a safetensors header, else from the size, as float32.

    Whether a file can be loaded is not judged here: a broken one counts by its size.
    """
    size_bytes = path.stat().st_size
    if path.suffix != ".safetensors":
        return size_bytes // FULL_BYTES
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_HEADER_SIZE_BYTES), "little")
            header = json.loads(file.read(length if length < size_bytes else 0))
        return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
    except (ValueError, KeyError, TypeError, AttributeError):
        return size_bytes // HALF_BYTES
