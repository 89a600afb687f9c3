"""What the API takes per call, on the data set of seed_load, in a database of its own."""

from __future__ import annotations

import time
from statistics import quantiles
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, CommandParser
from django.db import connection
from django.test import Client, override_settings

from bots import load
from dashboard import tokens
from dashboard.models import ApiToken
from orchestrator import warming
from orchestrator.benchmarks import Row, own_database, row

OWNER = "load"
# Call -> ms that the 95th of a hundred may take; None: no budget was set.
CALLS: dict[str, float | None] = {
    "stats": 20.0,
    "equity-curve?book=paper:USDT&period=30d": 30.0,
    "positions": 30.0,
    "trades": 40.0,
    "trades?mode=paper&page=1000": 40.0,
    "orders": None,
    "bots": None,
    "markets": None,
    "performance?book=paper:USDT&period=30d": 50.0,
}
PAGES_APART = 20  # cursors followed to get deep into the trades


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument("--bots", type=int, default=1000)
    parser.add_argument("--trades", type=int, default=1_000_000)
    parser.add_argument("--markets", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=60, help="Calls of each, after three that do not count.")


def rows(options: dict[str, Any]) -> list[Row]:
    """Of each call the 50th and the 95th of a hundred, in ms, the latter against its budget."""
    if not 10 <= options["rounds"] <= 10_000:
        raise CommandError(f"rounds must be from 10 to 10,000, not {options['rounds']}.")
    # Nobody waits for the limits here.
    with own_database(), override_settings(API_READS_PER_MINUTE=10**6, ALLOWED_HOSTS=["*"]):
        load.seed(options["bots"], options["trades"], options["markets"], OWNER)
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
        owner = get_user_model().objects.get(username=OWNER)
        client = Client(
            headers={"Authorization": f"Bearer {tokens.create(owner, 'benchmark', ApiToken.Scope.READ)[1]}"}
        )
        warming.load()  # as the web server's processes do
        calls = CALLS | {f"trades?cursor={_deep(client)}": 40.0}
        return [found for path, budget in calls.items() for found in _taken(client, path, budget, options["rounds"])]


def _deep(client: Client) -> str:
    """A cursor some 20,000 trades down."""
    cursor = ""
    for _ in range(PAGES_APART):
        asked = f"&cursor={cursor}" if cursor else ""
        found = client.get(f"/api/trades?page_size=1000&fields=id{asked}").json()["next_cursor"]
        if found is None:
            break
        cursor = found
    return cursor


def _taken(client: Client, path: str, budget: float | None, rounds: int) -> list[Row]:
    """Raises CommandError for a call that does not answer: a refusal takes no time."""
    taken = []
    for number in range(rounds + 3):
        began = time.perf_counter()
        answer = client.get(f"/api/{path}")
        if answer.status_code != 200:
            raise CommandError(f"/api/{path} answered {answer.status_code}.")
        if number >= 3:
            taken.append(1000.0 * (time.perf_counter() - began))
    cuts = quantiles(taken, n=100)
    named = path if len(path) < 60 else path[:59] + "…"
    return [row(f"{named}, median", cuts[49], "ms"), row(f"{named}, p95", cuts[94], "ms", budget)]
