"""Backtest, paper and live through the database: the same trades and the same state, for every kind."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bots import live, live_money, runs, services
from bots.kinds import KINDS
from bots.models import Bot
from markets import candles as store
from markets.models import Feed
from tests.bots.conftest import START
from tests.bots.engine.test_invariants import MONEY, PARAMS, candles, every_spot_kind
from tests.bots.test_runs import exact, stored

# As much more as the engine takes for float noise.
CAPITAL = Decimal(10_000) * (1 + Decimal("1e-9"))


@pytest.fixture
def terms(market):
    """The market as the parameters of every kind expect it."""
    market.maker, market.taker, market.min_amount, market.min_cost = Decimal("0.0005"), Decimal("0.001"), 0, 0
    market.save()
    return market


def started(open_account, owner, market, slug, params):
    account = open_account(owner, open_account.__name__, market.exchange, {"USDT": CAPITAL})
    bot = Bot.objects.create(
        owner=owner, account=account, market=market, name=account.name, kind=slug, timeframe=60,
        allocation=Decimal(MONEY), params=params,
    )  # fmt: skip
    return services.start(bot, START)


@every_spot_kind
# A few: whole hypothesis searches are in engine/test_parity.py, in memory.
@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_backtest_paper_and_live_are_one(slug, terms, owner, data):
    series, params = data.draw(candles())[:15], data.draw(PARAMS[slug])
    with transaction.atomic():
        on_paper, on_exchange = (
            started(open_account, owner, terms, slug, params)
            for open_account in (services.open_paper_account, live_money.open_account)
        )
        for half in (series[: len(series) // 2], series[len(series) // 2 :]):
            store.upsert(terms.pk, 60, half)
            Feed.objects.update(synced_to=int(half.time[-1]))
            runs.advance_due()
            live.advance_due()
        backtest = runs.backtest(slug, params, terms, 60, Decimal(MONEY), series)
        assert stored(on_paper) == exact(backtest)
        assert stored(on_exchange) == exact(backtest)
        state, orders = backtest.engine.save()
        on_exchange.refresh_from_db()
        on_paper.refresh_from_db()
        assert on_exchange.status == on_paper.status
        assert bytes(on_exchange.orders) == orders
        # One that has ended sees no more candles; a backtest goes on with it to the last.
        assert bytes(on_exchange.state) == state or on_exchange.status == "stopped"
        transaction.set_rollback(True)


def test_every_kind_of_the_spot_market_is_there():
    assert {slug for slug in KINDS if not KINDS[slug].margin} >= {"grid", "infinity_grid", "trailing", "dca", "signal"}
