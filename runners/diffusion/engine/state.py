"""What the engine knows of a request while it is denoised; the rest of it is its model family's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """Only requests of one bucket share a forward.

    Attributes:
        latent_size: the latents' shape without rows and channels: what a row's memory depends on.
        shared: what is global to the model while a batch runs, such as its LoRAs; () for the plain model.
        text_tokens: how long the text is: rows of one batch have one length, and filling up the shorter ones would
            change what they give.
        checkpoint: which of several that the family holds; "" for its base model.
        shallow: how many layers of the model the step computes, with what an earlier step of each request left for the
            rest; 0: all. Such a step and one that computes all are different forwards.
        precision: the number format of a request that is computed in another than the model's; "" for the model's.
    """

    latent_size: tuple[int, ...]
    shared: Hashable = ()
    text_tokens: int = 0
    checkpoint: str = ""
    precision: str = ""
    shallow: int = 0


@dataclass(kw_only=True, eq=False)
class RequestState(ABC):
    """One request between encoding and decoding. A family adds latents, conditioning, scheduler: nothing is shared.

    Attributes:
        bucket: who it can share a forward with.
        steps: denoising steps in all.
        step: those it has taken.
        models_used: every model that works for it, by the names that responses report.
        notes: what the caller should know, such as what of it could not act.
        cache: "hit" or "miss" per encoding, for the response.
        group: those of one group are predicted in one forward or not at all, and may see one another there; None: it
            sees itself alone.
    """

    bucket: Bucket
    steps: int
    step: int = 0
    models_used: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    cache: Mapping[str, str] = field(default_factory=dict)
    group: object | None = None

    @property
    def done(self) -> bool:
        return self.step >= self.steps

    @property
    def regions(self) -> tuple[RequestState, ...]:
        """Of each region or view of the request the state; most have one, which is the state itself."""
        return (self,)

    @property
    def acting(self) -> tuple[RequestState, ...]:
        """Those of the regions that the next step needs a prediction for."""
        return (self,)

    @property
    def canvas(self) -> RequestState:
        """The one of the regions that holds what all have painted; of several views the first."""
        return self

    @property
    def canvases(self) -> tuple[RequestState, ...]:
        """Those that an image is made of in the end."""
        return (self.canvas,)

    @property
    @abstractmethod
    def rows(self) -> int:
        """Batch rows that the next step takes."""

    @property
    def workload(self) -> Hashable:
        """What works in the next step, as far as it decides what a forward takes; steps alike have equal ones."""
        return self.rows

    @abstractmethod
    def lay_in(self, other: Self, *, waiting: bool) -> None:
        """Have in another region's area what that one has there.

        While the other is `waiting` for its first step: what the image itself has there, as noisy as this one is now.
        """

    def settle(self) -> None:  # noqa: B027  one region has nothing to do
        """All of `acting` have taken a step; a failure may be followed by another call."""
