"""One forward of the UNet for several requests: row layout, ControlNets, guidance.

Rows: the unconditional rows of all guided requests, then the conditional rows of all requests. A single guided
request thus has the stock pipeline's layout, and its arithmetic is the stock pipeline's bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from composition.controls import CONTROLS
from composition.request import ControlType
from runners.diffusion.engine.counters import Counters
from runners.diffusion.families.stable_diffusion.attention import ReferenceRows
from runners.diffusion.families.stable_diffusion.compilation import RowRunner
from runners.diffusion.families.stable_diffusion.controlnets import ControlNetPool
from runners.diffusion.families.stable_diffusion.state import Control, StableDiffusionState


@dataclass(frozen=True, kw_only=True, eq=False)
class _Row:
    state: StableDiffusionState
    positive: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class _Residuals:
    """What the ControlNets add to the UNet's skip connections and middle block, for every row."""

    down: list[torch.Tensor]
    mid: torch.Tensor


class BatchForward:
    """Predicts the noise of the next step for requests of one bucket."""

    def __init__(self, unet: RowRunner, controlnets: ControlNetPool, counters: Counters) -> None:
        self._unet, self._controlnets, self._counters = unet, controlnets, counters

    def predict(self, states: Sequence[StableDiffusionState]) -> list[torch.Tensor]:
        """The guided noise prediction (1, 4, h, w) of each request, in order; changes no state."""
        guided = [state for state in states if state.guided]
        rows = [_Row(state=state, positive=False) for state in guided]
        rows += [_Row(state=state, positive=True) for state in states]
        # Inputs are scaled by no scheduler in use (DPM-Solver++ and LCM leave them as they are).
        latents = torch.cat([row.state.latents for row in rows])
        timesteps = torch.stack([row.state.timestep for row in rows])
        conditioning = _conditioning(rows)
        residuals = self._control(rows, latents, timesteps, conditioning)
        noise = self._unet.run(
            sample=torch.cat([latents, torch.cat([row.state.inpainting for row in rows])], dim=1),
            timesteps=timesteps,
            conditioning=conditioning,
            reference=_reference(rows),
            down=None if residuals is None else residuals.down,
            mid=None if residuals is None else residuals.mid,
        )
        self._counters.add("unet_forwards")
        self._counters.add("unet_rows", len(rows))
        return _guide(noise, states, guided)

    def _control(
        self,
        rows: Sequence[_Row],
        latents: torch.Tensor,
        timesteps: torch.Tensor,
        conditioning: Mapping[str, torch.Tensor],
    ) -> _Residuals | None:
        """Each ControlNet on just the rows that want it at this step; None when no row wants any."""
        wanted = {kind: chosen for kind in CONTROLS if (chosen := _rows_wanting(rows, kind))}
        total: _Residuals | None = None
        for kind, chosen in wanted.items():
            network = self._controlnets.get(kind, needed=len(wanted))
            index = torch.tensor([number for number, _ in chosen], device=latents.device)
            added = {name: _take(tensor, index) for name, tensor in conditioning.items()}
            text = added.pop("encoder_hidden_states")
            down, mid = network(
                _take(latents, index),
                _take(timesteps, index),
                encoder_hidden_states=text,
                added_cond_kwargs=added or None,
                controlnet_cond=torch.cat([control.image for _, control in chosen]),
                return_dict=False,
            )
            scales = torch.tensor([control.scale for _, control in chosen], device=latents.device).view(-1, 1, 1, 1)
            spread = [_spread(tensor, scales, index, len(rows)) for tensor in (*down, mid)]
            total = _Residuals(down=spread[:-1], mid=spread[-1]) if total is None else _sum(total, spread)
            self._counters.add(f"controlnet_{kind}_forwards")
            self._counters.add(f"controlnet_{kind}_rows", len(chosen))
        return total


def _rows_wanting(rows: Sequence[_Row], kind: ControlType) -> list[tuple[int, Control]]:
    chosen = []
    for number, row in enumerate(rows):
        control = row.state.controls.get(kind)
        if control is not None and control.active(row.state.step, row.state.steps):
            chosen.append((number, control))
    return chosen


def _take(tensor: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    return tensor if len(index) == tensor.shape[0] else tensor[index]


def _spread(residual: torch.Tensor, scales: torch.Tensor, index: torch.Tensor, rows: int) -> torch.Tensor:
    """Scale in float32 as the stock product with a Python float does, round, and give the other rows zeros."""
    scaled = (residual * scales).to(residual.dtype)
    if len(index) == rows:
        return scaled
    return scaled.new_zeros((rows, *scaled.shape[1:])).index_copy_(0, index, scaled)


def _sum(total: _Residuals, more: Sequence[torch.Tensor]) -> _Residuals:
    down = [a + b for a, b in zip(total.down, more[:-1], strict=True)]
    return _Residuals(down=down, mid=total.mid + more[-1])


def _conditioning(rows: Sequence[_Row]) -> dict[str, torch.Tensor]:
    names = rows[0].state.conditioning.keys()
    return {
        name: torch.cat([row.state.row(row.state.conditioning[name], positive=row.positive) for row in rows])
        for name in names
    }


def _reference(rows: Sequence[_Row]) -> ReferenceRows | None:
    """Tokens and scales of every row; None when no row has a reference.

    Rows with fewer references than others have their tokens several times over, which changes no mean over them.
    """
    given = [row.state.reference_tokens for row in rows if row.state.reference_tokens is not None]
    if not given:
        return None
    length = math.lcm(*(own.shape[1] for own in given))
    sample = given[0]
    blank = sample.new_zeros((1, length, sample.shape[2]))
    tokens, scales = [], []
    for row in rows:
        own = row.state.reference_tokens
        if own is None:
            tokens.append(blank)
        else:
            tokens.append(row.state.row(own, positive=row.positive).repeat(1, length // own.shape[1], 1))
        scales.append(0.0 if own is None else row.state.reference_scale)
    return ReferenceRows(
        tokens=torch.cat(tokens),
        scales=torch.tensor(scales, dtype=torch.float32, device=sample.device).view(-1, 1, 1),
    )


def _guide(
    noise: torch.Tensor, states: Sequence[StableDiffusionState], guided: Sequence[StableDiffusionState]
) -> list[torch.Tensor]:
    """Classifier-free guidance (arXiv 2207.12598) where a request uses it."""
    unconditional: dict[int, Any] = {id(state): noise[i : i + 1] for i, state in enumerate(guided)}
    predictions = []
    for i, state in enumerate(states, start=len(guided)):
        conditional = noise[i : i + 1]
        blank = unconditional.get(id(state))
        if blank is not None:
            conditional = blank + state.guidance_scale * (conditional - blank)
        predictions.append(conditional)
    return predictions
