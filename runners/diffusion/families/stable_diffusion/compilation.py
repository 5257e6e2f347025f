"""Calls the UNet: compiled for the shapes that were warmed up, eager for every other, so nothing compiles under load.

A compiled graph holds for one number of rows, one latent shape, one length of text, one reference a row, with or
without ControlNet residuals. Rows are padded up to a warmed-up number (by repeating the first; the extra outputs are
dropped), and a reference is always passed (zeros at scale 0). CUDA graphs (mode "reduce-overhead") keep their state per
thread and reuse their output memory, which does not go with an engine thread whose batch changes at every step: the
default mode is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from runners.diffusion.families.stable_diffusion.attention import ReferenceRows

ROW_COUNTS = (1, 2, 4, 6, 8, 12, 16)
_TEXT = "encoder_hidden_states"


class RowRunner:
    """The UNet as a function of rows.

    Without `compile_with` (torch.compile, configured) everything runs eager. Batches up to `max_rows` are warmed up;
    `reference_shape` is tokens and channels of the IP-Adapter, None without one.
    """

    def __init__(
        self,
        unet: Any,
        *,
        compile_with: Callable[[Any], Callable[..., Any]] | None,
        max_rows: int,
        reference_shape: tuple[int, int] | None,
    ) -> None:
        self._unet = unet
        self._compiled = compile_with(unet) if compile_with else None
        self._row_counts = sorted({*(n for n in ROW_COUNTS if n < max_rows), max_rows})
        self._reference_shape = reference_shape
        self._warm: set[tuple[tuple[int, ...], bool]] = set()
        self._warm_tokens = 0
        self.plain_weights = True
        self.forwards = {"compiled": 0, "eager": 0}

    @property
    def warm_shapes(self) -> frozenset[tuple[tuple[int, ...], bool]]:
        """(rows, channels, h, w) and "with residuals" of every compiled graph."""
        return frozenset(self._warm)

    def run(
        self,
        *,
        sample: torch.Tensor,
        timesteps: torch.Tensor,
        conditioning: Mapping[str, torch.Tensor],
        reference: ReferenceRows | None,
        down: list[torch.Tensor] | None,
        mid: torch.Tensor | None,
    ) -> torch.Tensor:
        """Predicted noise (rows, 4, h, w) from samples (rows, 9, h, w).

        `conditioning` has "encoder_hidden_states" and whatever else the model takes as added conditions, by rows;
        `down` and `mid` are ControlNet residuals of the skip connections and of the middle block.
        """
        rows = sample.shape[0]
        target = next((n for n in self._row_counts if n >= rows), rows)
        warm = self.plain_weights and ((target, *sample.shape[1:]), down is not None) in self._warm
        warm = warm and conditioning[_TEXT].shape[1] == self._warm_tokens
        warm = warm and (reference is None or reference.tokens.shape[1:] == self._reference_shape)
        self.forwards["compiled" if warm else "eager"] += 1
        if not warm:
            return _call(self._unet, sample, timesteps, conditioning, reference, down, mid)
        spare = target - rows
        padded = {name: _pad(tensor, spare) for name, tensor in conditioning.items()}
        noise = _call(
            self._compiled,
            _pad(sample, spare),
            _pad(timesteps, spare),
            padded,
            self._pad_reference(reference, sample, spare),
            None if down is None else [_pad(tensor, spare) for tensor in down],
            None if mid is None else _pad(mid, spare),
        )
        return noise[:rows]

    def warm_up(
        self, sample: torch.Tensor, conditioning: Mapping[str, torch.Tensor], residuals: Callable[[int], Any] | None
    ) -> None:
        """Compile for every row count at the latent shape of one row of sample (1, 9, h, w) and conditioning.

        `residuals` gives zeros of the ControlNets' (down, mid) for a number of rows; None without ControlNets.
        """
        self._warm_tokens = conditioning[_TEXT].shape[1]
        for rows in self._row_counts if self._compiled is not None else ():
            for controlled in (False, True) if residuals else (False,):
                down, mid = residuals(rows) if controlled and residuals else (None, None)
                many = _pad(sample, rows - 1)
                text = {name: _pad(tensor, rows - 1) for name, tensor in conditioning.items()}
                timesteps = torch.zeros(rows, dtype=torch.int64, device=sample.device)
                _call(self._compiled, many, timesteps, text, self._pad_reference(None, many, 0), down, mid)
                self._warm.add((tuple(many.shape), controlled))

    def _pad_reference(self, reference: ReferenceRows | None, sample: torch.Tensor, spare: int) -> ReferenceRows | None:
        if reference is not None:
            return ReferenceRows(tokens=_pad(reference.tokens, spare), scales=_pad(reference.scales, spare))
        if self._reference_shape is None:
            return None
        rows = sample.shape[0] + spare
        return ReferenceRows(
            tokens=sample.new_zeros((rows, *self._reference_shape)),
            scales=torch.zeros((rows, 1, 1), dtype=torch.float32, device=sample.device),
        )


def _pad(tensor: torch.Tensor, spare: int) -> torch.Tensor:
    return tensor if spare == 0 else torch.cat([tensor, tensor[:1].expand(spare, *tensor.shape[1:])])


def _call(
    unet: Any,
    sample: torch.Tensor,
    timesteps: torch.Tensor,
    conditioning: Mapping[str, torch.Tensor],
    reference: ReferenceRows | None,
    down: list[torch.Tensor] | None,
    mid: torch.Tensor | None,
) -> torch.Tensor:
    added = {name: tensor for name, tensor in conditioning.items() if name != _TEXT}
    noise: torch.Tensor = unet(
        sample,
        timesteps,
        encoder_hidden_states=conditioning[_TEXT],
        cross_attention_kwargs=None if reference is None else {"ip_hidden_states": reference},
        added_cond_kwargs=added or None,
        down_block_additional_residuals=down,
        mid_block_additional_residual=mid,
        return_dict=False,
    )[0]
    return noise
