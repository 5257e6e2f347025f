"""Step costs that are expected of cards nobody measured yet: counted work over cited speed, times a guess.

Counted: floating point operations of Stable Diffusion 1.5 at 512 px (docs/performance.md). Cited: speed and the gain
of batches (docs/your-card.md). Guessed: the share of a card's speed that these networks reach.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.capacity.costs import Costs, ShapeCosts

REACHED = 0.4
"""Of a card's speed: the middle of what docs/your-card.md expects. A measured file replaces it."""
UNET, CONTROLNET = 0.803, 0.283
"""TFLOP of one row of a forward at 512 px."""
ENCODE = 1.117 + 2 * 0.013
DECODE = 2.515 + 0.162
"""The autoencoder, the text encoder, the safety checker."""
AROUND = 1.066 + 0.972
"""GroundingDINO and SAM, on a photo that no cache has seen."""
REFERENCE = 0.335
GAIN_ROWS = 32
"""Of the batch of 16 guided images that the cited gains are of."""
SHAPES = {"square": (64, 64), "landscape": (48, 64), "portrait": (64, 48)}
"""Latents of photos 1:1, 4:3 and 3:2, and 3:4 and 2:3 at a long side of 512 px."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """`tflops`: dense float16 with float32 accumulation. `gain`: images per second in a batch of 16 over one alone."""

    tflops: float
    gain: float


CARDS: Mapping[str, Card] = {
    "RTX 3060": Card(tflops=25, gain=1.19),
    "RTX 3090": Card(tflops=71, gain=1.19),
    "RTX 4090": Card(tflops=165, gain=1.24),
    "A100": Card(tflops=312, gain=1.55),
}
"""The RTX 3060's gain is taken from the RTX 3090: none is published for it."""


def expected(name: str) -> Costs:
    """Step costs expected of a card; work is taken to grow with the latents' area.

    Raises:
        KeyError: no such card.
    """
    card = CARDS[name]

    def seconds(tflop: float) -> float:
        return tflop / (card.tflops * REACHED)

    def by_rows(tflop: float) -> dict[int, float]:
        one_image = seconds(2 * tflop)
        return {2: one_image, GAIN_ROWS: one_image * (GAIN_ROWS / 2) / card.gain}

    shapes = {}
    for shape, (height, width) in SHAPES.items():
        area = height * width / 64**2
        shapes[shape] = ShapeCosts(
            latent_size=(height, width),
            encode_s=seconds(ENCODE * area),
            decode_s=seconds(DECODE * area),
            unet_s=by_rows(UNET * area),
            controlnet_s=by_rows(CONTROLNET * area),
        )
    return Costs(
        about=f"expected of {name}: counted work over {card.tflops:g} TFLOP/s, of which {REACHED:.0%} are reached",
        shapes=shapes,
        around_s=seconds(AROUND),
        reference_s=seconds(REFERENCE),
    )
