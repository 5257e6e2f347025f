"""Calls the UNet: compiled for the shapes that were warmed up, eager for every other, so nothing compiles under load.

Compiling takes minutes, and a C compiler with Python's headers on a GPU: it goes on in the background while requests
run eager, and what it made takes over when all of it is done. Where it fails, everything stays eager.

A compiled graph holds for one number of rows, one latent shape, one length of text, one reference a row, with or
without ControlNet residuals. Rows are padded up to a warmed-up number (by repeating the first; the extra outputs are
dropped), and a reference is always passed (zeros at scale 0). CUDA graphs (mode "reduce-overhead") keep their state per
thread and reuse their output memory, which does not go with an engine thread whose batch changes at every step: the
default mode is used.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch

from runners.diffusion.families.stable_diffusion.attention import ReferenceRows
from runners.diffusion.families.stable_diffusion.deep_features import UNetRows, full_pass, shallow_pass
from runners.diffusion.families.stable_diffusion.precision import full_precision
from runners.errors import is_device_lost, is_out_of_memory

logger = logging.getLogger(__name__)

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
        self._unet, self._dtype = unet, next(unet.parameters()).dtype
        self._compiled = compile_with(unet) if compile_with else None
        self._row_counts = sorted({*(n for n in ROW_COUNTS if n < max_rows), max_rows})
        self._reference_shape = reference_shape
        self._warm: set[tuple[tuple[int, ...], bool]] = set()
        self._warm_tokens = 0
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
        instead: Any = None,
    ) -> torch.Tensor:
        """Predicted noise (rows, 4, h, w) from samples (rows, 9, h, w).

        `conditioning` has "encoder_hidden_states" and whatever else the model takes as added conditions, by rows;
        `down` and `mid` are ControlNet residuals of the skip connections and of the middle block. `instead` of the
        UNet another one with the same inputs runs, which is not compiled.
        """
        rows = sample.shape[0]
        target = next((n for n in self._row_counts if n >= rows), rows)
        unet, as_held = instead or self._unet, sample.dtype == self._dtype
        warm = instead is None and as_held and (reference is None or reference.masks is None)
        warm = warm and ((target, *sample.shape[1:]), down is not None) in self._warm
        warm = warm and conditioning[_TEXT].shape[1] == self._warm_tokens
        warm = warm and (reference is None or reference.tokens.shape[1:] == self._reference_shape)
        self.forwards["compiled" if warm else "eager"] += 1
        if not warm:
            with nullcontext() if as_held else full_precision(unet):
                return _call(unet, sample, timesteps, conditioning, reference, down, mid)
        try:
            with torch.compiler.set_stance("eager_on_recompile"):
                return self._run_compiled(target, sample, timesteps, conditioning, reference, down, mid)
        except Exception as error:
            if is_out_of_memory(error) or is_device_lost(error):
                raise
            self._give_up(error)
            return _call(self._unet, sample, timesteps, conditioning, reference, down, mid)

    def run_full(
        self, rows: UNetRows, layers: Sequence[int], instead: Any = None
    ) -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
        """Eager: the predicted noise, and what shallow passes of so many layers take."""
        self.forwards["eager"] += 1
        unet = instead or self._unet
        with nullcontext() if rows.sample.dtype == self._dtype else full_precision(unet):
            return full_pass(unet, rows, layers)

    def run_shallow(self, rows: UNetRows, deep: torch.Tensor, layers: int, instead: Any = None) -> torch.Tensor:
        """Eager: the predicted noise, by the last layers alone."""
        self.forwards["eager"] += 1
        unet = instead or self._unet
        with nullcontext() if rows.sample.dtype == self._dtype else full_precision(unet):
            return shallow_pass(unet, rows, deep, layers)

    def _run_compiled(
        self,
        target: int,
        sample: torch.Tensor,
        timesteps: torch.Tensor,
        conditioning: Mapping[str, torch.Tensor],
        reference: ReferenceRows | None,
        down: list[torch.Tensor] | None,
        mid: torch.Tensor | None,
    ) -> torch.Tensor:
        rows = sample.shape[0]
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

        `residuals` gives zeros of the ControlNets' (down, mid) for a number of rows; None without ControlNets. One that
        fails is told in the log, and the UNet runs eager as before.
        """
        try:
            warm = self._compile_all(sample, conditioning, residuals)
        except Exception as error:
            self._give_up(error)
            return
        self._warm_tokens = conditioning[_TEXT].shape[1]
        self._warm = warm
        logger.info("the UNet is compiled for %d shapes and takes over", len(warm))

    def _give_up(self, error: Exception) -> None:
        self._compiled, self._warm = None, set()
        cause = str(error).strip().partition("\n")[0]
        logger.warning("torch.compile does not work here, the UNet runs eager (%s: %s)", type(error).__name__, cause)

    def _compile_all(
        self, sample: torch.Tensor, conditioning: Mapping[str, torch.Tensor], residuals: Callable[[int], Any] | None
    ) -> set[tuple[tuple[int, ...], bool]]:
        """What is compiled in the end: rows, channels, height and width, and "with residuals"."""
        warm: set[tuple[tuple[int, ...], bool]] = set()
        for rows in self._row_counts if self._compiled is not None else ():
            for controlled in (False, True) if residuals else (False,):
                down, mid = residuals(rows) if controlled and residuals else (None, None)
                many = _pad(sample, rows - 1)
                text = {name: _pad(tensor, rows - 1) for name, tensor in conditioning.items()}
                timesteps = torch.zeros(rows, dtype=torch.int64, device=sample.device)
                _call(self._compiled, many, timesteps, text, self._pad_reference(None, many, 0), down, mid)
                warm.add((tuple(many.shape), controlled))
        return warm

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


def warm_up_in_background(compile_shapes: Callable[[], None]) -> None:
    """For `build_family`: the family serves at once, eager."""
    threading.Thread(target=compile_shapes, name="diffusion-warm-up", daemon=True).start()


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
