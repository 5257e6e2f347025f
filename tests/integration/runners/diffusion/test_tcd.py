"""TCD's arithmetic, several requests in one update, against the scheduler of diffusers for each alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from diffusers import TCDScheduler

from composition.request import Speed
from runners.diffusion.families.stable_diffusion.scheduler import build_schedule
from runners.diffusion.families.stable_diffusion.solvers.moves import Place, move_together

pytestmark = pytest.mark.integration

SHAPE = (1, 4, 8, 8)
ROWS = ((4, 1.0), (3, 1.0), (4, 0.5), (2, 1.0), (1, 1.0))
"""Steps and strength of the requests that take their steps together."""


def drawn(seed: int, count: int, dtype: torch.dtype) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(SHAPE, generator=generator, dtype=dtype) for _ in range(count)]


def stock(config: dict[str, object], row: int, dtype: torch.dtype) -> Iterator[torch.Tensor]:
    steps, strength = ROWS[row]
    scheduler = TCDScheduler.from_config(config)
    scheduler.set_timesteps(steps)
    start = steps - int(steps * strength)
    scheduler.set_begin_index(start)
    generator = torch.Generator().manual_seed(100 + row)
    (latents,), predictions = drawn(row, 1, dtype), drawn(50 + row, steps, dtype)
    for index, timestep in enumerate(scheduler.timesteps[start:]):
        latents = scheduler.step(
            predictions[index], timestep, latents, eta=0.3, generator=generator, return_dict=False
        )[0]
        yield latents


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_a_batch_in_one_update_is_bit_equal_to_each_alone(prediction_type: str, dtype: torch.dtype) -> None:
    config = {
        "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "prediction_type": prediction_type,
    }  # fmt: skip
    schedules = [
        build_schedule(
            config,
            num_inference_steps=steps,
            strength=strength,
            speed=Speed.TURBO,
            device=torch.device("cpu"),
            dtype=dtype,
        )
        for steps, strength in ROWS
    ]
    latents = {row: drawn(row, 1, dtype)[0] for row in range(len(ROWS))}
    predictions = [drawn(50 + row, steps, dtype) for row, (steps, _) in enumerate(ROWS)]
    noise = [drawn(100 + row, steps, dtype) for row, (steps, _) in enumerate(ROWS)]
    expected = [stock(config, row, dtype) for row in range(len(ROWS))]
    for index in range(4):
        going = [row for row, schedule in enumerate(schedules) if index < len(schedule.timesteps)]
        steps = [schedules[row].steps[index] for row in going]
        places = [
            Place(
                latents=latents[row],
                prediction=predictions[row][index],
                noise=None if step.last else noise[row][index],
            )
            for row, step in zip(going, steps, strict=True)
        ]
        for row, (after, past) in zip(going, move_together(steps, places), strict=True):
            assert torch.equal(after, next(expected[row])), (row, index)
            assert past == ()
            latents[row] = after
    assert all(next(left, None) is None for left in expected)
