"""How many cards a stream of requests needs, and how long everybody waits: simulated over measured step costs.

Usage: python -m benchmarks.capacity [--card "RTX 3090" | --costs FILE] [--rates 1,10,100,1000,10000] [--workers 1,4]
           [--mix shop] [--arrivals poisson] [--requests 1000] [--in-flight 3] [--rows 16] [--seed 7]
           [--by-kind] [--out out/capacity]
       python -m benchmarks.capacity --within 10 [...]     the workers that answer 95 % within 10 s
       python -m benchmarks.capacity --measure sd15        this machine's step costs, for --costs
       python -m benchmarks.capacity --validate            the forecast against a stand-in model: two minutes

The step engine is the served one, under a clock that costs nothing; its model is a stand-in with those costs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.capacity.cards import CARDS, expected
from benchmarks.capacity.costs import Costs, load, save
from benchmarks.capacity.servers import MOST_WORKERS, Server, serve, servers, workers_needed
from benchmarks.capacity.simulation import Outcome
from benchmarks.capacity.traffic import ALL, ARRIVALS, Mix, load_mix
from benchmarks.capacity.validation import ALLOWED, Compared, validate_real, validate_simulated
from benchmarks.load import percentile
from benchmarks.report_files import Row, table, write
from models_store.manifest import profiles

MEASURING_ROUNDS = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, measure or validate; 1 where the forecast is off by more than is allowed, 2 for what cannot be."""
    options = _parse(arguments)
    if options.validate:
        return _validate()
    if options.measure:
        return _measure(options.measure, options.out)
    try:
        costs = load(options.costs) if options.costs else expected(options.card)
        mix = load_mix(options.mix)
        check(mix, costs)
        title = "Workers needed" if options.within else "Waiting"
        rows = needed_rows(costs, mix, options) if options.within else waiting_rows(costs, mix, options)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    asked = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
    write("capacity", {"costs": costs.about, "asked": asked, "rows": rows}, {title: rows}, options.out)
    print(f"{costs.about}\n\n{table(rows)}", end="")
    return 0


def check(mix: Mix, costs: Costs) -> None:
    """Raises: ValueError: the mix has a kind whose costs are not known."""
    for kind in mix:
        costs.shape(kind.shape).step_s(kind.rows, [kind.rows for _ in kind.controls])


def waiting_rows(costs: Costs, mix: Mix, options: argparse.Namespace) -> list[Row]:
    """Delays and answers for every rate, number of workers and way of serving, and with `by_kind` for each kind."""
    kinds = [ALL, *(kind.name for kind in mix)] if options.by_kind else [ALL]
    rows: list[Row] = []
    for rate in options.rates:
        for workers in options.workers:
            for name, server in _servers(costs, options).items():
                outcome = serve(server, mix, per_hour=rate, workers=workers, **_crowd(options))
                place = {"requests/h": f"{rate:g}", "workers": str(workers), "served": name}
                rows += [
                    place | ({"kind": kind} if options.by_kind else {}) | _figures(outcome, kind)
                    for kind in kinds
                    if kind == ALL or kind in outcome.kinds
                ]
    return rows


def needed_rows(costs: Costs, mix: Mix, options: argparse.Namespace) -> list[Row]:
    """The smallest number of workers for every rate and way of serving."""

    def needed(server: Server, rate: float) -> str:
        found = workers_needed(server, mix, within_s=options.within, per_hour=rate, **_crowd(options))
        return f"more than {MOST_WORKERS}" if found is None else str(found)

    return [
        {"requests/h": f"{rate:g}"} | {name: needed(server, rate) for name, server in _servers(costs, options).items()}
        for rate in options.rates
    ]


