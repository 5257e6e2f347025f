"""Between us and transformers: models from a folder of the model store, images as its processors take them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from composition.images import Image


def load_pretrained(model_class: Any, folder: Path, device: torch.device, dtype: torch.dtype) -> Any:
    """The model, ready for inference.

    Args:
        model_class: a transformers class with `from_pretrained`.
        folder: laid out like the model's hub repository; nothing is looked up on the network.
        device: where it runs.
        dtype: the format of its weights.
    """
    logging.disable_progress_bar()
    model = model_class.from_pretrained(folder, local_files_only=True, dtype=dtype)
    return model.to(device).eval()


def for_processor(image: Image) -> Image:
    """The image as an array that torch may wrap: a copy when it is read-only, as all that came over the wire are."""
    return image if image.flags.writeable else image.copy()
