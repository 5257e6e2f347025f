"""Safetensors files that are all header: names and shapes, and so many zero bytes as belong to them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path


def write_header(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Path:
    header, end = {}, 0
    for name, shape in shapes.items():
        header[name] = {"dtype": "U8", "shape": list(shape), "data_offsets": [end, end]}
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    return path


def checkpoint_shapes(
    *, channels: int = 9, context: int = 768, levels: tuple[int, ...] = (320, 640, 1280, 1280), text: str = "sd1"
) -> dict[str, tuple[int, ...]]:
    """What tells a checkpoint in the original layout, of the published sizes by default."""
    unet, texts = (
        "model.diffusion_model.",
        {
            "sd1": "cond_stage_model.transformer.text_model.embeddings.position_ids",
            "sd2": "cond_stage_model.model.positional_embedding",
            "sdxl": "conditioner.embedders.0.transformer.text_model.embeddings.position_ids",
        },
    )
    shapes = {
        f"{unet}input_blocks.0.0.weight": (levels[0], channels, 3, 3),
        f"{unet}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (levels[0], context),
        f"{unet}middle_block.0.out_layers.3.weight": (levels[-1], levels[-1], 3, 3),
        texts[text]: (1, 77),
    }
    for number, width in enumerate(levels[:-1]):
        shapes[f"{unet}input_blocks.{3 * (number + 1)}.0.op.weight"] = (width, width, 3, 3)
    for level in range(4):
        shapes[f"first_stage_model.encoder.down.{level}.block.0.conv1.weight"] = (128, 128, 3, 3)
    return shapes
