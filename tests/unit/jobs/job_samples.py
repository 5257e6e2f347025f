"""Jobs and clocks for the tests of this folder."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from composition.jobs import EditPayload, Job, JobKind, JobResult, Priority


@dataclass
class ManualClock:
    """UTC seconds that only the test moves, and those of a clock that cannot be set."""

    now: float = 1_000_000.0
    running: float = 50.0

    def __call__(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.running

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.running += seconds

    def set_by(self, seconds: float) -> None:
        """As NTP does, or a hand."""
        self.now += seconds


def sample_job(prompt: str = "blue car", *, base_key: str = "base", interactive: bool = False, **fields: Any) -> Job:
    defaults: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "kind": JobKind.EDIT,
        "owner": "anonymous",
        "priority": Priority.INTERACTIVE if interactive else Priority.BATCH,
        "payload": EditPayload(prompt=prompt, base_key=base_key),
    }
    return Job(**(defaults | fields))


def sample_result(image_key: str = "image", mask_key: str | None = None) -> JobResult:
    return JobResult(
        image_key=image_key,
        image_media_type="image/png",
        mask_key=mask_key,
        account={"pipeline_used": "simple", "metadata": {"seed_used": 7}},
    )
