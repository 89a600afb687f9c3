"""What the server needs to try a bot while its form is filled in: a year of minutes, every kind."""

from __future__ import annotations

import time
from decimal import Decimal
from statistics import median, quantiles
from typing import Any
from urllib.parse import urlencode

import numpy as np
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import CommandParser
from django.test import Client
from django.urls import reverse

from bots.kinds import KINDS
from bots.kinds.contract import Kind
from bots.models import Account, Balance
from dashboard.forms import suggested
from markets import candles as store
from markets.models import Exchange, Feed, Market
from markets.series import Candles
from orchestrator.benchmarks import Row, own_database, row

FIRST_MS = 1_700_000_040_000
PARTS = 4  # prices a candle is made of


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument("--rounds", type=int, default=40, help="Previews of each kind; default: 40.")
    parser.add_argument("--days", type=int, default=365, choices=(30, 90, 365), help="Of minutes; default: 365.")


def rows(options: dict[str, Any]) -> list[Row]:
    """Median and 95th percentile of each kind, through the whole of Django, and the first one on a market.

    Beside the time on the clock what the process itself was busy: a shared machine shows the difference.
    """
    found = []
    with own_database():
        client, account, markets = _site(options["days"])
        for kind in KINDS.values():
            if kind.columns(kind.read(kind.example)):
                continue  # a model's predictions are trained before; without them it measures the training
            market = markets["swap" if kind.margin else "spot"]
            busy = time.process_time()
            first, taken = _previews(client, account, market, kind, options)
            busy = 1000 * (time.process_time() - busy) / (len(taken) + 1)
            name = f"preview of {kind.slug}, {options['days'] * 1440:,} candles"
            found.append(row(f"{name}, p50", median(taken), "ms"))
            found.append(row(f"{name}, p95", quantiles(taken, n=20)[-1], "ms"))
            found.append(row(f"{name}, the first", first, "ms"))
            found.append(row(f"{name}, processor time, the first included", busy, "ms"))
    return found


def _previews(
    client: Client, account: Account, market: Market, kind: Kind, options: dict[str, Any]
) -> tuple[float, list[float]]:
    """(the first one, the others), ms; each with other money, so that no answer is known."""
    taken = []
    for turn in range(options["rounds"] + 1):
        typed = suggested(kind, market, account, 60, Decimal(2000 + turn)) | {"days": str(options["days"])}
        address = f"{reverse('new-bot')}?{urlencode(typed | {'kind': kind.slug})}"
        began = time.perf_counter()
        answer = client.get(address, headers={"HX-Request": "true"})
        taken.append(1000 * (time.perf_counter() - began))
        if answer.status_code != 200 or b"At worst" not in answer.content:
            raise RuntimeError(f"the preview of {kind.slug} answered {answer.status_code} without a result")
    return taken[0], taken[1:]


def _site(days: int) -> tuple[Client, Account, dict[str, Market]]:
    """A visitor with money, and a market of each type with so many days of minutes."""
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "testserver"]
    owner = get_user_model().objects.create(username="benchmark", password="!")
    exchange = Exchange.objects.create(slug="benchmark", name="Benchmark", ccxt_id="simulated", enabled=False)
    account = Account.objects.create(owner=owner, name="Benchmark", exchange=exchange)
    Balance.objects.create(account=account, currency="USDT", free=Decimal(10**6))
    walk = _walk(days * 1440)
    markets = {kind: _market(exchange, kind, walk) for kind in ("spot", "swap")}
    client = Client()
    client.force_login(owner)
    return client, account, markets


def _market(exchange: Exchange, kind: str, walk: Candles) -> Market:
    swap = kind == "swap"
    market = Market.objects.create(
        exchange=exchange, symbol=f"C/USDT{':USDT' if swap else ''}", base="C", quote="USDT", type=kind,
        tick=Decimal("0.01"), lot=Decimal("0.0001"), min_cost=Decimal(5), maker=Decimal("0.001"),
        taker=Decimal("0.001"), max_leverage=Decimal(20 if swap else 1),
        maintenance_rate=Decimal("0.005" if swap else 0), last=float(walk.close[-1]),
    )  # fmt: skip
    Feed.objects.create(market=market, timeframe=60, synced_to=int(walk.time[-1]))
    store.upsert(market.pk, 60, walk)
    return market


def _walk(count: int) -> Candles:
    """A random walk that comes back to 100, so that grids keep trading."""
    random = np.random.RandomState(7)
    steps, value, path = random.normal(0, 0.0004, count * PARTS), 0.0, np.empty(count * PARTS)
    for index, step in enumerate(steps.tolist()):
        value = 0.9999 * value + step
        path[index] = value
    prices = np.round(100 * np.exp(path), 2).reshape(count, PARTS)
    columns = (prices[:, 0], prices.max(1), prices.min(1), prices[:, -1], np.ones(count))
    time_ = FIRST_MS + 60_000 * np.arange(count, dtype=np.int64)
    return Candles(time_, *(np.ascontiguousarray(column) for column in columns))
