"""Speeds of few steps: what each needs, and the pace that its weights are trained for.

plan -> **pace** -> encode: a distilled LoRA over the same UNet, stepped by a sampler of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from composition.request import Speed


@dataclass(frozen=True, kw_only=True)
class FewSteps:
    """A speed.

    Attributes:
        role: of the manifest's model that holds its LoRA, as responses report it.
        sampler: as people call it.
        steps, guidance_scale: where the user names none.
        least_steps, most_steps, most_guidance_scale: what it takes, guidance from 1 (none) on; the nearest is taken.
    """

    role: str
    sampler: str
    steps: int
    least_steps: int
    most_steps: int
    guidance_scale: float
    most_guidance_scale: float

    def pace(self, num_inference_steps: int | None, guidance_scale: float | None) -> tuple[int, float]:
        """Steps and guidance scale within what the weights are trained for."""
        steps = self.steps if num_inference_steps is None else num_inference_steps
        guidance = self.guidance_scale if guidance_scale is None else guidance_scale
        return min(max(steps, self.least_steps), self.most_steps), min(max(guidance, 1.0), self.most_guidance_scale)


FEW_STEPS: Final[Mapping[Speed, FewSteps]] = {
    Speed.FAST: FewSteps(
        role="lcm-lora",
        sampler="LCM",
        steps=4,
        least_steps=4,
        most_steps=8,
        guidance_scale=1.0,
        most_guidance_scale=2.0,
    ),
    Speed.TURBO: FewSteps(
        role="tcd-lora",
        sampler="TCD",
        steps=4,
        least_steps=1,
        most_steps=4,
        guidance_scale=1.0,
        most_guidance_scale=1.0,
    ),
}
"""As the model cards say: LCM 4 to 8 steps at guidance 1 (none) to 2, TCD without. `Speed.NORMAL` is none of them."""
