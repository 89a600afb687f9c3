"""The first load of pages in a headless Chromium with an empty cache, from the web server of `make run`.

Medians of what the browser itself reports (W3C Paint Timing, Largest Contentful Paint, Layout Instability, Long Tasks,
Resource Timing). Needs playwright, which the tests bring, and a Chromium of this machine.
"""

from __future__ import annotations

import http.client
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from statistics import median
from threading import Event, Timer
from typing import Any, NamedTuple
from urllib.parse import urljoin

import psutil
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, CommandParser
from django.test import Client

from bots import load
from bots.models import Bot
from dashboard.benchmarks.web import USER, served
from orchestrator.benchmarks import Row, own_database, row

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_SECONDS = 60.0  # for a load: a page whose script never ends is told of, not waited for
SETTLED_MS = 1_500  # after the load event: charts are drawn, nothing moves any more
# Before anything of a page runs: what an observer is told is kept, with what was before it.
WATCH = """
window.seen = {largest: 0, shift: 0, long: 0};
const watch = (type, note) => {
  new PerformanceObserver((list) => list.getEntries().forEach(note)).observe({type, buffered: true});
};
watch("largest-contentful-paint", (entry) => { seen.largest = entry.startTime; });
watch("layout-shift", (entry) => { if (!entry.hadRecentInput) seen.shift += entry.value; });
watch("longtask", (entry) => { seen.long = Math.max(seen.long, entry.duration); });
"""
READ = """() => {
  const [page] = performance.getEntriesByType("navigation"), all = performance.getEntriesByType("resource");
  const first = performance.getEntriesByName("first-contentful-paint")[0];
  const parts = all.filter((part) => part.name.includes("/static/"));
  return {...seen, first: first ? first.startTime : 0, html: page.transferSize / 1000, requests: 1 + parts.length,
          data: all.length - parts.length,
          assets: parts.reduce((sum, part) => sum + part.transferSize, 0) / 1000};
}"""


class Figure(NamedTuple):
    key: str
    label: str
    unit: str
    most: float | None


FIGURES = (
    Figure("first", "first paint", "ms", 800),
    Figure("largest", "largest paint", "ms", 1500),
    Figure("shift", "layout shift", "score", 0.05),
    Figure("long", "longest task", "ms", 100),
    Figure("html", "HTML", "kB", 40),
    Figure("assets", "assets", "kB", 250),
    Figure("requests", "HTML and assets", "requests", 12),
    Figure("data", "data after that", "requests", None),
)


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument("--bots", type=int, default=1000)
    parser.add_argument("--trades", type=int, default=1_000_000)
    parser.add_argument("--markets", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5, help="First loads of each page; default: 5.")


def rows(options: dict[str, Any]) -> list[Row]:
    """Of each page the medians of all rounds against their budgets."""
    if not 1 <= options["rounds"] <= 1000:
        raise CommandError(f"rounds must be 1 to 1,000, not {options['rounds']}.")
    with own_database():
        load.seed(options["bots"], options["trades"], options["markets"], USER)
        bot = Bot.objects.filter(status=Bot.Status.RUNNING).order_by("pk")[0].pk
        pages = {"overview": "/", "bot page": f"/bots/{bot}/", "trades": "/trades/"}
        # Before playwright has its event loop in this thread: Django would take another connection there.
        session = _session()
        with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as server, _chromium() as chromium:
            site = f"http://127.0.0.1:{server.port}"
            return [
                line
                for name, path in pages.items()
                for line in _lines(name, [_loaded(chromium, site + path, session) for _ in range(options["rounds"])])
            ]


def _session() -> str:
    client = Client()
    client.force_login(get_user_model().objects.get(username=USER))
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def _lines(page: str, loads: list[dict[str, float]]) -> list[Row]:
    return [row(f"{page}, {one.label}", median(load[one.key] for load in loads), one.unit, one.most) for one in FIGURES]


@contextmanager
def _chromium() -> Iterator[Any]:
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        raise CommandError("There is no Chromium on this machine.")
    try:
        playwright = import_module("playwright.sync_api")
    except ImportError:
        raise CommandError("playwright is missing: install what the tests need (bin/setup dev).") from None
    with playwright.sync_playwright() as started:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = started.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


def _loaded(chromium: Any, address: str, session: str, patience: float = PATIENCE_SECONDS) -> dict[str, float]:
    """What one first load came to: a browser that is logged in and has seen nothing of the site.

    Raises CommandError for a page that fails, that loads itself again, or that is still busy with itself when its
    patience (s) is over; the browser is dead then.
    """
    over = Event()
    processes = chromium.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    browser = next(psutil.Process(one["id"]) for one in processes if one["type"] == "browser")

    def end() -> None:
        over.set()
        browser.kill()

    # Most of Playwright's calls wait for the page, whatever their timeout: a dead browser ends them all.
    deadline = Timer(patience, end)
    deadline.start()
    try:
        return _measured(chromium, address, session)
    except import_module("playwright.sync_api").Error as error:
        late = f"is still busy after {patience:g} s: it does not load, or its script does not end"
        reason = late if over.is_set() else f"cannot be measured: {error.message.splitlines()[0]}"
        raise CommandError(f"{address} {reason}.") from None
    finally:
        deadline.cancel()


def _measured(chromium: Any, address: str, session: str) -> dict[str, float]:
    with chromium.new_context(viewport={"width": 1440, "height": 900}, service_workers="block") as context:
        # Of the whole site: a cookie of the page's folder would not be sent with what the page asks for.
        cookie = {"name": settings.SESSION_COOKIE_NAME, "value": session, "url": urljoin(address, "/")}
        context.add_cookies([cookie])
        context.add_init_script(WATCH)
        page, loads = context.new_page(), []
        page.on("domcontentloaded", lambda _: loads.append(page.url))
        answer = page.goto(address, timeout=0)
        if answer.status != http.client.OK:
            raise CommandError(f"{address} answered {answer.status}.")
        page.wait_for_timeout(SETTLED_MS)
        if loads != [address]:
            raise CommandError(f"{address} does not stay: it loaded {', '.join(loads[:3])}.")
        found: dict[str, float] = page.evaluate(READ)
    return found
