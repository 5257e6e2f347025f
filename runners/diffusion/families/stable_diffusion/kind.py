"""What sets one family of Stable Diffusion apart from another: data for the code that they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from runners.diffusion.families.stable_diffusion.text import PromptEncoder


@dataclass(frozen=True, kw_only=True, eq=False)
class PipelineKind:
    """One family.

    Attributes:
        base_name: what responses and /health call the base model.
        pipeline: the class of diffusers that loads it, and whose arithmetic is ours.
        options: further arguments of its `from_pretrained`.
        adapters: per variant of the IP-Adapter its weight file, as a path in the h94/IP-Adapter repository.
        encoder: the text encoders of a loaded pipeline, on a device.
        obeys_force_upcast: whether the autoencoder's own `force_upcast` counts. Half precision overflows in some; where
            a file does not say, diffusers takes it for set, and Stable Diffusion 1.5's pipeline ignores it.
    """

    base_name: str
    pipeline: str
    adapters: Mapping[str, str]
    encoder: Callable[[Any, torch.device], PromptEncoder]
    options: Mapping[str, Any] = field(default_factory=dict)
    obeys_force_upcast: bool = False
