"""What a store hands out to be worked on: a claim to a worker, a delivery to the webhook sender."""

from __future__ import annotations

from dataclasses import dataclass

from composition.jobs import Job


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A worker's right to run a job until its lease lapses; only the newest `token` (fencing) may publish."""

    job: Job
    worker_id: str
    token: int


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A webhook that is owed: written in the same step as the job's end, kept until it is delivered or given up.

    `id` is the same at every attempt, so that a receiver can drop duplicates; `body` is the JSON that is signed and
    sent; `attempts` counts the tries so far.
    """

    id: str
    job_id: str
    url: str
    body: str
    attempts: int = 0


AT_ONCE = 0.0
"""When a new delivery is due, whatever the clock will show."""
MAX_POSTPONEMENT_S = 3600.0
"""The longest that a delivery waits to be tried again; one that has longer to wait was written by a clock that has
been set back since, and is due.
"""


def delivery_due(at: float, now: float) -> bool:
    """Whether to send it; both are UTC seconds."""
    return not now < at <= now + MAX_POSTPONEMENT_S
