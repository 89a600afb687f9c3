from __future__ import annotations

import os
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.core.management.base import CommandError

from dashboard.benchmarks import browser as benchmark
from dashboard.benchmarks.browser import CHROMIUM

pytestmark = pytest.mark.browser


SCRIPTS = {"/endless": b"for (;;);", "/again": b"location.reload()"}


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        # The page has loaded before the script begins.
        self.wfile.write(b"<!doctype html><p>Hello</p><script>addEventListener('load', () => setTimeout(() => {")
        self.wfile.write(SCRIPTS.get(self.path, b"") + b"}, 200))</script>")

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


@pytest.fixture
def own(browser):
    """A browser that may be killed."""
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    launched = browser.browser_type.launch(
        executable_path=next(filter(None, map(shutil.which, CHROMIUM))), args=arguments
    )
    yield launched
    launched.close()


def test_a_page_that_does_not_come_to_rest_ends_the_benchmark_by_name(own, address, monkeypatch):
    monkeypatch.setattr(benchmark, "SETTLED_MS", 500)
    found = benchmark._loaded(own, f"{address}/", "nobody")
    assert (found["shift"], found["requests"]) == (0, 1)
    with pytest.raises(CommandError, match=r"/again does not stay: it loaded .*/again, .*/again"):
        benchmark._loaded(own, f"{address}/again", "nobody")
    with pytest.raises(CommandError, match=r"/endless is still busy after 2 s: .* its script does not end"):
        benchmark._loaded(own, f"{address}/endless", "nobody", patience=2)
    assert not own.is_connected()
