"""Opens pages as a user does and judges what each asked for: a query for every row, a query that no index serves, a
page or figure that the cache should have had.

Nothing is changed but what reading changes: a session, deleted afterwards, and entries of the cache.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import AbstractBaseUser
from django.db import connections
from django.test import Client
from django.urls import resolve

from bots.models import Bot
from dashboard.system import plans
from dashboard.system.audit import Check, Grade
from dashboard.system.plans import Query
from orchestrator import cache
from orchestrator.observability.tally import repeated, shape

# Pages that a user looks at, and what programs read; {bot}, {market}: one that the user has.
ADDRESSES = (
    "/", "/equity.json", "/equity/", "/performance/", "/performance/correlation/", "/performance.csv",
    "/bots/", "/bots/{bot}/", "/bots/{bot}/chart.json", "/bots/{bot}/equity.json", "/bots/{bot}/equity/",
    "/bots/{bot}/edit/", "/bots/new/",
    "/positions/", "/trades/", "/trades/?bot={bot}", "/orders/", "/orders/?state=all", "/activity/",
    "/activity/?level=attention", "/positions.csv", "/trades.csv", "/orders.csv", "/activity.csv",
    "/backtests/", "/backtests/new/", "/backtests/compare/",
    "/markets/", "/markets/{market}/", "/markets/{market}/chart.json", "/markets/{market}/candles/", "/search/?q=a",
    "/settings/", "/settings/accounts/", "/settings/tokens/", "/settings/channels/", "/settings/channels/new/",
    "/api/accounts", "/api/backtests", "/api/bots", "/api/bots/{bot}", "/api/exchanges",
    "/api/markets", "/api/markets/{market}", "/api/markets/{market}/candles", "/api/markets/{market}/ticker",
    "/api/orders", "/api/positions", "/api/stats", "/api/strategies", "/api/trades",
)  # fmt: skip
# View -> the policy by which all of it is kept: a view that does not even ask the cache has lost it too.
KEPT = {
    **dict.fromkeys(
        ("overview", "bots", "bot", "positions", "trades", "orders", "activity", "backtests", "markets", "market"),
        "pages",
    ),
    "performance": "performance",
}
_ADVICE = "Load rows with the page's own query, make the index that its query names, look at the cache's policy."
_BACKEND = "django.contrib.auth.backends.ModelBackend"
# A page may change between two visits, each minute does; not between all of them.
VISITS = 3


class Breach(NamedTuple):
    """view: by its name; what: the rule; detail: the query, or the policy of the cache."""

    view: str
    what: str
    detail: str

    def __str__(self) -> str:
        return f"{self.view}: {self.what}: {self.detail}"


def breaches(user: AbstractBaseUser, addresses: Sequence[str] = ()) -> list[Breach]:
    """What the pages of a user break (all of ADDRESSES, where none are named).

    Raises ValueError for a page that does not answer.
    """
    bot = Bot.objects.owned_by(user).order_by("-pk").first()
    places = {"bot": bot.pk, "market": bot.market_id} if bot else {}
    large = plans.large_tables()
    found: list[Breach] = []
    with _visitor(user) as get:
        for address in addresses or ADDRESSES:
            if places or "{" not in address:
                found += _judged(get, address.format(**places), large)
    return found


def checks(user: AbstractBaseUser) -> list[Check]:
    """The same as the audit tells it."""
    found = [
        Check(f"Page {breach.view}: {breach.what}", breach.detail, "never", Grade.BROKEN, _ADVICE)
        for breach in breaches(user)
    ]
    return found or [Check(f"Pages of {user.get_username()}", "none breaks a rule", "none", Grade.GOOD)]


def _judged(get: Callable[[str], int], address: str, large: frozenset[str]) -> Iterator[Breach]:
    view = resolve(address.partition("?")[0]).view_name
    with _asked() as queries, cache.noticed() as first:
        status = get(address)
    if status != 200:
        raise ValueError(f"{address} answered {status}.")
    for text, times in repeated(Counter(query.sql for query in queries)):
        yield Breach(view, f"one query {times} times", text)
    for query in queries:
        if table := plans.read_whole(query, large):
            yield Breach(view, f"{table} is read without an index", shape(query.sql))
    for policy in _lost(get, address, first):
        yield Breach(view, "computed anew at every visit", f"policy {policy}")
    if KEPT.get(view) not in {None, *(policy for policy, _ in first)}:
        yield Breach(view, "not asked of the cache", f"policy {KEPT[view]}")


def _lost(get: Callable[[str], int], address: str, first: cache.Noticed) -> list[str]:
    """Policies of the cache that are asked at every visit and never have what the one before computed."""
    lost = {policy for policy, _ in first}
    for _ in range(VISITS):
        if lost:
            with cache.noticed() as found:
                get(address)
            lost &= {policy for policy, outcome in found if outcome == "miss"}
    return sorted(lost)


@contextmanager
def _asked() -> Iterator[list[Query]]:
    """Every statement of this thread, with what it was asked with."""
    queries: list[Query] = []

    def watch(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        queries.append(Query(str(sql), params))
        return execute(sql, params, many, context)

    with ExitStack() as stack:
        for connection in connections.all():
            stack.enter_context(connection.execute_wrapper(watch))
        yield queries


@contextmanager
def _visitor(user: AbstractBaseUser) -> Iterator[Callable[[str], int]]:
    """A browser with a session of the user's own, which no log-in is told of: address -> status."""
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY], session[BACKEND_SESSION_KEY] = str(user.pk), _BACKEND
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    client = Client(raise_request_exception=True, SERVER_NAME="localhost")
    client.cookies[settings.SESSION_COOKIE_NAME] = session.session_key
    try:
        yield lambda address: client.get(address, secure=True).status_code
    finally:
        session.delete()
