"""What `config.quality` makes of a denoising: how much of it is computed anew at each step.

The figures are of docs/performance.md, which `python -m benchmarks.quality_dial` gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from composition.request import Quality


@dataclass(frozen=True, kw_only=True)
class Economy:
    """How one request saves.

    Attributes:
        every: of so many steps one computes all of the UNet, the others its last layers; 1: all steps compute all.
        layers: how many layers those compute, of the UNet's last up block.
        guidance_end: guidance ends after this fraction of the steps, or earlier where the service says so.
    """

    every: int = 1
    layers: int = 1
    guidance_end: float = 1.0


EXACT: Final = Economy()
ECONOMIES: Final[Mapping[Quality, Economy]] = {
    Quality.EXACT: EXACT,
    Quality.BALANCED: Economy(every=2),
    Quality.DRAFT: Economy(every=4, guidance_end=0.8),
}
