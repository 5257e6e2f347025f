"""A checkpoint in one .safetensors file of the original layout, as people share them, as a diffusers pipeline.

What such a file leaves out (configurations, tokenizer, scheduler) comes from the folder of the profile's own base
model. The networks' names and shapes are diffusers' own conversion's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from composition.config import ConfigError
from models_store.safetensors_header import read_shapes

_FIRST_LAYER = "model.diffusion_model.input_blocks.0.0.weight"


class IncompleteCheckpoint(ConfigError):
    """The file lacks weights; the message is one line and names the part."""


def load_single_file(pipeline_class: Any, path: Path, configs: Path, dtype: torch.dtype, **options: Any) -> Any:
    """The pipeline, its parts on the CPU.

    Args:
        pipeline_class: of diffusers, with `from_single_file`.
        path: the file.
        configs: a diffusers folder of the same family; its weights are not read.
        dtype: of the weights.
        options: parts that are given instead of loaded, and the class's own options.

    Raises:
        IncompleteCheckpoint: weights are missing.
        ValueError, RuntimeError: the file is of another model than the configuration.
    """
    from diffusers import AutoencoderKL, UNet2DConditionModel

    shared: dict[str, Any] = {"config": str(configs), "dtype": dtype, "local_files_only": True}
    # The configuration's UNet may be an inpainting one and the file's not, or the other way round.
    channels = read_shapes(path)[_FIRST_LAYER][1]
    with _whole(path, "UNet"):
        unet = UNet2DConditionModel.from_single_file(str(path), subfolder="unet", in_channels=channels, **shared)
    with _whole(path, "autoencoder"):
        vae = AutoencoderKL.from_single_file(str(path), subfolder="vae", **shared)
    with _whole(path, "text encoder"):
        pipe = pipeline_class.from_single_file(str(path), unet=unet, vae=vae, **shared, **options)
    for part in pipe.components.values():
        if isinstance(part, nn.Module):
            part.eval()
            if any(tensor.is_meta for tensor in part.state_dict().values()):
                raise IncompleteCheckpoint(f"{path} lacks weights of its {type(part).__name__}")
    return pipe


@contextmanager
def _whole(path: Path, part: str) -> Iterator[None]:
    """What the file does not have is left without memory, which torch refuses to convert."""
    try:
        yield
    except NotImplementedError as error:
        raise IncompleteCheckpoint(f"{path} lacks weights of its {part}") from error
