"""Spans of a request on its way through the processes, when `tracing` is configured; else nothing, at no cost.

request (front) -> queue -> attempt (front or worker) -> stages -> what the runners did for them

Between processes the W3C trace context goes along as text (https://www.w3.org/TR/trace-context/): in the caller's
`traceparent` header, in the stored job, in what is sent to a runner. Spans carry names, ids of jobs and numbers; never
prompts, images or owners.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from composition.config import ConfigError, TracingConfig
from composition.logs import logged_with

SERVICE = "image-composition"
_TRACEPARENT = "traceparent"
_NANOSECONDS = 1_000_000_000
_OWNER_ONLY = 0o600
_propagator = TraceContextTextMapPropagator()

Attributes = Mapping[str, str | int | float | bool]


class _Tracing:
    """This process's tracer; None while tracing is off. The library keeps one global as well, which is BentoML's."""

    tracer: Tracer | None = None


def set_up_tracing(config: TracingConfig, process: str) -> None:
    """Send this process's spans where the configuration says; nowhere by default.

    Raises:
        ConfigError: the exporter's package is not installed, or the file cannot be written.
    """
    if config.file is not None or config.endpoint is not None:
        start_tracing([_processor_to(config)], process, sample=config.sample)


def start_tracing(processors: Sequence[SpanProcessor], process: str, *, sample: float = 1.0) -> None:
    """Give every span that is sampled to the processors."""
    provider = TracerProvider(
        resource=Resource.create({"service.name": SERVICE, "service.component": process}),
        sampler=ParentBased(TraceIdRatioBased(sample)),
    )
    for processor in processors:
        provider.add_span_processor(processor)
    _Tracing.tracer = provider.get_tracer(SERVICE)


def stop_tracing() -> None:
    """As before `set_up_tracing`."""
    _Tracing.tracer = None


def span(name: str, attributes: Attributes | None = None) -> AbstractContextManager[object]:
    """A part of what this task does now."""
    tracer = _Tracing.tracer
    if tracer is None or not trace.get_current_span().get_span_context().is_valid:
        return nullcontext()
    return tracer.start_as_current_span(name, attributes=attributes)


@contextmanager
def continued(
    traceparent: str, name: str, *, attributes: Attributes | None = None, kind: SpanKind = SpanKind.INTERNAL
) -> Iterator[None]:
    """What another process, or a task of another time, has begun; with an empty or bad traceparent it begins here.

    The log lines of the block have the trace's id.
    """
    tracer = _Tracing.tracer
    if tracer is None:
        yield
        return
    context = _context_of(traceparent)
    with (
        tracer.start_as_current_span(name, context=context, kind=kind, attributes=attributes) as current,
        logged_with(trace_id=trace.format_trace_id(current.get_span_context().trace_id)),
    ):
        yield


def past_span(
    name: str, *, parent: str, seconds: float, attributes: Attributes | None = None, failed: bool = False
) -> None:
    """A span of what has just ended after so many seconds, in the trace of a traceparent; nothing without one."""
    tracer = _Tracing.tracer
    if tracer is None or not parent:
        return
    ended_ns = time.time_ns()
    past = tracer.start_span(
        name,
        context=_context_of(parent),
        start_time=ended_ns - int(seconds * _NANOSECONDS),
        attributes=attributes,
    )
    if failed:
        past.set_status(StatusCode.ERROR)
    past.end(ended_ns)


def current_traceparent() -> str:
    """Of this task's span, to be sent along; empty without one."""
    if _Tracing.tracer is None:
        return ""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get(_TRACEPARENT, "")


def _context_of(traceparent: str) -> Context:
    return _propagator.extract({_TRACEPARENT: traceparent}, context=trace.set_span_in_context(_NOTHING, Context()))


_NOTHING = NonRecordingSpan(trace.INVALID_SPAN_CONTEXT)


def _processor_to(config: TracingConfig) -> SpanProcessor:
    if config.file is not None:
        return SimpleSpanProcessor(FileExporter(Path(config.file).expanduser()))
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise ConfigError(
            "tracing.endpoint needs the package opentelemetry-exporter-otlp-proto-http, which is not installed:"
            " pip install 'opentelemetry-exporter-otlp-proto-http>=1.45'"
        ) from error
    exporter: SpanExporter = OTLPSpanExporter(endpoint=config.endpoint)
    return BatchSpanProcessor(exporter)


class FileExporter(SpanExporter):
    """A line of JSON for each span, all processes into one file. `python -m observability` draws its trees."""

    def __init__(self, path: Path) -> None:
        """Raises: ConfigError: it cannot be opened."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, _OWNER_ONLY)
        except OSError as error:
            raise ConfigError(f"tracing.file: {path} cannot be written: {error.strerror}") from error

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """One write a span, so that lines of several processes do not mix."""
        try:
            for one in spans:
                os.write(self._file, (json.dumps(_line(one), separators=(",", ":")) + "\n").encode())
        except OSError:
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """The file stays open as long as the process: spans may end until then."""


def _line(one: ReadableSpan) -> Mapping[str, object]:
    context = one.get_span_context()
    assert context is not None
    assert one.start_time is not None
    assert one.end_time is not None
    return {
        "trace": trace.format_trace_id(context.trace_id),
        "span": trace.format_span_id(context.span_id),
        "parent": trace.format_span_id(one.parent.span_id) if one.parent is not None else None,
        "name": one.name,
        "process": one.resource.attributes["service.component"],
        "began_ns": one.start_time,
        "ended_ns": one.end_time,
        "failed": one.status.status_code is StatusCode.ERROR,
        "attributes": dict(one.attributes or {}),
    }
