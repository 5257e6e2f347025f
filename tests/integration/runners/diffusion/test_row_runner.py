"""Which forwards of the UNet run compiled, as the statistics count them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from runners.diffusion.families.stable_diffusion.compilation import RowRunner
from runners.diffusion.families.stable_diffusion.deep_features import UNetRows

pytestmark = pytest.mark.integration


class Echo(torch.nn.Module):
    """Answers with what it is given; one weight says in which numbers it computes."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, sample, timesteps, **conditions):
        return (sample[:, :4],)


@pytest.fixture
def runner() -> RowRunner:
    """Warmed up for rows of 8 x 8 latents and a text of 77 tokens."""
    made = RowRunner(Echo(), compile_with=lambda unet: unet, max_rows=4, reference_shape=None)
    made.warm_up(torch.zeros(1, 9, 8, 8), {"encoder_hidden_states": torch.zeros(1, 77, 4)}, None)
    return made


def run(runner: RowRunner, *, rows: int = 3, side: int = 8, tokens: int = 77, instead: Any = None) -> torch.Size:
    given = UNetRows(
        sample=torch.ones(rows, 9, side, side),
        timesteps=torch.zeros(rows),
        conditioning={"encoder_hidden_states": torch.zeros(rows, tokens, 4)},
        references=(),
    )
    return runner.run(given, instead=instead).shape


def test_a_forward_is_counted_by_how_it_ran_and_the_warm_up_is_not(runner):
    assert runner.forwards == {"compiled": 0, "eager": 0}
    assert run(runner) == (3, 4, 8, 8)
    assert runner.forwards == {"compiled": 1, "eager": 0}
    run(runner, side=16)
    run(runner, tokens=154)
    run(runner, instead=Echo())
    assert runner.forwards == {"compiled": 1, "eager": 3}
