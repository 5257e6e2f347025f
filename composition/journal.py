"""What happened during one edit: every stage, route to blend, notes here what the response tells."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from composition.images import Image
from composition.ports.observation import NO_EDIT_OBSERVER, EditObserver
from composition.ports.queue import ProgressListener
from composition.result import Progress

STAGE_STARTS = {"route": 0.0, "detect": 0.05, "mask": 0.12, "condition": 0.15, "diffuse": 0.2, "blend": 0.95}
"""The fraction of an edit at which each stage starts; diffusion takes nearly all of it."""


@dataclass(kw_only=True)
class Journal:
    """What happened during one edit, for the response. Belongs to that edit alone.

    `kept`: what of the photograph was kept where the model painted, as shares 0..1: `light` and `parts` of an edit of
    colour or material (`composition.imaging.keeping`), `surroundings` of a thing replaced in its box
    (`composition.pipelines.matting`), `in_front` of the region what stands in front of it
    (`composition.masking.occlusion`); of several candidates, the first one's. `whole` is that of all edits, where
    several are made side by side.
    """

    listener: ProgressListener
    observer: EditObserver = NO_EDIT_OBSERVER
    models_used: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    timings_ms: dict[str, float] = field(default_factory=dict)
    cache: dict[str, str] = field(default_factory=dict)
    kept: dict[str, float] = field(default_factory=dict)
    whole: Journal | None = None
    _reached: float = 0.0

    def of_one(self) -> Journal:
        """The journal of one of several edits that are made side by side.

        What it says of models and times is the whole's too, of times the longest; its warnings are its own.
        """
        return Journal(listener=self._tell, observer=self.observer, whole=self)

    def used(self, *names: str) -> None:
        """Note models that ran, each once, in order of first use."""
        for name in names:
            if name not in self.models_used:
                self.models_used.append(name)
        if self.whole is not None:
            self.whole.used(*names)

    def warn(self, text: str) -> None:
        """Note something that the caller should know, once."""
        if text not in self.warnings:
            self.warnings.append(text)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self._tell(Progress(stage=name, fraction=STAGE_STARTS[name]))
        with self.timed(name):
            yield

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            with self.observer.stage(name):
                yield
        finally:
            spent = (time.perf_counter() - start) * 1000
            self.timings_ms[name] = round(self.timings_ms.get(name, 0.0) + spent, 1)
            if self.whole is not None:
                longest = max(self.whole.timings_ms.get(name, 0.0), self.timings_ms[name])
                self.whole.timings_ms[name] = longest

    def denoised(self, steps: Sequence[int], total: int, preview: Image | None) -> None:
        """Of each candidate the steps that are done, out of `total` of all of them together."""
        start, end = STAGE_STARTS["diffuse"], STAGE_STARTS["blend"]
        fraction = start + (end - start) * sum(steps) / max(total, 1)
        each = tuple(steps) if len(steps) > 1 else ()
        self._tell(
            Progress(
                stage="diffuse",
                fraction=fraction,
                step=sum(steps),
                total_steps=total,
                candidate_steps=each,
                preview=preview,
            )
        )

    def _tell(self, progress: Progress) -> None:
        """One of several edits may begin a stage when another has left it: that is no progress."""
        if progress.fraction >= self._reached:
            self._reached = progress.fraction
            self.listener(progress)
