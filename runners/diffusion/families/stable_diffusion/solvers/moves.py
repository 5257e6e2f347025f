"""What a solver works on: one request's place in its denoising, and where a step takes it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import torch

Past: TypeAlias = tuple[torch.Tensor, ...]
"""What a multistep solver remembers of earlier steps, each (1, 4, h, w); never changed in place."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """Before a step.

    Attributes:
        latents, prediction: (1, 4, h, w), the latter what the model made of them.
        past: empty at the first step.
        noise: what this step adds, (1, 4, h, w); None for a solver that adds none.
    """

    latents: torch.Tensor
    prediction: torch.Tensor
    past: Past = ()
    noise: torch.Tensor | None = None


def new_noise(places: Sequence[Place]) -> list[torch.Tensor]:
    """What the step adds to each of them, all of which have some."""
    noise = [place.noise for place in places if place.noise is not None]
    assert len(noise) == len(places)
    return noise


class SolverStep(Protocol):
    """One step's numbers, computed once per request on the CPU.

    Requests whose steps are of one `form` move together: `move` gives each one's latents and past, in order.
    """

    @property
    def form(self) -> Hashable: ...

    def move(self, steps: Sequence[Any], places: Sequence[Place]) -> list[tuple[torch.Tensor, Past]]:
        """`steps` are all of the form of this one, which is among them."""
        ...


def move_together(steps: Sequence[SolverStep], places: Sequence[Place]) -> list[tuple[torch.Tensor, Past]]:
    """Where each request's step takes it, one update per form; changes nothing that it is given."""
    forms: dict[Hashable, list[int]] = {}
    for number, step in enumerate(steps):
        forms.setdefault((type(step), step.form), []).append(number)
    moved: dict[int, tuple[torch.Tensor, Past]] = {}
    for numbers in forms.values():
        alike = [steps[number] for number in numbers]
        moved |= zip(numbers, alike[0].move(alike, [places[number] for number in numbers]), strict=True)
    return [moved[number] for number in range(len(steps))]
