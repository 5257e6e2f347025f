"""Traces as a person reads them: the lines of `tracing.file` as trees, each span with its process and its time."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Span = Mapping[str, Any]
_JOB = "job.id"


def read_spans(lines: Iterable[str]) -> dict[str, list[Span]]:
    """The spans of each trace, in the order in which the traces began; a line that was cut off is passed over."""
    traces: dict[str, list[Span]] = defaultdict(list)
    for line in lines:
        try:
            span = json.loads(line)
        except ValueError:
            continue
        traces[span["trace"]].append(span)
    return dict(sorted(traces.items(), key=lambda item: min(span["began_ns"] for span in item[1])))


def of_job(traces: Mapping[str, list[Span]], job_id: str) -> dict[str, list[Span]]:
    """The traces that a job was run in."""
    return {
        trace: spans for trace, spans in traces.items() if any(span["attributes"].get(_JOB) == job_id for span in spans)
    }


def draw(spans: list[Span]) -> str:
    """One trace: what began within what, in milliseconds from its beginning."""
    known = {span["span"] for span in spans}
    children: dict[str | None, list[Span]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: span["began_ns"]):
        children[span["parent"] if span["parent"] in known else None].append(span)
    start_ns = min(span["began_ns"] for span in spans)
    rows = [_row(depth, span, start_ns) for depth, span in _walk(children, None, 0)]
    width = max(len(row[0]) for row in rows)
    head = f"{'':{width}}  process      begins      takes"
    return "\n".join([head, *(f"{name:{width}}  {rest}" for name, rest in rows)])


def _walk(children: Mapping[str | None, list[Span]], parent: str | None, depth: int) -> Iterator[tuple[int, Span]]:
    for span in children.get(parent, ()):
        yield depth, span
        yield from _walk(children, span["span"], depth + 1)


def _row(depth: int, span: Span, start_ns: int) -> tuple[str, str]:
    began_ms, took_ms = (span["began_ns"] - start_ns) / 1e6, (span["ended_ns"] - span["began_ns"]) / 1e6
    facts = " ".join(f"{name}={value}" for name, value in span["attributes"].items())
    mark = " FAILED" if span["failed"] else ""
    return "  " * depth + span[
        "name"
    ], f"{span['process']:10} {began_ms:7.0f} ms {took_ms:7.0f} ms{mark}  {facts}".rstrip()
