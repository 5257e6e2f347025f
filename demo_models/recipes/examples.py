"""What a painter's batch is made of, from whatever source: latents, words, references, control images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Examples:
    """Some examples to train on; without any, nothing of each.

    Attributes:
        latents: ``whole`` and ``masked`` float32 (N, 4, h, w), ``cells`` float32 (N, 1, h, w).
        prompts: What each mask hides.
        references: A reference image for each, RGB uint8; none where the step has no references.
        hints: A control image for each, RGB uint8 (256, 256, 3); none where the step has no control.
    """

    latents: Mapping[str, Tensor] = field(default_factory=dict)
    prompts: list[str] = field(default_factory=list)
    references: list[NDArray[np.uint8]] = field(default_factory=list)
    hints: list[NDArray[np.uint8]] = field(default_factory=list)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Returns all of them, one part after the other; at least one part has examples."""
        some = [part for part in parts if part.prompts]
        return cls(
            latents={name: torch.cat([part.latents[name] for part in some]) for name in some[0].latents},
            prompts=[prompt for part in some for prompt in part.prompts],
            references=[image for part in some for image in part.references],
            hints=[image for part in some for image in part.hints],
        )