def _figures(outcome: Outcome, kind: str) -> dict[str, Any]:
    """Seconds of a kind or of "all"; none where more comes than is served."""
    chosen = [number for number, name in enumerate(outcome.kinds) if kind in (ALL, name)]
    names = {"delay": outcome.delays_s, "answer": outcome.answers_s}
    seconds = {
        f"{name} p{percent}, s": "overloaded"
        if outcome.overloaded
        else f"{percentile([values[number] for number in chosen], percent):.1f}"
        for name, values in names.items()
        for percent in (50, 95, 99)
    }
    return {**seconds, "utilisation": round(outcome.utilisation, 4)}


def _servers(costs: Costs, options: argparse.Namespace) -> dict[str, Server]:
    return dict(servers(costs, in_flight=options.in_flight, max_rows=options.rows))


def _crowd(options: argparse.Namespace) -> dict[str, Any]:
    return {"count": options.requests, "seed": options.seed, "arrivals": options.arrivals}


def _measure(profile: str, out: Path) -> int:
    # Only who measures needs a model framework.
    from benchmarks.capacity.measuring import measure_profile

    costs, path = measure_profile(profile, rounds=MEASURING_ROUNDS), out / f"costs-{profile}.json"
    save(costs, path)
    print(f"{costs.about}\nto simulate with: --costs {path}")
    return 0


def _validate() -> int:
    """Print both comparisons."""
    compared = {"simulated": validate_simulated(), "by the clock": validate_real()}
    rows = [_compared_row(name, one) for name, several in compared.items() for one in several]
    print(table(rows), end="")
    kept = all(one.kept for several in compared.values() for one in several)
    print(f"{'within' if kept else 'NOT WITHIN'} {ALLOWED:.0%}")
    return 0 if kept else 1


def _compared_row(name: str, one: Compared) -> Row:
    return {"stand-in": name, "figure": one.name, "foretold": one.foretold, "seen": one.seen, "off by": one.off_by}


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    doing = parser.add_mutually_exclusive_group()
    doing.add_argument("--measure", metavar="PROFILE", choices=profiles(), help="this machine's step costs")
    doing.add_argument("--validate", action="store_true", help="the forecast against a stand-in model")
    doing.add_argument("--within", type=float, metavar="S", help="workers that answer 95 %% within so many seconds")
    costs = parser.add_mutually_exclusive_group()
    costs.add_argument("--card", choices=list(CARDS), default="RTX 3090", help="expected costs")
    costs.add_argument("--costs", type=Path, metavar="FILE", help="measured costs, from --measure")
    parser.add_argument("--rates", type=_numbers(1, 10_000), default="1,10,100,1000,10000", help="requests per hour")
    parser.add_argument("--workers", type=_numbers(1, MOST_WORKERS, whole=True), default="1,4")
    parser.add_argument("--mix", default="shop", help="simple, shop, drafts or a JSON file")
    parser.add_argument("--by-kind", action="store_true", help="lines for each kind of the mix too")
    parser.add_argument("--arrivals", choices=list(ARRIVALS), default="poisson")
    parser.add_argument("--requests", type=int, default=1000, help="simulated for each line")
    parser.add_argument("--in-flight", type=int, default=3, help="limits.max_concurrent_requests of a worker")
    parser.add_argument("--rows", type=int, default=16, help="generation.max_rows")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("out/capacity"))
    options = parser.parse_args(arguments)
    if options.within and options.by_kind:
        parser.error("--by-kind says how long each kind waits, --within how many workers are needed")
    for name in ("requests", "in_flight", "rows"):
        if getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1")
    return options


def _numbers(least: float, most: float, *, whole: bool = False) -> Any:
    """A parser of comma-separated numbers between two bounds."""

    def parse(text: str) -> list[Any]:
        try:
            values = [int(word) if whole else float(word) for word in text.split(",")]
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers") from None
        if not all(least <= value <= most for value in values):
            raise argparse.ArgumentTypeError(f"between {least:g} and {most:g}, not {text}")
        return values

    return parse


if __name__ == "__main__":
    sys.exit(main())
