"""Everything that belongs to one request while it is denoised: nothing of it lives on a shared model."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from composition.request import ControlType
from runners.diffusion.engine.state import RequestState
from runners.diffusion.families.stable_diffusion.economy import EXACT, Economy
from runners.diffusion.families.stable_diffusion.kept_latents import KeptLatents
from runners.diffusion.families.stable_diffusion.precision import FLOAT32
from runners.diffusion.families.stable_diffusion.scheduler import Schedule
from runners.diffusion.families.stable_diffusion.solvers.moves import Past


@dataclass(frozen=True, kw_only=True, eq=False)
class Control:
    """`image` (1, 3, height, width) in 0..1; active for steps i of n with start <= i/n and (i+1)/n <= end."""

    image: torch.Tensor
    scale: float
    start: float
    end: float

    def active(self, step: int, steps: int) -> bool:
        """Whether the ControlNet contributes to this step; one at scale 0 never does."""
        return self.scale != 0.0 and within(step, steps, self.start, self.end)


@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """What the IP-Adapter makes of reference images that are taken together, and when and where they act.

    Attributes:
        tokens: like `StableDiffusionState.conditioning`, (1 or 2, tokens, channels).
        scale: of its attention.
        start, end: of the steps, as of a `Control`.
        mask: float32 (1, height, width) at the image's size, 1 where it acts; None: everywhere.
    """

    tokens: torch.Tensor
    scale: float
    start: float = 0.0
    end: float = 1.0
    mask: torch.Tensor | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Area:
    """Where a region is painted, of a request that has several.

    Attributes:
        mask: bool (1, 1, h, w).
        image: the image's latents (1, 4, h, w); None where the region starts from noise alone and so never waits.
        noise: the region's own, (1, 4, h, w).
    """

    mask: torch.Tensor
    image: torch.Tensor | None
    noise: torch.Tensor

    def noisy(self, shares: tuple[float, float]) -> torch.Tensor:
        """The image as noisy as latents are that have these shares of data and noise."""
        assert self.image is not None
        return shares[0] * self.image + shares[1] * self.noise

    def to(self, dtype: torch.dtype) -> Area:
        image = None if self.image is None else self.image.to(dtype)
        return replace(self, image=image, noise=self.noise.to(dtype))


@dataclass(frozen=True, kw_only=True, eq=False)
class DeepFeatures:
    """What a request's last full pass left for its shallow ones, each of its own rows: (1 or 2, channels, h, w).

    Attributes:
        step: at which it was computed.
        workload: `StableDiffusionState.workload` then.
        hidden: enters the layers that a shallow pass computes.
        residuals: what the ControlNets gave for the skip connections of these layers; empty without ControlNets.
    """

    step: int
    workload: Hashable
    hidden: torch.Tensor
    residuals: Sequence[torch.Tensor] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Prediction:
    """The guided noise (1, 4, h, w) of a request's next step, and what that leaves for later ones; None: nothing."""

    noise: torch.Tensor
    deep: DeepFeatures | None = None


def within(step: int, steps: int, start: float, end: float) -> bool:
    """Whether a step lies in a window of the steps, as stock diffusers has it for ControlNets."""
    return not (step / steps < start or (step + 1) / steps > end)


