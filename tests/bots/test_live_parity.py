"""Backtest, paper and live through the database: the same trades and the same state, for every kind."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bots import live, live_money, runs, services
from bots.kinds import KINDS
from bots.models import Bot
from markets import candles as store
from markets import funding
from markets.models import Feed, Market
from markets.series import Candles
from markets.surface import Rate
from tests.bots.conftest import MINUTE, START
from tests.bots.engine.made_up import MONEY, PARAMS, candles, every_margin_kind, every_spot_kind
from tests.bots.test_funding import FIRST, HOUR, paid
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


@every_margin_kind
@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_on_swaps_too_with_their_funding_payments_and_their_book(slug, terms, owner, data):
    series, params = over_an_hour(data.draw(candles())[:15]), data.draw(PARAMS[slug])
    with transaction.atomic():
        swap(terms)
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
        payments = [(p.time, p.rate, p.price, p.position, p.paid) for p in backtest.payments]
        for run in (on_paper, on_exchange):
            run.refresh_from_db()
            assert stored(run) == exact(backtest)
            assert paid(run) == payments
            assert (run.cash, run.position, run.cost, run.funding) == (
                backtest.book.cash, backtest.book.position, backtest.book.cost, backtest.book.funding
            )  # fmt: skip
        assert (on_exchange.status, on_exchange.bot.reason) == (on_paper.status, on_paper.bot.reason)
        state, orders = backtest.engine.save()
        assert bytes(on_exchange.orders) == orders
        assert bytes(on_exchange.state) == state or on_exchange.status == "stopped"
        free = [run.bot.account.balances.get(currency="USDT").free for run in (on_paper, on_exchange)]
        assert free[0] == free[1]
        transaction.set_rollback(True)


def over_an_hour(series: Candles) -> Candles:
    """The same candles, the fourth of which opens with a full hour."""
    return replace(series, time=series.time + (FIRST - START - 3 * MINUTE))


def swap(market: Market) -> None:
    """Make a market a swap whose funding settles at that hour."""
    market.type, market.max_leverage, market.maintenance_rate = "swap", Decimal(20), Decimal("0.005")
    market.funding_to = FIRST + HOUR
    market.save()
    funding.upsert(market.pk, [Rate(FIRST, 0.0007)])


def test_every_kind_of_the_spot_market_is_there():
    assert {slug for slug in KINDS if not KINDS[slug].margin} >= {"grid", "infinity_grid", "trailing", "dca", "signal"}
