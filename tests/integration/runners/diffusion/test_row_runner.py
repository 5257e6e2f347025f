"""The UNet runs in the format of its rows, and its forwards are counted."""

from __future__ import annotations

import pytest
import torch

from runners.diffusion.families.stable_diffusion.compilation.compiler import BlockCompiler
from runners.diffusion.families.stable_diffusion.deep_features import UNetRows
from runners.diffusion.families.stable_diffusion.row_runner import RowRunner

pytestmark = pytest.mark.integration


class Echo(torch.nn.Module):
    """Answers with what it is given; one weight says in which numbers it computes."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.bfloat16))
        self.ran_in = []

    def forward(self, sample, timesteps, **conditions):
        self.ran_in.append(self.weight.dtype)
        return (sample[:, :4],)


def rows(dtype):
    return UNetRows(
        sample=torch.ones(3, 9, 8, 8, dtype=dtype),
        timesteps=torch.zeros(3),
        conditioning={"encoder_hidden_states": torch.zeros(3, 77, 4)},
        references=(),
    )


def test_a_forward_is_counted_and_runs_in_the_format_of_its_rows_whichever_unet_it_is_of():
    compiler, own, other = BlockCompiler(), Echo(), Echo()
    runner = RowRunner(own, compiler)
    assert runner.run(rows(torch.bfloat16)).shape == (3, 4, 8, 8)
    runner.run(rows(torch.float32))
    runner.run(rows(torch.float32), instead=other)
    runner.run(rows(torch.bfloat16))
    assert own.ran_in == [torch.bfloat16, torch.float32, torch.bfloat16]
    assert other.ran_in == [torch.float32]
    assert own.weight.dtype is other.weight.dtype is torch.bfloat16
    assert compiler.forwards == {"compiled": 0, "partly": 0, "eager": 4}
