"""Traces as a collector gets them, from a process of its own; and nothing of it without a collector."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from dashboard.benchmarks.processes import database_url
from orchestrator.home import PROJECT

SECRET = "hunter2"
SCRIPT = f"""
import io, sys
from orchestrator.wsgi import application

def visit(path, query="", **headers):
    environ = {{"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": query, "SERVER_NAME": "localhost",
               "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1",
               "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr, "wsgi.url_scheme": "http", **headers}}
    list(application(environ, lambda status, headers, *rest: print(path, status)))

visit("/api/bots", "q={SECRET}&token={SECRET}", HTTP_AUTHORIZATION="Bearer {SECRET}", HTTP_COOKIE="sessionid={SECRET}",
      HTTP_USER_AGENT="{SECRET}", HTTP_BAGGAGE="a={SECRET}", HTTP_TRACESTATE="a={SECRET}",
      HTTP_TRACEPARENT="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
visit("/equity.json", "book={SECRET}", HTTP_COOKIE="sessionid={SECRET}")
if "orchestrator.trace_export" in sys.modules:
    from opentelemetry import trace
    from orchestrator.tasks import warm_cache
    warm_cache.apply()
    try:
        with trace.get_tracer("test").start_as_current_span("fails", attributes={{"celery.retry.reason": "{SECRET}"}}):
            raise ValueError("{SECRET}")
    except ValueError:
        trace.get_tracer_provider().shutdown()
print("traced" if "opentelemetry.exporter" in sys.modules else "not traced")
"""


@pytest.fixture
def collector():
    """Its address, and the bodies that it was sent."""
    bodies = []

    class Collecting(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            """Nothing: it would land in the output of the tests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collecting)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", bodies
    server.shutdown()
    server.server_close()


def run(**variables):
    environment = {**os.environ, "DATABASE_URL": database_url(), "OTEL_EXPORTER_OTLP_COMPRESSION": "none", **variables}
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_requests_queries_tasks_and_redis_are_traced_without_what_was_sent(transactional_db, redis, collector):
    address, bodies = collector
    assert run(OTEL_EXPORTER_OTLP_ENDPOINT=address).endswith("traced\n")
    assert {path for path, _ in bodies} == {"/v1/traces"}
    assert not any(SECRET.encode() in body for _, body in bodies)
    resources = [one for _, body in bodies for one in ExportTraceServiceRequest.FromString(body).resource_spans]
    services = {
        item.value.string_value for one in resources for item in one.resource.attributes if item.key == "service.name"
    }
    assert services == {"orchestrator-web"}
    spans = [span for one in resources for scope in one.scope_spans for span in scope.spans]
    named = {span.name: span for span in spans}
    assert {"GET equity.json", "SELECT", "fails", "run/orchestrator.tasks.warm_cache"} <= set(named)
    statements = {item.value.string_value for span in spans for item in span.attributes if item.key == "db.statement"}
    assert any('FROM "dashboard_apitoken"' in one and '"digest" = %s' in one for one in statements)
    assert "ZREVRANGE ? ? ? ?" in statements
    assert named["fails"].status.code == 2
    assert (named["fails"].status.message, list(named["fails"].events)) == ("", [])
    # A query is a part of its request.
    assert any(span.parent_span_id == named["GET api/bots"].span_id for span in spans if span.name == "SELECT")


def test_without_a_collector_what_sends_traces_is_not_even_loaded(transactional_db):
    assert run(OTEL_EXPORTER_OTLP_ENDPOINT="").endswith("\nnot traced\n")