@dataclass(kw_only=True, eq=False)
class StableDiffusionState(RequestState):
    """One request between encoding and decoding; its bucket's `shared` is a `SetKey`.

    Attributes:
        latents: (1, 4, h, w), replaced at every step.
        inpainting: mask and masked image's latents, (1, 5, h, w), appended to the model's input channels; None for a
            UNet that was not made for inpainting.
        kept: what holds such a UNet to the image outside the mask; None for an inpainting UNet.
        area: where the region is that this state is of; None: the request has one region only.
        conditioning: named rows of text conditioning, each (1 or 2, ...): without guidance only the prompt, with it
            the negative prompt first. "encoder_hidden_states" is always there, others are added conditions.
        references: in the order in which what they give is added.
        unet: that of its set of LoRAs; None: the plain one.
        generator: the request's own randomness, on the CPU, so that its draws do not depend on the device.
        past: what its solver remembers of earlier steps.
        step_noise: what each step but the last adds, (1, 4, h, w), drawn beforehand: no step waits for an upload.
        guidance_rescale: 0 leaves the guided prediction as it is, 1 gives it the unguided one's contrast.
        guidance_start, guidance_end: classifier-free guidance runs from step to step, the latter excluded; 0 and 0 when
            the scale is 1.
        economy: how much of what a step computes is reused.
        deep: what is there to be reused; None at the first step and for a request that reuses nothing.
    """

    latents: torch.Tensor
    inpainting: torch.Tensor | None
    conditioning: Mapping[str, torch.Tensor]
    schedule: Schedule
    generator: torch.Generator
    guidance_scale: float
    guidance_start: int
    guidance_end: int
    unet: Any = None
    guidance_rescale: float = 0.0
    references: tuple[Reference, ...] = ()
    kept: KeptLatents | None = None
    area: Area | None = None
    controls: Mapping[ControlType, Control] = field(default_factory=dict)
    economy: Economy = EXACT
    deep: DeepFeatures | None = None
    past: Past = ()
    step_noise: Sequence[torch.Tensor] = ()

    def __post_init__(self) -> None:
        """Keep what starting over needs: drawing and stepping change it."""
        self._start = (self.latents, self.generator.get_state(), copy.deepcopy(self.schedule))

    def again_in_float32(self) -> StableDiffusionState:
        """The request before its first step, with the same noise, to be computed in float32."""
        latents, random, schedule = self._start

        def wide(tensor: torch.Tensor | None) -> torch.Tensor | None:
            return None if tensor is None else tensor.float()

        return replace(
            self,
            bucket=replace(self.bucket, precision=FLOAT32, shallow=0),
            step=0,
            latents=latents.float(),
            past=(),
            deep=None,
            step_noise=tuple(noise.float() for noise in self.step_noise),
            inpainting=wide(self.inpainting),
            kept=None if self.kept is None else self.kept.to(torch.float32),
            area=None if self.area is None else self.area.to(torch.float32),
            conditioning={name: rows.float() for name, rows in self.conditioning.items()},
            schedule=schedule.before_its_first_step(torch.float32),
            generator=torch.Generator().set_state(random),
            references=tuple(replace(one, tokens=one.tokens.float()) for one in self.references),
            controls={kind: replace(control, image=control.image.float()) for kind, control in self.controls.items()},
        )

    @property
    def guided(self) -> bool:
        """Whether the next step runs with guidance, on two rows."""
        return self.guidance_start <= self.step < self.guidance_end

    @property
    def shallow(self) -> int:
        """How many layers the next step computes with the deep features that are there; 0: it computes all.

        It is the request's own steps that decide, not its company: a seed gives the same image alone and among others.
        What acts is what acted when they were computed.
        """
        deep = self.deep
        if deep is None or self.step - deep.step >= self.economy.every or deep.workload != self.workload:
            return 0
        return self.economy.layers

    @property
    def leaves_features(self) -> bool:
        """Whether a full pass at the next step is one that a later step may draw on."""
        return self.economy.every > 1 and self.step + 1 < self.steps

    @property
    def acting_references(self) -> tuple[Reference, ...]:
        """Those that act at the next step."""
        return tuple(one for one in self.references if within(self.step, self.steps, one.start, one.end))

    @property
    def acting_controls(self) -> tuple[ControlType, ...]:
        """The ControlNets that contribute to the next step."""
        return tuple(kind for kind, control in self.controls.items() if control.active(self.step, self.steps))

    @property
    def workload(self) -> Hashable:
        return self.rows, self.acting_controls, len(self.acting_references)

    @property
    def rows(self) -> int:
        return 2 if self.guided else 1

    @property
    def next_noise(self) -> torch.Tensor | None:
        """What the next step adds; None for a scheduler that adds none, and at the last step."""
        return self.step_noise[self.step] if self.step < len(self.step_noise) else None

    @property
    def timestep(self) -> torch.Tensor:
        return self.schedule.timesteps[self.step]

    def row(self, rows: torch.Tensor, *, positive: bool) -> torch.Tensor:
        """The unconditional or conditional row of something held as (1 or 2, ...), kept as a batch of one."""
        index = rows.shape[0] - 1 if positive else 0
        return rows[index : index + 1]

    def lay_in(self, other: StableDiffusionState, *, waiting: bool) -> None:
        assert other.area is not None
        theirs = other.area.noisy(self.schedule.noise_shares[self.step]) if waiting else other.latents
        self.latents = torch.where(other.area.mask, theirs, self.latents)
