"""`python -m observability FILE [--job ID]`: the traces of `tracing.file` as trees, the newest last."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from observability.trees import draw, of_job, read_spans


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m observability", description="Draw the traces of tracing.file.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--job", help="only the traces of this job")
    parser.add_argument("--last", type=int, default=1, help="so many of the newest traces (1)")
    asked = parser.parse_args()
    try:
        with asked.file.open(encoding="utf-8") as lines:
            traces = read_spans(lines)
    except OSError as error:
        print(f"error: {asked.file} cannot be read: {error.strerror}", file=sys.stderr)
        return 2
    found = of_job(traces, asked.job) if asked.job else dict(list(traces.items())[-asked.last :])
    for trace, spans in found.items():
        print(f"trace {trace}\n{draw(spans)}\n")
    if not found:
        print("no such trace", file=sys.stderr)
    return 0 if found else 1


if __name__ == "__main__":
    raise SystemExit(main())
