from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.core.management.base import CommandError

from dashboard.benchmarks import browser as benchmark

pytestmark = pytest.mark.browser


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        script = b"for (;;);" if self.path == "/endless" else b""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        # The page has loaded before the script begins.
        self.wfile.write(b"<!doctype html><p>Hello</p><script>addEventListener('load', () => setTimeout(() => {")
        self.wfile.write(script + b"}, 200))</script>")

    def log_message(self, *_):
        pass


@pytest.fixture
def address():
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_page_whose_script_never_ends_ends_the_benchmark_by_name(browser, address, monkeypatch):
    monkeypatch.setattr(benchmark, "SETTLED_MS", 500)
    found = benchmark._loaded(browser, f"{address}/", "nobody")
    assert (found["shift"], found["requests"]) == (0, 1)
    with pytest.raises(CommandError, match=r"/endless is still busy after 2 s: .* its script does not end"):
        benchmark._loaded(browser, f"{address}/endless", "nobody", patience=2_000)
