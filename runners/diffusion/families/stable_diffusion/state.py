"""Everything that belongs to one request while it is denoised: nothing of it lives on a shared model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from composition.request import ControlType
from runners.diffusion.engine.state import RequestState
from runners.diffusion.families.stable_diffusion.scheduler import Schedule


@dataclass(frozen=True, kw_only=True, eq=False)
class Control:
    """`image` (1, 3, height, width) in 0..1; active for steps i of n with start <= i/n and (i+1)/n <= end."""

    image: torch.Tensor
    scale: float
    start: float
    end: float

    def active(self, step: int, steps: int) -> bool:
        """Whether the ControlNet contributes to this step; one at scale 0 never does."""
        return self.scale != 0.0 and not (step / steps < self.start or (step + 1) / steps > self.end)


@dataclass(kw_only=True, eq=False)
class StableDiffusionState(RequestState):
    """One request between encoding and decoding; its bucket's `shared` is a `SetKey`.

    Attributes:
        latents: (1, 4, h, w), replaced at every step.
        inpainting: mask and masked image's latents, (1, 5, h, w), appended to the model's input channels.
        conditioning: named rows of text conditioning, each (1 or 2, ...): without guidance only the prompt, with it
            the negative prompt first. "encoder_hidden_states" is always there, others are added conditions.
        reference_tokens: like `conditioning`, (1 or 2, tokens, channels), or None without a reference.
        unet: that of its set of LoRAs; None: the plain one.
        generator: the request's own randomness, on the CPU, so that its draws do not depend on the device.
        guidance_steps: how many of the first steps run classifier-free guidance; 0 when the scale is 1.
    """

    latents: torch.Tensor
    inpainting: torch.Tensor
    conditioning: Mapping[str, torch.Tensor]
    schedule: Schedule
    generator: torch.Generator
    guidance_scale: float
    guidance_steps: int
    unet: Any = None
    reference_tokens: torch.Tensor | None = None
    reference_scale: float = 0.0
    controls: Mapping[ControlType, Control] = field(default_factory=dict)

    @property
    def guided(self) -> bool:
        """Whether the next step runs with guidance, on two rows."""
        return self.step < self.guidance_steps

    @property
    def rows(self) -> int:
        return 2 if self.guided else 1

    @property
    def timestep(self) -> torch.Tensor:
        return self.schedule.timesteps[self.step]

    def row(self, rows: torch.Tensor, *, positive: bool) -> torch.Tensor:
        """The unconditional or conditional row of something held as (1 or 2, ...), kept as a batch of one."""
        index = rows.shape[0] - 1 if positive else 0
        return rows[index : index + 1]

    def advance(self, prediction: torch.Tensor) -> None:
        """Take one step with the guided noise (1, 4, h, w); a failure leaves the state as it was.

        Schedulers shift their history before they allocate the result, so the history is put back when that fails.
        """
        scheduler: Any = self.schedule.scheduler
        before = {name: list(value) if isinstance(value, list) else value for name, value in vars(scheduler).items()}
        try:
            latents = scheduler.step(
                prediction, self.timestep, self.latents, generator=self.generator, return_dict=False
            )[0]
        except BaseException:
            vars(scheduler).update(before)
            raise
        self.latents = latents
        self.step += 1
