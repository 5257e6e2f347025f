"""Between us and transformers: models from a folder of the model store, images as its processors take them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from composition.images import Image


def load_pretrained(model_class: Any, folder: Path, device: torch.device, dtype: torch.dtype) -> Any:
    """The model, ready for inference, from a folder laid out like its hub repository.

    Nothing is looked up on the network. `model_class` is a transformers class with `from_pretrained`.
    """
    logging.disable_progress_bar()
    model = model_class.from_pretrained(folder, local_files_only=True, dtype=dtype)
    return model.to(device).eval()


def for_processor(image: Image) -> Image:
    """The image as an array that torch may wrap: a copy when it is read-only, as all that came over the wire are."""
    return image if image.flags.writeable else image.copy()
