"""encode -> (predict, **advance**) x steps -> decode: the schedulers' arithmetic, for the whole batch in one update."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

import torch

from runners.diffusion.families.stable_diffusion.kept_latents import put_back
from runners.diffusion.families.stable_diffusion.solvers.moves import Past, Place, move_together
from runners.diffusion.families.stable_diffusion.state import Prediction, StableDiffusionState


def advance(states: Sequence[StableDiffusionState], predictions: Sequence[Prediction]) -> None:
    """Take the step that was predicted for each; a failure leaves all states as they were.

    Requests whose scheduler is a variant that no solver here has take it alone, by diffusers.
    """
    with ExitStack() as failing:
        moved: dict[int, tuple[torch.Tensor, Past]] = {}
        steps, places = {}, {}
        for number, (state, prediction) in enumerate(zip(states, predictions, strict=True)):
            schedule = state.schedule
            if schedule.steps is not None:
                steps[number] = schedule.steps[state.step]
                places[number] = Place(
                    latents=state.latents, prediction=prediction.noise, past=state.past, noise=state.next_noise
                )
                continue
            failing.enter_context(schedule.as_before_a_failure(state.generator))
            moved[number] = schedule.stock_step(prediction.noise, state.step, state.latents, state.generator), ()
        moved |= zip(steps, move_together(list(steps.values()), list(places.values())), strict=True)
        latents = _put_back(states, [moved[number][0] for number in range(len(states))])
    for number, state in enumerate(states):
        state.latents, state.past = latents[number], moved[number][1]
        state.deep = predictions[number].deep or state.deep
        state.step += 1
        if state.economy.every > 1:
            state.bucket = replace(state.bucket, shallow=state.shallow)


def _put_back(states: Sequence[StableDiffusionState], latents: list[torch.Tensor]) -> list[torch.Tensor]:
    """With the images of those whose UNet was not made for inpainting."""
    kept = {number: state.kept for number, state in enumerate(states) if state.kept is not None}
    if not kept:
        return latents
    shares = [states[n].schedule.noise_shares[states[n].step + 1 : states[n].step + 2] for n in kept]
    after = put_back(list(kept.values()), [latents[n] for n in kept], [share[0] if share else None for share in shares])
    held = dict(zip(kept, after, strict=True))
    return [held.get(number, own) for number, own in enumerate(latents)]
