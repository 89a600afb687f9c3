"""Traces for OpenTelemetry, when OTEL_EXPORTER_OTLP_ENDPOINT says where to; else nothing of it is even loaded.

The library's other variables (OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME) hold as it has them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any

from orchestrator import env

Watch = Callable[..., Any]
_watch: Watch | None = None


def start(process: str) -> None:
    """Trace this process from now on; raises EnvError where the libraries are missing.

    After a fork, not before: what sends the traces is a thread.
    """
    global _watch
    if not env.given("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return
    try:
        _watch = import_module("orchestrator.trace_export").start(process)
    except ModuleNotFoundError as error:
        raise env.EnvError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, and what sends traces is not installed: "
            f"pip install -r requirements-tracing.txt ({error.name} is missing)."
        ) from None


def queries(connection: Any) -> AbstractContextManager[None] | None:
    """Make spans of the queries of a connection; None where nothing is traced."""
    watched: AbstractContextManager[None] | None = connection.execute_wrapper(_watch) if _watch else None
    return watched
