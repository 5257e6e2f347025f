"""What every attack of `make attack` ends with, and the request that it is made with."""

from __future__ import annotations

import base64
import io
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
