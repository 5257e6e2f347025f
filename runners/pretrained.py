"""Loading a transformers model from a folder of the model store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging


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
