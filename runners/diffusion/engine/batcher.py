"""Which requests share the next denoising step: fair between requests, one latent shape and one LoRA set per batch.

The request that has waited longest leads; those of its bucket join it, longest waiting first, while rows are left. So
each of N requests is served at least once in N turns, whatever its bucket, and no mix of sizes can starve one.

A request whose model has to be loaded first leads only when nobody else can, or when it has waited `PATIENCE_TURNS`:
two checkpoints that have room for one would otherwise be loaded anew at every step.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

PATIENCE_TURNS = 50
"""About what one request takes. Loading takes as long as many steps, so it is paid once for all of them."""

Key = TypeVar("Key", bound=Hashable)
Bucket = TypeVar("Bucket", bound=Hashable)


@dataclass(frozen=True, kw_only=True)
class Candidate(Generic[Key, Bucket]):
    """A request that could take its next step.

    Attributes:
        key: what the caller knows it by.
        bucket: only requests of one bucket can share a forward.
        rows: batch rows its next step takes (2 with classifier-free guidance, else 1).
        last_served: the turn it was last in a batch; for a newcomer the turn it arrived.
        arrival: its number in order of arrival; breaks ties.
        ready: nothing has to be loaded for it.
    """

    key: Key
    bucket: Bucket
    rows: int
    last_served: int
    arrival: int
    ready: bool = True


def next_batch(
    candidates: Sequence[Candidate[Key, Bucket]], max_rows: Callable[[Bucket], int], *, turn: int = 0
) -> tuple[Key, ...]:
    """Keys of the requests that take the next step together, in order of arrival.

    `turn` is the number of the coming step, which `Candidate.last_served` counts back from.

    The leader always runs, even when its rows alone exceed what a forward of its bucket may have: there is no smaller
    way to run it.
    """
    if not candidates:
        return ()
    waiting = sorted(candidates, key=lambda c: (c.last_served, c.arrival))
    longest = waiting[0]
    patient = not longest.ready and turn - longest.last_served < PATIENCE_TURNS
    leader = next((c for c in waiting if c.ready), longest) if patient else longest
    limit = max_rows(leader.bucket)
    chosen, rows = [leader], leader.rows
    for candidate in waiting:
        if candidate is not leader and candidate.bucket == leader.bucket and rows + candidate.rows <= limit:
            chosen.append(candidate)
            rows += candidate.rows
    return tuple(c.key for c in sorted(chosen, key=lambda c: c.arrival))
