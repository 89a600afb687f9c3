"""What orchestrator.tracing loads where traces are wanted: spans of requests, tasks, queries and calls of Redis.

A span never holds what somebody sent or stored: addresses lose their query, statements are shapes, and of an error only
that there was one is told, as its text may quote anything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext, SpanKind, Status

from orchestrator.observability.tally import shape

_ADDRESSES = ("http.url", "http.target", "url.full")
# What a client tells, and why a task is tried again: the text of an error.
_SAID = ("url.query", "http.user_agent", "user_agent.original", "celery.retry.reason")


class Discreet(SpanExporter):
    """Takes out of spans what is nobody's business, before the exporter that it is around sees them."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([_cleaned(span) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _cleaned(span: ReadableSpan) -> ReadableSpan:
    """Without its events, which are exceptions with their text and locals, and the state that a client may send."""
    kept = {name: value for name, value in (span.attributes or {}).items() if name not in _SAID}
    kept |= {name: str(kept[name]).partition("?")[0] for name in _ADDRESSES if name in kept}
    return ReadableSpan(
        name=span.name, context=_stateless(span.context), parent=span.parent, resource=span.resource, attributes=kept,
        links=span.links, kind=span.kind, status=Status(span.status.status_code), start_time=span.start_time,
        end_time=span.end_time, instrumentation_scope=span.instrumentation_scope,
    )  # fmt: skip


def _stateless(one: SpanContext) -> SpanContext:
    return SpanContext(one.trace_id, one.span_id, one.is_remote, one.trace_flags)


def start(process: str) -> Callable[..., Any]:
    """Trace this process; returns what makes a span of a query, for Django's execute_wrapper."""
    name = os.environ.get("OTEL_SERVICE_NAME") or f"orchestrator-{process}"
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    provider.add_span_processor(BatchSpanProcessor(Discreet(OTLPSpanExporter())))
    trace.set_tracer_provider(provider)
    for instrumentor in (DjangoInstrumentor(), CeleryInstrumentor(), RedisInstrumentor()):  # type: ignore[no-untyped-call]
        instrumentor.instrument(tracer_provider=provider)
    tracer = trace.get_tracer("orchestrator.queries", tracer_provider=provider)

    def watch(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        statement = shape(str(sql))
        attributes = {"db.system": "postgresql", "db.statement": statement}
        with tracer.start_as_current_span(statement.partition(" ")[0], kind=SpanKind.CLIENT, attributes=attributes):
            return execute(sql, params, many, context)

    return watch
