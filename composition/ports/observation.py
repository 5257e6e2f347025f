"""What edits and jobs tell of themselves while they run: to series and traces, or, as here, to nobody.

A class that hears more overrides what it wants. Nothing that a request brought (prompts, images, names, ids) may become
the label of a series.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from composition.decision import Decision
from composition.jobs import Job


class EditObserver:
    """Of one process's edits; called from its event loop and its threads."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Held while an edit is in a stage or does a part of one: a name of the journal's timings, `load`, `encode`."""
        return nullcontext()

    def decided(self, decision: Decision) -> None:
        """The router has chosen."""

    def looked_up(self, cache: str, *, hit: bool) -> None:
        """A cache was asked; it is named as in `metadata.cache`."""


class JobObserver:
    """Of one process's jobs; called from its event loop."""

    def attempt(self, job: Job) -> AbstractContextManager[None]:
        """Held while the handler runs one attempt at a job."""
        return nullcontext()

    def attempt_ended(self, job: Job, *, outcome: str, code: str = "", seconds: float) -> None:
        """What became of an attempt.

        Args:
            job: as it was claimed.
            outcome: completed, failed, retried, interrupted, handed_back, cancelled or lost.
            code: of the error, where there was one.
            seconds: from the claim to the outcome.
        """


NO_EDIT_OBSERVER = EditObserver()
NO_JOB_OBSERVER = JobObserver()
