"""Calls the UNet: compiled for the shapes that were warmed up, eager for every other, so nothing compiles under load.

Compiling takes minutes, and a C compiler with Python's headers on a GPU: it goes on in the background while requests
run eager, and what it made takes over when all of it is done. Where it fails, everything stays eager.

A compiled graph holds for one number of rows, one latent shape, one length of text, one reference a row, with or
without ControlNet residuals. Rows are padded up to a warmed-up number (by repeating the first; the extra outputs are
dropped), and a reference is always passed (zeros at scale 0). Views of one thing run eager. CUDA graphs (mode
"reduce-overhead") keep their state per thread and reuse their output memory, which does not go with an engine thread
whose batch changes at every step: the default mode is used.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch

from runners.diffusion.families.stable_diffusion.attention import ReferenceRows
from runners.diffusion.families.stable_diffusion.deep_features import UNetRows, full_pass, shallow_pass
from runners.diffusion.families.stable_diffusion.precision import full_precision
from runners.diffusion.families.stable_diffusion.text import TEXT
from runners.errors import is_device_lost, is_out_of_memory

logger = logging.getLogger(__name__)

ROW_COUNTS = (1, 2, 4, 6, 8, 12, 16)


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

    def run(self, rows: UNetRows, instead: Any = None) -> torch.Tensor:
        """Predicted noise (rows, 4, h, w). `instead` of the UNet another one of the same inputs runs, not compiled."""
        count = len(rows.sample)
        target = next((n for n in self._row_counts if n >= count), count)
        unet, as_held = instead or self._unet, rows.sample.dtype == self._dtype
        warm = instead is None and as_held and rows.views is None and self._takes(rows.references)
        warm = warm and ((target, *rows.sample.shape[1:]), rows.down is not None) in self._warm
        warm = warm and rows.text.shape[1] == self._warm_tokens
        self.forwards["compiled" if warm else "eager"] += 1
        if not warm:
            with nullcontext() if as_held else full_precision(unet):
                return _call(unet, rows)
        try:
            with torch.compiler.set_stance("eager_on_recompile"):
                return _call(self._compiled, self._padded(rows, target - count))[:count]
        except Exception as error:
            if is_out_of_memory(error) or is_device_lost(error):
                raise
            self._give_up(error)
            return _call(self._unet, rows)

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

    def _padded(self, rows: UNetRows, spare: int) -> UNetRows:
        return UNetRows(
            sample=_pad(rows.sample, spare),
            timesteps=_pad(rows.timesteps, spare),
            conditioning={name: _pad(tensor, spare) for name, tensor in rows.conditioning.items()},
            references=self._pad_references(rows.references, rows.sample, spare),
            down=None if rows.down is None else [_pad(tensor, spare) for tensor in rows.down],
            mid=None if rows.mid is None else _pad(rows.mid, spare),
        )

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
        self._warm_tokens = conditioning[TEXT].shape[1]
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
                one = UNetRows(
                    sample=sample,
                    timesteps=torch.zeros(1, dtype=torch.int64, device=sample.device),
                    conditioning=conditioning,
                    references=(),
                )
                many = replace(self._padded(one, rows - 1), down=down, mid=mid)
                _call(self._compiled, many)
                warm.add((tuple(many.sample.shape), controlled))
        return warm

    def _takes(self, references: Sequence[ReferenceRows]) -> bool:
        """Whether the graph has a place for them: for one, everywhere, of one image."""
        shapes = [one.tokens.shape[1:] for one in references if one.masks is None]
        return len(shapes) == len(references) and shapes in ([], [self._reference_shape])

    def _pad_references(
        self, references: Sequence[ReferenceRows], sample: torch.Tensor, spare: int
    ) -> tuple[ReferenceRows, ...]:
        if references or self._reference_shape is None:
            return tuple(
                ReferenceRows(tokens=_pad(one.tokens, spare), scales=_pad(one.scales, spare)) for one in references
            )
        rows = sample.shape[0] + spare
        none = ReferenceRows(
            tokens=sample.new_zeros((rows, *self._reference_shape)),
            scales=torch.zeros((rows, 1, 1), dtype=torch.float32, device=sample.device),
        )
        return (none,)


def warm_up_in_background(compile_shapes: Callable[[], None]) -> None:
    """For `build_family`: the family serves at once, eager."""
    threading.Thread(target=compile_shapes, name="diffusion-warm-up", daemon=True).start()


def _pad(tensor: torch.Tensor, spare: int) -> torch.Tensor:
    return tensor if spare == 0 else torch.cat([tensor, tensor[:1].expand(spare, *tensor.shape[1:])])


def _call(unet: Any, rows: UNetRows) -> torch.Tensor:
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
