"""Kinds and markets: what trades where, and what is refused."""

from __future__ import annotations

from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from bots import runs, services
from bots.kinds import KINDS
from bots.kinds.parameters import ParamsError
from bots.models import Bot
from bots.records import terms_of
from bots.services import Refused
from markets import candles as store
from tests.bots.conftest import GRID, bars


@pytest.fixture
def swap(market):
    market.symbol, market.type = "SOL/USDT:USDT", "swap"
    market.max_leverage, market.maintenance_rate = Decimal(10), Decimal("0.05")
    market.save()
    return market


def problems(kind, market, **params) -> dict:
    with pytest.raises(ParamsError) as caught:
        services.validate(kind, params, market, 60, Decimal(1000))
    return caught.value.problems


def test_terms_of_a_swap_are_those_of_margin(swap, market):
    terms = terms_of(swap)
    assert (terms.margin, terms.maintenance) == (True, 0.05)
    market.type = "spot"
    assert not terms_of(market).margin


@pytest.mark.parametrize("kind", [slug for slug, kind in KINDS.items() if kind.margin])
def test_kinds_of_margin_need_a_swap(market, kind):
    sentence = f"market must be a swap for the {kind} kind, not spot."
    assert problems(kind, market, **KINDS[kind].example) == {"market": sentence}


def test_no_more_leverage_than_the_market_allows(swap):
    services.validate("futures_position", {"leverage": 10}, swap, 60, Decimal(1000))
    sentence = "leverage must be at most 10 on SOL/USDT:USDT, not 11."
    assert problems("futures_position", swap, leverage=11) == {"leverage": sentence}


def test_kinds_of_spot_trade_on_swaps(swap):
    services.validate("grid", GRID, swap, 60, Decimal(1000))
    assert runs.backtest("grid", GRID, swap, 60, Decimal(1000), bars((100, 100, 94, 95))).trades


def test_a_bot_on_the_wrong_market_does_not_start(bot, market):
    Bot.objects.update(kind="futures_grid", params=KINDS["futures_grid"].example)
    with pytest.raises(Refused, match="market must be a swap"):
        services.start(bot)


@pytest.mark.parametrize(
    ("symbol", "params", "sentence"),
    [
        ("SOL/USDT", "{}", "market must be a swap for the futures_position kind, not spot."),
        ("SOL/USDT:USDT", '{"leverage": 15}', "leverage must be at most 10 on SOL/USDT:USDT, not 15."),
    ],
)
def test_a_backtest_is_refused_with_the_same_sentence(market, symbol, params, sentence, request):
    if symbol.endswith(":USDT"):
        request.getfixturevalue("swap")
    store.upsert(market.pk, 60, bars((100, 101, 99, 100)))
    with pytest.raises(CommandError) as caught:
        call_command(
            "backtest", "futures_position", "--exchange", "sim", "--market", symbol, "--timeframe", "1m", "--params",
            params, stdout=StringIO(),
        )  # fmt: skip
    assert sentence in str(caught.value)
