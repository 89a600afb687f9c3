"""Pages at scale: the real views over a thousand bots and a million trades, in process, on a database of its own.

No network and no server lies between, so a line is what the application itself needs, middleware included.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, CommandParser
from django.db import connection
from django.http import HttpResponse
from django.test import Client

from bots import load
from bots.models import Bot, Trade
from orchestrator import warming
from orchestrator.benchmarks import Queries, Row, own_database, row
from orchestrator.page_store import PageStore

USER = "load"
WARM_UP = 3
PERCENTILES = (50, 95, 99)
VISITOR_QUERIES = 2  # session and user, which every page of a visitor has
KEPT_MS = 3.0  # what is answered from the cache, or with 304, may take


class Page(NamedTuple):
    """most_queries and most_ms: the budgets, beside the visitor's own queries; the time is the 95th percentile.

    is_kept: whether it is a page of dashboard/views/kept.py.
    """

    name: str
    path: str
    most_queries: int
    most_ms: float
    is_kept: bool = True


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument("--bots", type=int, default=1000)
    parser.add_argument("--trades", type=int, default=1_000_000)
    parser.add_argument("--markets", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=100, help="Requests of each page that count.")


def rows(options: dict[str, Any]) -> list[Row]:
    """Percentiles of each page's time against its budget, and its number of queries."""
    if not 1 <= options["rounds"] <= 100_000:
        raise CommandError(f"rounds must be 1 to 100,000, not {options['rounds']}.")
    with own_database():
        load.seed(options["bots"], options["trades"], options["markets"], USER)
        client = visitor()
        warming.load()  # as the web server's processes do
        return [line for page in pages() for line in _measured(client, page, options["rounds"])]


def visitor() -> Client:
    """A browser that is logged in. Pages name static files as they lie in the sources: none has to be collected."""
    settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
    client = Client(SERVER_NAME="localhost")
    client.force_login(get_user_model().objects.get(username=USER))
    return client


def pages() -> list[Page]:
    trades = Trade.objects.order_by("time", "id")
    middle = trades[trades.count() // 2]
    first = trades[0]
    bot = Bot.objects.filter(status=Bot.Status.RUNNING).order_by("pk").first() or Bot.objects.order_by("pk")[0]
    return [
        Page("overview", "/", 8, 60),
        Page("equity curve, 7 days", "/equity.json?period=7d", 1, 30, is_kept=False),
        Page("equity curve, all", "/equity.json?period=all", 1, 30, is_kept=False),
        Page("performance, 30 days", "/performance/", 3, 50, is_kept=False),
        Page("performance, all", "/performance/?period=all", 3, 50, is_kept=False),
        Page("bots, 25 of them", "/bots/", 3, 60),
        Page("bot page", f"/bots/{bot.pk}/", 8, 60),
        Page("positions", "/positions/", 2, 30),
        Page("trades, first page", "/trades/", 2, 40),
        Page("trades, in the middle", f"/trades/?after={_place(middle)}", 2, 40),
        Page("trades, the last page", f"/trades/?before={_place(first)}", 2, 40),
        Page("trades of one kind", "/trades/?kind=grid&side=buy", 2, 40),
        Page("orders", "/orders/", 2, 40),
        Page("activity", "/activity/", 2, 40),
    ]


def _place(trade: Trade) -> str:
    return f"{int(trade.time.timestamp() * 1e6)}-{trade.pk}"


def _measured(client: Client, page: Page, rounds: int) -> list[Row]:
    """Its percentiles in ms against the budget, and how many queries it takes beside the visitor's."""
    fresh = (f"{page.path}{'&' if '?' in page.path else '?'}fresh={turn}" for turn in count())
    found = _percentiles(page.name, _times(lambda: client.get(next(fresh)), rounds), page.most_ms)
    with Queries(connection) as queries:
        client.get(next(fresh))
    own = len(queries) - VISITOR_QUERIES - page.is_kept  # which begins with its version
    found.append(row(f"{page.name}, queries", own, "queries", page.most_queries))
    return found + _kept(client, page, rounds) if page.is_kept else found


def _kept(client: Client, page: Page, rounds: int) -> list[Row]:
    """The same page from the store in front of Django, for a browser that has it too; and from Django's own cache."""
    ask = _in_front(client)
    held = client.get(page.path).headers["ETag"]
    job = f"{page.name}, cached"
    return [
        *_percentiles(job, _times(lambda: ask(page.path), rounds), KEPT_MS),
        *_percentiles(f"{page.name}, 304", _times(lambda: ask(page.path, held), rounds), KEPT_MS),
        *_percentiles(f"{job}, behind the store", _times(lambda: client.get(page.path), rounds)),
    ]


def _in_front(client: Client) -> Callable[..., Any]:
    """Asks as the web server does: the page store, and the client's Django behind it."""

    def django(environ: dict[str, Any], _: Any) -> Any:
        return client.handler(environ)

    store = PageStore(django)

    def ask(path: str, known: str = "") -> Any:
        told: list[int] = []
        place, _, query = path.partition("?")
        asked = {"PATH_INFO": place, "QUERY_STRING": query, "HTTP_IF_NONE_MATCH": known}
        environ = client._base_environ(**asked)  # type: ignore[attr-defined]
        answer = store(environ, lambda status, *_: told.append(int(status[:3])))  # type: ignore[arg-type]
        return HttpResponse(status=told[0]) if told else answer

    return ask


def _percentiles(job: str, times: list[float], most: float | None = None) -> list[Row]:
    values = np.percentile(times, PERCENTILES)
    return [
        row(f"{job}, p{percent}", float(value), "ms", most) for percent, value in zip(PERCENTILES, values, strict=True)
    ]


def _times(ask: Callable[[], Any], rounds: int) -> list[float]:
    """Milliseconds of each round. Raises RuntimeError for an answer that is no page."""
    taken = []
    for turn in range(WARM_UP + rounds):
        began = time.perf_counter()
        answer = ask()
        taken.append(1000.0 * (time.perf_counter() - began))
        if answer.status_code not in (200, 304):
            raise RuntimeError(f"a page answered {answer.status_code} in round {turn}")
    return taken[WARM_UP:]
