"""Which rows a batch has and what each of them brings that no step changes: put together once per batch composition.

Rows: the unconditional rows of all guided requests, then the conditional rows of all requests. A single guided
request thus has the stock pipeline's layout, and its arithmetic is the stock pipeline's bit for bit.

Nothing of this is uploaded: what is a number of a row is filled in on the device, and which rows a ControlNet takes is
known to the CPU alone.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import torch

from composition.controls import CONTROLS
from composition.request import ControlType
from runners.diffusion.families.stable_diffusion.attention import ReferenceRows, ViewRows
from runners.diffusion.families.stable_diffusion.state import Control, Reference, StableDiffusionState
from runners.diffusion.families.stable_diffusion.text import TEXT

_KEPT = 4
"""Batches that take turns, of other sizes or checkpoints."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ControlRows:
    """What one ControlNet gets.

    Attributes:
        numbers: of the rows that want it, rising.
        images: (n, 3, height, width).
        scales: float32 (n, 1, 1, 1).
        text: (n, tokens, channels).
        added: further conditions by name, each (n, ...); None without any.
    """

    numbers: tuple[int, ...]
    images: torch.Tensor
    scales: torch.Tensor
    text: torch.Tensor
    added: Mapping[str, torch.Tensor] | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Layout:
    """One batch's rows.

    Attributes:
        rows: how many.
        guided: the places among the requests of those that run with guidance; theirs are the first rows.
        conditioning: see `StableDiffusionState`, each (rows, ...).
        inpainting: (rows, 5, h, w); None for a UNet that was not made for inpainting.
        references: those that act, in the order in which what they give is added; empty when no row has one.
        views: None when no request is one of several views of a thing.
        controls: in the order of `CONTROLS`, those that act.
    """

    rows: int
    guided: tuple[int, ...]
    conditioning: Mapping[str, torch.Tensor]
    inpainting: torch.Tensor | None
    references: tuple[ReferenceRows, ...]
    views: ViewRows | None
    controls: Mapping[ControlType, ControlRows]

    def of_each(self, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """What each request has, by rows."""
        return [*(tensors[place] for place in self.guided), *tensors]

    def in_rows(self, states: Sequence[StableDiffusionState], tensors: Sequence[torch.Tensor]) -> torch.Tensor:
        """(rows, ...) of what each request has as (1 or 2, ...), the unconditional row first."""
        blank = [states[place].row(tensors[place], positive=False) for place in self.guided]
        own = [state.row(tensor, positive=True) for state, tensor in zip(states, tensors, strict=True)]
        return torch.cat([*blank, *own])

    def rows_of(self, place: int, tensor: torch.Tensor) -> torch.Tensor:
        """The reverse of `in_rows` for one request: (1 or 2, ...), in memory of its own."""
        numbers = [self.guided.index(place)] if place in self.guided else []
        return torch.cat([tensor[number : number + 1] for number in (*numbers, len(self.guided) + place)])


class Layouts:
    """Those of the last batches; one goes when a request of it has ended."""

    def __init__(self) -> None:
        self._kept: list[tuple[Sequence[tuple[weakref.ref[StableDiffusionState], Hashable]], Layout]] = []
        self.built = 0

    def of(self, states: Sequence[StableDiffusionState]) -> Layout:
        """That of a batch of one bucket, in this order."""
        key = [(weakref.ref(state), state.workload) for state in states]
        found = next((kept for kept in self._kept if kept[0] == key), None)
        if found is None:
            self._kept = [kept for kept in self._kept if all(_running(ref()) for ref, _ in kept[0])][1 - _KEPT :]
            self.built += 1
            found = key, _build(states)
            self._kept.append(found)
        return found[1]

    def drop(self) -> None:
        self._kept = []


@dataclass(frozen=True, kw_only=True, eq=False)
class _Row:
    state: StableDiffusionState
    positive: bool

    def own(self, rows: torch.Tensor) -> torch.Tensor:
        return self.state.row(rows, positive=self.positive)


def _running(state: StableDiffusionState | None) -> bool:
    return state is not None and not state.done


def _build(states: Sequence[StableDiffusionState]) -> Layout:
    guided = tuple(place for place, state in enumerate(states) if state.guided)
    rows = [_Row(state=states[place], positive=False) for place in guided]
    rows += [_Row(state=state, positive=True) for state in states]
    conditioning = {
        name: torch.cat([row.own(row.state.conditioning[name]) for row in rows]) for name in states[0].conditioning
    }
    # Requests of one bucket are of one checkpoint, so all have inpainting channels or none has.
    extra = [row.state.inpainting for row in rows if row.state.inpainting is not None]
    return Layout(
        rows=len(rows),
        guided=guided,
        conditioning=conditioning,
        inpainting=torch.cat(extra) if extra else None,
        references=_references(rows),
        views=_views(rows),
        controls={
            kind: _control_rows(wanting, conditioning)
            for kind in CONTROLS
            if (
                wanting := {
                    n: row.state.controls[kind] for n, row in enumerate(rows) if kind in row.state.acting_controls
                }
            )
        },
    )


def _control_rows(wanting: Mapping[int, Control], conditioning: Mapping[str, torch.Tensor]) -> ControlRows:
    numbers = tuple(wanting)
    images = torch.cat([control.image for control in wanting.values()])
    added = {name: taken(tensor, numbers) for name, tensor in conditioning.items()}
    text = added.pop(TEXT)
    return ControlRows(
        numbers=numbers,
        images=images,
        scales=_column([control.scale for control in wanting.values()], images.device, 4),
        text=text,
        added=added or None,
    )


def taken(tensor: torch.Tensor, numbers: Sequence[int]) -> torch.Tensor:
    """Some rows of a tensor, numbered in order."""
    if len(numbers) == tensor.shape[0]:
        return tensor
    return torch.cat([tensor[number : number + 1] for number in numbers])


def spread(tensor: torch.Tensor, numbers: Sequence[int], rows: int) -> torch.Tensor:
    """The reverse of `taken`: zeros in the other rows."""
    if len(numbers) == rows:
        return tensor
    places = {number: place for place, number in enumerate(numbers)}
    zeros = tensor.new_zeros((1, *tensor.shape[1:]))
    own = [tensor[places[row] : places[row] + 1] if row in places else zeros for row in range(rows)]
    return torch.cat(own)


def _column(numbers: Sequence[float], device: torch.device, axes: int) -> torch.Tensor:
    """float32 (n, 1, ...), filled in on the device."""
    shape = (1,) * axes
    return torch.cat([torch.full(shape, number, dtype=torch.float32, device=device) for number in numbers])


def _references(rows: Sequence[_Row]) -> tuple[ReferenceRows, ...]:
    """Of each row its first reference that acts at its step, then its second, as far as any row has one."""
    acting = [row.state.acting_references for row in rows]
    return tuple(
        _reference(rows, [own[place] if place < len(own) else None for own in acting])
        for place in range(max(map(len, acting)))
    )


def _views(rows: Sequence[_Row]) -> ViewRows | None:
    """Which rows see one another: with guidance the unconditional ones of a group, and the conditional ones."""
    members: dict[Hashable, list[int]] = {}
    for number, row in enumerate(rows):
        if row.state.group is not None:
            members.setdefault((id(row.state.group), row.positive), []).append(number)
    return ViewRows(groups=tuple(tuple(numbers) for numbers in members.values())) if members else None


def _reference(rows: Sequence[_Row], references: Sequence[Reference | None]) -> ReferenceRows:
    """Tokens, scales and masks of one reference of every row, of which at least one has it.

    Rows with fewer images than others have their tokens several times over, which changes no mean over them.
    """
    given = [reference.tokens for reference in references if reference is not None]
    length = math.lcm(*(own.shape[1] for own in given))
    sample = given[0]
    blank = sample.new_zeros((1, length, sample.shape[2]))
    tokens = [
        blank if own is None else row.own(own.tokens).repeat(1, length // own.tokens.shape[1], 1)
        for row, own in zip(rows, references, strict=True)
    ]
    masks = tuple(None if own is None else own.mask for own in references)
    return ReferenceRows(
        tokens=torch.cat(tokens),
        scales=_column([0.0 if own is None else own.scale for own in references], sample.device, 3),
        masks=masks if any(mask is not None for mask in masks) else None,
    )
