"""What the engine asks of a model family.

check -> encode -> **(activate, predict, advance) x steps** -> decode. A family knows its networks, latents, schedulers
and adapters; the engine knows who shares a forward, what fits into memory, and who has gone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from composition.diffusion import DiffusionRequest
from composition.images import Image
from runners.diffusion.engine.state import Bucket, RequestState

State = TypeVar("State", bound=RequestState)


class StartOver(Exception):
    """Raised by `Family.decode`: the request is to be denoised once more, from what `anew` makes of each of its states.

    The message says why.
    """

    def __init__(self, anew: Callable[[Any], RequestState], message: str) -> None:
        super().__init__(message)
        self.anew = anew


class Family(Protocol[State]):
    """A loaded model family; `State` is its kind of `RequestState`.

    A request comes region by region, as `DiffusionRequest.regions` has them; a state is of one region.

    `check` is called from any thread. `encode`, `decode` and `preview` run one at a time, on a GPU beside the engine's
    thread, which calls all else. An exception that is no CompositionError reaches the caller as the engine translates
    it.
    """

    @property
    def models_loaded(self) -> Sequence[str]:
        """Names of the models in memory, for /health."""
        ...

    def check(self, request: DiffusionRequest) -> None:
        """Refuse what can never be served, before anything is computed. Raises: InvalidInput."""
        ...

    def encode(self, request: DiffusionRequest) -> State:
        """Compute all that denoising needs. Raises: InvalidInput."""
        ...

    def ready(self, bucket: Bucket) -> bool:
        """Whether a batch of this bucket can run now, without anything being loaded for it first."""
        ...

    def activate(self, bucket: Bucket) -> None:
        """Make the model ready for a batch of this bucket; called before every step, and mostly nothing to do."""
        ...

    def predict(self, states: Sequence[State]) -> Sequence[Any]:
        """One forward for requests of one bucket: what `advance` takes for each, in order. Changes no state."""
        ...

    def advance(self, states: Sequence[State], predictions: Sequence[Any]) -> None:
        """Take the step that was predicted for each; a failure leaves all states as they were."""
        ...

    def preview(self, state: State) -> Image | None:
        """A small image of the latents as they are; None when the family has no means for it."""
        ...

    def decode(self, state: State) -> Image:
        """The finished image (H, W, 3), checked for safety. Raises: ContentPolicy, ModelError, StartOver."""
        ...

    def release_memory(self) -> None:
        """Give up caches and idle models; they are computed and loaded again when needed."""
        ...

    def stop(self) -> None:
        """End what it does beside requests, as the process ends; may come again."""
        ...

    def stats(self) -> Mapping[str, object]:
        """JSON-serialisable facts for the runner's statistics: caches, loads, what is compiled."""
        ...
