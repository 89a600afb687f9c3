from __future__ import annotations

from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from bots import backtests
from bots.models import Balance, Order, Position, Trade
from dashboard import tokens
from markets.models import Quotes
from tests.dashboard.cast import make_draft


@pytest.fixture(autouse=True)
def counted_from_nothing(redis):
    """Every test begins with all of its requests left."""


class Caller:
    """Requests with a token; the answer with its JSON as .data."""

    def __init__(self, token):
        self.client = Client(headers={"Authorization": f"Bearer {token}"})

    def __call__(self, path, body=None, method=None, **headers):
        method = method or ("GET" if body is None else "POST")
        sent = {} if body is None else {"data": body, "content_type": "application/json"}
        answer = getattr(self.client, method.lower())(f"/api/{path}", **sent, headers=headers)
        answer.data = answer.json() if answer.content else None
        return answer


@pytest.fixture
def token(owner):
    return tokens.create(owner, "script", "trade")[1]


@pytest.fixture
def ask(token):
    return Caller(token)


@pytest.fixture
def ask_as_stranger(stranger):
    return Caller(tokens.create(stranger, "script", "trade")[1])


@pytest.fixture
def draft(owner, market):
    """A bot that was never started, with the money to start it."""
    draft = make_draft(owner, market)
    Balance.objects.create(account=draft.account, currency="USDT", free=Decimal(5000))
    return draft


@pytest.fixture
def places(owner, bot, draft):
    """Path parameters that lead to something of the owner's, or of everybody's."""
    Quotes.objects.create(market=bot.market, bids=[[101.0, 1.0]], asks=[[102.0, 1.0]], book_at=timezone.now())
    return {
        "bot_id": draft.pk,
        "market_id": bot.market_id,
        "exchange_id": bot.market.exchange_id,
        "account_id": bot.account_id,
        "trade_id": Trade.objects.first().pk,
        "order_id": Order.objects.first().pk,
        "position_id": Position.objects.first().pk,
        "kind": "grid",
        "backtest_id": backtests.ask(owner, "grid", bot.params, {}, bot.market, 60, Decimal(1000), None)[0].pk,
    }
