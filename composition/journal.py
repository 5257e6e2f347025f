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
    (`composition.masking.occlusion`); of several candidates, the first one's.
    """

    listener: ProgressListener
    observer: EditObserver = NO_EDIT_OBSERVER
    models_used: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    timings_ms: dict[str, float] = field(default_factory=dict)
    cache: dict[str, str] = field(default_factory=dict)
    kept: dict[str, float] = field(default_factory=dict)

    def used(self, *names: str) -> None:
        """Note models that ran, each once, in order of first use."""
        for name in names:
            if name not in self.models_used:
                self.models_used.append(name)

    def warn(self, text: str) -> None:
        """Note something that the caller should know, once."""
        if text not in self.warnings:
            self.warnings.append(text)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.listener(Progress(stage=name, fraction=STAGE_STARTS[name]))
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

    def denoised(self, steps: Sequence[int], total: int, preview: Image | None) -> None:
        """Of each candidate the steps that are done, out of `total` of all of them together."""
        start, end = STAGE_STARTS["diffuse"], STAGE_STARTS["blend"]
        fraction = start + (end - start) * sum(steps) / max(total, 1)
        each = tuple(steps) if len(steps) > 1 else ()
        self.listener(
            Progress(
                stage="diffuse",
                fraction=fraction,
                step=sum(steps),
                total_steps=total,
                candidate_steps=each,
                preview=preview,
            )
        )
