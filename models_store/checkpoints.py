"""What a checkpoint is, known from its names and shapes: nothing of it is loaded.

configuration -> **inspect** -> load, or one line that says what the file is instead. A checkpoint is a folder in the
layout of diffusers (`model_index.json`) or one .safetensors file in the original layout of its family, as they are
shared. A UNet with 9 input channels was made for inpainting, one with 4 paints whole images.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from composition.config import ConfigError
from models_store.pipelines import latent_cell_px, pipeline_class
from models_store.safetensors_header import NotSafetensors, Shapes, read_shapes

UNET = "model.diffusion_model."
_TEXT_SD1, _TEXT_SD2, _TEXT_SDXL = "cond_stage_model.transformer.", "cond_stage_model.model.", "conditioner.embedders."
VAE = "first_stage_model."
_PICKLES = (".ckpt", ".pt", ".pth", ".bin", ".pkl")
_PICKLE_STARTS = (b"PK", b"\x80")
_INPAINTING_CHANNELS, _PLAIN_CHANNELS = 9, 4
_PIPELINES: Mapping[tuple[str, int], str] = {
    (_TEXT_SD1, _INPAINTING_CHANNELS): "StableDiffusionInpaintPipeline",
    (_TEXT_SD1, _PLAIN_CHANNELS): "StableDiffusionPipeline",
    (_TEXT_SDXL, _INPAINTING_CHANNELS): "StableDiffusionXLInpaintPipeline",
    (_TEXT_SDXL, _PLAIN_CHANNELS): "StableDiffusionXLPipeline",
}


class UnfitCheckpoint(ConfigError):
    """A configured checkpoint cannot be served here; the message is one line: which, and what it is instead."""


@dataclass(frozen=True, kw_only=True)
class Widths:
    """What has to be the same for adapters and ControlNets to go with a model.

    Attributes:
        cross_attention_dim: channels of the text conditioning, 768 for SD 1.5.
        block_out_channels: channels of the UNet's levels, (320, 640, 1280, 1280) for SD 1.5.
    """

    cross_attention_dim: int
    block_out_channels: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.cross_attention_dim} text channels, levels {'/'.join(map(str, self.block_out_channels))}"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """One checkpoint, as it is on disk.

    Attributes:
        path: its folder, or its file.
        pipeline: the diffusers class that it was made for.
        latent_cell_px: pixels per latent cell and side.
    """

    path: Path
    pipeline: str
    widths: Widths
    latent_cell_px: int


def inspect(path: Path, *, what: str) -> Checkpoint:
    """Look at a folder or file; `what` names it in messages, a configuration key with its value.

    Raises: UnfitCheckpoint, UnservedPipeline.
    """
    return _inspect_file(path, what) if path.is_file() else _inspect_folder(path, what)


def _inspect_folder(folder: Path, what: str) -> Checkpoint:
    pipeline = pipeline_class(folder)
    if pipeline is None:
        raise UnfitCheckpoint(f"{what} is no folder of a diffusion pipeline (no model_index.json with a _class_name)")
    widths = widths_of(folder / "unet" / "config.json")
    if widths is None:
        raise UnfitCheckpoint(f"{what} has no UNet (no unet/config.json with its channels)")
    return Checkpoint(path=folder, pipeline=pipeline, widths=widths, latent_cell_px=latent_cell_px(folder, what=what))


def widths_of(config: Path) -> Widths | None:
    """Those that a UNet's or ControlNet's config.json says; None when it does not."""
    try:
        values: Any = json.loads(config.read_text(encoding="utf-8"))
        return Widths(
            cross_attention_dim=int(values["cross_attention_dim"]),
            block_out_channels=tuple(int(width) for width in values["block_out_channels"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _inspect_file(path: Path, what: str) -> Checkpoint:
    shapes = _shapes(path, what)
    kind = next((kind for kind, is_it in _OTHER_KINDS if is_it(shapes)), None)
    if kind is not None:
        raise UnfitCheckpoint(f"{what} is {kind}, not a checkpoint")
    text = next((text for text in (_TEXT_SD1, _TEXT_SD2, _TEXT_SDXL) if _has(shapes, text)), None)
    if not _has(shapes, UNET) or text is None or not _has(shapes, VAE):
        lacks = [name for name, there in _parts(shapes, text) if not there]
        raise UnfitCheckpoint(
            f"{what} is no whole checkpoint in the original layout: it has no {' and no '.join(lacks)}"
        )
    if text == _TEXT_SD2:
        raise UnfitCheckpoint(f"{what} is a checkpoint of Stable Diffusion 2, which is not served")
    try:
        channels = shapes[f"{UNET}input_blocks.0.0.weight"][1]
        widths, levels = _widths(shapes), _vae_levels(shapes)
    except (KeyError, IndexError, ValueError) as error:
        raise UnfitCheckpoint(f"{what} is no checkpoint in the original layout") from error
    pipeline = _PIPELINES.get((text, channels))
    if pipeline is None:
        raise UnfitCheckpoint(f"{what} has a UNet with {channels} input channels; 9 (inpainting) and 4 are served")
    return Checkpoint(path=path, pipeline=pipeline, widths=widths, latent_cell_px=2 ** (levels - 1))


def _shapes(path: Path, what: str) -> Shapes:
    try:
        with path.open("rb") as file:
            start = file.read(2)
    except OSError as error:
        raise UnfitCheckpoint(f"{what} cannot be read: {error.strerror}") from error
    if path.suffix.lower() in _PICKLES or start.startswith(_PICKLE_STARTS):
        raise UnfitCheckpoint(f"{what} is a pickle, which can run code when it is loaded: convert it to .safetensors")
    try:
        return read_shapes(path)
    except NotSafetensors as error:
        raise UnfitCheckpoint(f"{what} is not a safetensors file") from error


def _parts(shapes: Shapes, text: str | None) -> list[tuple[str, bool]]:
    return [
        ("diffusion model", _has(shapes, UNET)),
        ("text encoder", text is not None),
        ("autoencoder", _has(shapes, VAE)),
    ]


def _widths(shapes: Shapes) -> Widths:
    """A level ends in a downsampling (`op`), the last one in the middle block."""
    downs = {
        int(name.removeprefix(f"{UNET}input_blocks.").split(".")[0]): shape[0]
        for name, shape in shapes.items()
        if name.startswith(f"{UNET}input_blocks.") and name.endswith(".op.weight")
    }
    context = next(shape[1] for name, shape in shapes.items() if _is_text_key(name))
    levels = [downs[number] for number in sorted(downs)]
    last = shapes[f"{UNET}middle_block.0.out_layers.3.weight"][0]
    return Widths(cross_attention_dim=context, block_out_channels=(*levels, last))


def _is_text_key(name: str) -> bool:
    return name.startswith(UNET) and name.endswith(".attn2.to_k.weight")


def _vae_levels(shapes: Shapes) -> int:
    start = f"{VAE}encoder.down."
    return 1 + max(int(name.removeprefix(start).split(".")[0]) for name in shapes if name.startswith(start))


def _has(shapes: Shapes, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in shapes)


def _mentions(*parts: str) -> Callable[[Shapes], bool]:
    return lambda shapes: any(part in name for name in shapes for part in parts)


def _is_diffusers_unet(shapes: Shapes) -> bool:
    return "conv_in.weight" in shapes and _has(shapes, "down_blocks.") and _has(shapes, "time_embedding.")


def _is_autoencoder(shapes: Shapes) -> bool:
    return not _has(shapes, UNET) and (_has(shapes, VAE) or (_has(shapes, "encoder.") and _has(shapes, "decoder.")))


def _is_embedding(shapes: Shapes) -> bool:
    return 0 < len(shapes) <= 4 and (len(shapes) == 1 or "emb_params" in shapes or {"clip_l", "clip_g"} >= set(shapes))


_OTHER_KINDS: tuple[tuple[str, Callable[[Shapes], bool]], ...] = (
    ("a LoRA", _mentions("lora_down", "lora_up", ".lora_A", ".lora_B", ".lora.", "hada_w1", "lokr_w")),
    ("an IP-Adapter", _mentions("to_k_ip")),
    ("a ControlNet", _mentions("controlnet_cond_embedding.", "control_model.", "input_hint_block.")),
    ("a diffusion transformer, which no family serves", _mentions("double_blocks.", "joint_blocks.")),
    ("the UNet of a diffusers folder (name the folder that has model_index.json)", _is_diffusers_unet),
    ("an autoencoder", _is_autoencoder),
    ("a textual inversion", _is_embedding),
)
"""What people have in the same folder, in the order in which it is looked for."""
