"""The UNet as a function of rows, in the number format that they have; each forward is counted by how it ran."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from runners.diffusion.families.stable_diffusion.compilation.compiler import BlockCompiler
from runners.diffusion.families.stable_diffusion.deep_features import UNetRows, full_pass, shallow_pass
from runners.diffusion.families.stable_diffusion.precision import full_precision

UNET = "unet"
"""What its blocks are counted by."""


class RowRunner:
    """`instead` of the UNet another one of the same inputs may run: one that has adapters on it."""

    def __init__(self, unet: Any, compiler: BlockCompiler) -> None:
        self._unet, self._dtype, self._compiler = unet, next(unet.parameters()).dtype, compiler

    def run(self, rows: UNetRows, instead: Any = None) -> torch.Tensor:
        """Predicted noise (rows, 4, h, w)."""
        with self._running(rows, instead) as unet:
            noise: torch.Tensor = unet(
                rows.sample,
                rows.timesteps,
                encoder_hidden_states=rows.text,
                cross_attention_kwargs=rows.attention,
                added_cond_kwargs=rows.added or None,
                down_block_additional_residuals=rows.down,
                mid_block_additional_residual=rows.mid,
                return_dict=False,
            )[0]
        return noise

    def run_full(
        self, rows: UNetRows, layers: Sequence[int], instead: Any = None
    ) -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
        """The predicted noise, and what shallow passes of so many layers take."""
        with self._running(rows, instead) as unet:
            return full_pass(unet, rows, layers)

    def run_shallow(self, rows: UNetRows, deep: torch.Tensor, layers: int, instead: Any = None) -> torch.Tensor:
        """The predicted noise, by the last layers alone."""
        with self._running(rows, instead) as unet:
            return shallow_pass(unet, rows, deep, layers)

    @contextmanager
    def _running(self, rows: UNetRows, instead: Any) -> Iterator[Any]:
        unet = instead or self._unet
        as_held = rows.sample.dtype == self._dtype
        with nullcontext() if as_held else full_precision(unet), self._compiler.forward(UNET):
            yield unet
