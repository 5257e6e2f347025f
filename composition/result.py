"""What an edit gives: its progress, then the edited image or the analysis with its account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from composition.decision import Pipeline
from composition.images import Image, Mask


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Blob keys of what an attempt has finished of a clip: another one goes on there.

    `frame_keys` are of the frames, in order, `state_keys` of what goes on after each window of them, of which the last
    one counts.
    """

    frame_keys: tuple[str, ...]
    state_keys: tuple[str, ...]

    @property
    def blob_keys(self) -> tuple[str, ...]:
        return self.frame_keys + self.state_keys


@dataclass(frozen=True, kw_only=True, eq=False)
class Progress:
    """How far an edit is: `stage` is one of the flow's verbs, `fraction` in 0..1 never falls within an attempt.

    `candidate_steps` has the steps of each of several candidates, of which `step` is the sum. Of a clip `step` is a
    frame, and what is finished is in every progress: of several that come at once the last one may do.
    """

    stage: str
    fraction: float
    step: int | None = None
    total_steps: int | None = None
    candidate_steps: tuple[int, ...] = ()
    preview: Image | None = None
    checkpoint: Checkpoint | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class EditResult:
    """The edited image, or several candidates of it in the order of their seeds, with the account.

    `mask` (H, W) is the feathered mask that they were blended with: where it is 0, each is the original bit for bit.
    `metadata` is JSON-serialisable and becomes `result.metadata`.
    """

    images: tuple[Image, ...]
    mask: Mask
    pipeline: Pipeline
    models_used: tuple[str, ...]
    processing_time_ms: int
    metadata: Mapping[str, Any]

    @property
    def image(self) -> Image:
        """The first candidate."""
        return self.images[0]


@dataclass(frozen=True, kw_only=True, eq=False)
class Analysis:
    """A dry run's outcome: what would be repainted, and why; `mask` is the one of the edit's result, pixel by pixel."""

    pipeline: Pipeline
    mask: Mask
    models_used: tuple[str, ...]
    metadata: Mapping[str, Any]
