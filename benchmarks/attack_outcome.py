"""What every attack ends with, and the requests that they are made with."""

from __future__ import annotations

import base64
import io
import json
import struct
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from benchmarks.demo_cases import photo_cases


@dataclass
class Outcome:
    """Whether what must hold held, and the figures."""

    holds: bool
    figures: dict[str, Any] = field(default_factory=dict)


def smallest_edit() -> dict[str, Any]:
    """A photograph and two steps."""
    file = io.BytesIO()
    Image.fromarray(photo_cases()[0].base).save(file, "PNG")
    return {
        "base_image": base64.b64encode(file.getvalue()).decode(),
        "prompt": "a red hat",
        "config": {"num_inference_steps": 2, "seed": 7},
    }


def smallest_lora() -> bytes:
    """One layer of rank 1, of zeros, as kohya's scripts write it."""
    shapes = {"lora_unet_x.lora_down.weight": [1, 32], "lora_unet_x.lora_up.weight": [32, 1]}
    header = {
        name: {"dtype": "F16", "shape": shape, "data_offsets": [64 * number, 64 * number + 64]}
        for number, (name, shape) in enumerate(shapes.items())
    }
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(128)
