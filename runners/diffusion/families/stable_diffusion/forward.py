"""One forward of the UNet for several requests: ControlNets, UNet, guidance. Nothing in here waits for the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from runners.diffusion.engine.counters import Counters
from runners.diffusion.families.stable_diffusion.controlnets import ControlNetPool
from runners.diffusion.families.stable_diffusion.deep_features import UNetRows
from runners.diffusion.families.stable_diffusion.layout import Layout, Layouts, spread, taken
from runners.diffusion.families.stable_diffusion.precision import matching
from runners.diffusion.families.stable_diffusion.row_runner import RowRunner
from runners.diffusion.families.stable_diffusion.state import DeepFeatures, Prediction, StableDiffusionState


@dataclass(frozen=True, kw_only=True, eq=False)
class _Residuals:
    """What the ControlNets add to the UNet's skip connections and middle block, for every row."""

    down: list[torch.Tensor]
    mid: torch.Tensor


class BatchForward:
    """Predicts the noise of the next step for requests of one bucket."""

    def __init__(self, unet: RowRunner, controlnets: ControlNetPool, counters: Counters) -> None:
        self._unet, self._controlnets, self._counters = unet, controlnets, counters
        self.layouts = Layouts()

    def predict(self, states: Sequence[StableDiffusionState]) -> list[Prediction]:
        """What each request's next step takes, in order; changes no state."""
        layout = self.layouts.of(states)
        # Inputs are scaled by no scheduler in use (DPM-Solver++ and LCM leave them as they are).
        latents = torch.cat(layout.of_each([state.latents for state in states]))
        rows = UNetRows(
            sample=latents if layout.inpainting is None else torch.cat([latents, layout.inpainting], dim=1),
            timesteps=torch.stack(layout.of_each([state.timestep for state in states])),
            conditioning=layout.conditioning,
            references=layout.references,
            views=layout.views,
        )
        self._counters.add("unet_forwards")
        self._counters.add("unet_rows", layout.rows)
        if states[0].bucket.shallow:
            return self._shallow(states, layout, rows)
        return self._full(states, layout, rows, latents)

    def _full(
        self, states: Sequence[StableDiffusionState], layout: Layout, rows: UNetRows, latents: torch.Tensor
    ) -> list[Prediction]:
        residuals = self._control(layout, latents, rows.timesteps)
        if residuals is not None:
            rows = replace(rows, down=residuals.down, mid=residuals.mid)
        leaving = {place: state for place, state in enumerate(states) if state.leaves_features}
        if not leaving:
            noise = self._unet.run(rows, instead=states[0].unet)
            return [Prediction(noise=one) for one in _guide(noise, states, layout.guided)]
        wanted = sorted({state.economy.layers for state in leaving.values()})
        noise, features = self._unet.run_full(rows, wanted, instead=states[0].unet)
        deep = {
            place: DeepFeatures(
                step=state.step,
                workload=state.workload,
                hidden=layout.rows_of(place, features[state.economy.layers]),
                residuals=[layout.rows_of(place, one) for one in (rows.down or ())[: state.economy.layers]]
                if state.acting_controls
                else (),
            )
            for place, state in leaving.items()
        }
        guided = _guide(noise, states, layout.guided)
        return [Prediction(noise=one, deep=deep.get(place)) for place, one in enumerate(guided)]

    def _shallow(self, states: Sequence[StableDiffusionState], layout: Layout, rows: UNetRows) -> list[Prediction]:
        """The last layers only; ControlNets do not run: what they gave at the full pass goes on acting."""
        layers = states[0].bucket.shallow
        own = [state.deep for state in states if state.deep is not None]
        assert len(own) == len(states)
        hidden = layout.in_rows(states, [deep.hidden for deep in own])
        some = next((deep.residuals for deep in own if deep.residuals), ())
        down = [
            layout.in_rows(
                states, [deep.residuals[k] if deep.residuals else one.new_zeros((1, *one.shape[1:])) for deep in own]
            )
            for k, one in enumerate(some)
        ]
        noise = self._unet.run_shallow(replace(rows, down=down or None), hidden, layers, instead=states[0].unet)
        self._counters.add("unet_shallow_forwards")
        self._counters.add("unet_shallow_rows", layout.rows)
        return [Prediction(noise=one) for one in _guide(noise, states, layout.guided)]

    def _control(self, layout: Layout, latents: torch.Tensor, timesteps: torch.Tensor) -> _Residuals | None:
        """Each ControlNet on just the rows that want it at this step; None when no row wants any."""
        self._controlnets.use(layout.controls)
        total: _Residuals | None = None
        for kind, wanting in layout.controls.items():
            network = self._controlnets.get(kind, needed=len(layout.controls))
            with matching(network, latents):
                down, mid = network(
                    taken(latents, wanting.numbers),
                    taken(timesteps, wanting.numbers),
                    encoder_hidden_states=wanting.text,
                    added_cond_kwargs=wanting.added,
                    controlnet_cond=wanting.images,
                    return_dict=False,
                )
            # Scaled in float32 as the stock product with a Python float is, then rounded.
            scaled = [(residual * wanting.scales).to(residual.dtype) for residual in (*down, mid)]
            own = [spread(residual, wanting.numbers, layout.rows) for residual in scaled]
            total = _Residuals(down=own[:-1], mid=own[-1]) if total is None else _sum(total, own)
            self._counters.add(f"controlnet_{kind}_forwards")
            self._counters.add(f"controlnet_{kind}_rows", len(wanting.numbers))
        return total


def _sum(total: _Residuals, more: Sequence[torch.Tensor]) -> _Residuals:
    down = [a + b for a, b in zip(total.down, more[:-1], strict=True)]
    return _Residuals(down=down, mid=total.mid + more[-1])


def _guide(noise: torch.Tensor, states: Sequence[StableDiffusionState], guided: Sequence[int]) -> list[torch.Tensor]:
    """Classifier-free guidance (arXiv 2207.12598) where a request uses it, for all of them at once."""
    rows = noise.chunk(len(noise))
    blank, predictions = rows[: len(guided)], list(rows[len(guided) :])
    if not guided:
        return predictions
    conditional = [predictions[place] for place in guided]
    scales = [states[place].guidance_scale for place in guided]
    apart = torch._foreach_mul(torch._foreach_sub(conditional, blank), scales)
    for place, towards, plain in zip(guided, torch._foreach_add(blank, apart), conditional, strict=True):
        predictions[place] = _rescaled(towards, plain, states[place].guidance_rescale)
    return predictions


def _rescaled(guided: torch.Tensor, conditional: torch.Tensor, share: float) -> torch.Tensor:
    """The guided prediction with this share of the conditional one's spread (arXiv 2305.08891, section 3.4)."""
    if share == 0.0:
        return guided
    axes = list(range(1, guided.ndim))
    rescaled = guided * (conditional.std(dim=axes, keepdim=True) / guided.std(dim=axes, keepdim=True))
    return share * rescaled + (1 - share) * guided
