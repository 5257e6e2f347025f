"""What is compared: ways of serving requests with the same models on the same workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.capacity.costs import Costs
from benchmarks.capacity.simulation import Outcome, simulate
from benchmarks.capacity.traffic import Mix, draw
from benchmarks.capacity.workers import StepEngineWorker, WholeRequestWorker, Worker
from benchmarks.load import percentile

MOST_WORKERS = 64
Server = Callable[[], Worker]
"""Makes one worker."""


def servers(costs: Costs, *, in_flight: int, max_rows: int) -> Mapping[str, Server]:
    """By name: this service's step engine; one request at a time; whole requests that are alike in one call."""
    return {
        "step engine": lambda: StepEngineWorker(costs, in_flight=in_flight, max_rows=max_rows),
        "one at a time": lambda: WholeRequestWorker(costs, max_rows=1),
        "whole batches": lambda: WholeRequestWorker(costs, max_rows=max_rows),
    }


def serve(
    server: Server, mix: Mix, *, per_hour: float, workers: int, count: int, seed: int, arrivals: str = "poisson"
) -> Outcome:
    requests = draw(mix, per_hour=per_hour, count=count, seed=seed, arrivals=arrivals)
    return simulate(requests, [server() for _ in range(workers)])


def workers_needed(
    server: Server, mix: Mix, *, within_s: float, per_hour: float, count: int, seed: int, arrivals: str = "poisson"
) -> int | None:
    """The smallest number of workers with which 95 % of the answers are there in time; None beyond `MOST_WORKERS`.

    Raises:
        ValueError: a request that is alone takes longer.
    """
    for kind in mix:
        [alone_s] = serve(server, [kind], per_hour=1, workers=1, count=1, seed=seed).answers_s
        if alone_s > within_s:
            raise ValueError(f"{kind.name} alone takes {alone_s:.1f} s, longer than {within_s:g} s")

    def fits(workers: int) -> bool:
        outcome = serve(server, mix, per_hour=per_hour, workers=workers, count=count, seed=seed, arrivals=arrivals)
        return not outcome.overloaded and percentile(outcome.answers_s, 95) <= within_s

    few, many = 0, 1
    while not fits(many):
        if many == MOST_WORKERS:
            return None
        few, many = many, min(2 * many, MOST_WORKERS)
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if fits(middle) else (middle, many)
    return many
