"""Swaps on the simulated exchange: margin of their own, funding, leverage that the market bounds."""

from __future__ import annotations

from decimal import Decimal

import pytest

from markets import funding
from markets.desk_margin import funding as payment
from markets.gateway import GatewayError
from markets.models import SimulatedTransfer
from markets.simulated_money import close_account, deposit, holdings, wallets
from markets.surface import Rate, Transfer
from markets.trading import SimulatedTrading
from tests.markets.test_trading import (  # noqa: F401 (fixtures)
    MINUTE,
    QUIET,
    START,
    close,
    exchange,
    fault,
    market,
    order,
    through,
)

HOUR = 3_600_000
FIRST = START // HOUR * HOUR + HOUR


@pytest.fixture
def swap(market):  # noqa: F811
    market.symbol, market.type = "SOL/USDT:USDT", "swap"
    market.max_leverage, market.maintenance_rate = Decimal(10), Decimal("0.01")
    market.save()
    return market


def trading(swap, label="r1", leverage=5.0, since=START - MINUTE):
    return SimulatedTrading(swap, "ann", label, 60, since, leverage)


def test_margin_is_moved_once_however_often_it_is_asked_for(swap, exchange):  # noqa: F811
    assert trading(swap).fetch_transfer("r1-in") is None
    done = Transfer("r1-in", Decimal(400))
    assert trading(swap).add_margin("r1-in", Decimal(400)) == done
    assert trading(swap).add_margin("r1-in", Decimal(500)) == done == trading(swap).fetch_transfer("r1-in")
    assert holdings(exchange, "ann") == {"USDT": 600} == trading(swap).fetch_balance()
    assert wallets(exchange, "ann") == {"r1": {"USDT": 400}}
    trading(swap, "r2").add_margin("r2-in", Decimal(100))
    assert trading(swap).withdraw_margin("r1-out") == trading(swap).withdraw_margin("r1-out")
    assert holdings(exchange, "ann") == {"USDT": 900}
    assert wallets(exchange, "ann")["r2"] == {"USDT": 100}
    close_account(exchange, "ann")
    assert (holdings(exchange, "ann"), wallets(exchange, "ann")) == ({}, {})
    assert not SimulatedTransfer.objects.exists()


def test_what_cannot_be_moved_has_a_reason_and_stays_so(swap, exchange):  # noqa: F811
    desk = trading(swap)
    refused = Transfer("r1-in", Decimal(0), "the account holds 1000 USDT")
    assert desk.add_margin("r1-in", Decimal(1001)) == refused
    deposit(exchange, "ann", {"USDT": Decimal(1000)})
    assert desk.add_margin("r1-in", Decimal(1001)) == refused
    desk.add_margin("r1-in2", Decimal(1000))
    close(swap, (100, 100, 100, 100))
    desk.create_order(order("r1-1", "market", "sell", None, "3"))
    through(desk)
    assert desk.withdraw_margin("r1-out") == Transfer("r1-out", Decimal(0), "a position of -3 SOL is open")
    assert wallets(exchange, "ann")["r1"] == {"USDT": 1000 + 300 - Decimal("0.6"), "SOL": -3}


def test_a_transfer_whose_answer_is_lost_was_made_all_the_same(swap, exchange):  # noqa: F811
    fault(exchange, time_out_one_in=1)
    with pytest.raises(GatewayError, match="did not answer in time"):
        trading(swap).add_margin("r1-in", Decimal(400))
    assert trading(swap).add_margin("r1-in", Decimal(400)).amount == 400
    assert holdings(exchange, "ann") == {"USDT": 600}


def test_spot_markets_have_no_margin(market):  # noqa: F811
    with pytest.raises(GatewayError, match="SOL/USDT is no swap and has no margin"):
        trading(market).add_margin("r1-in", Decimal(1))


def test_a_position_and_its_entries_need_no_more_than_the_margin(swap):
    desk = trading(swap)
    desk.add_margin("r1-in", Decimal(100))
    assert desk.create_order(order("r1-1", price="95", amount="3")).status == "open"
    over = desk.create_order(order("r1-2", price="94", amount="2.4"))
    assert (over.status, over.reason) == (
        "rejected", "it needs 102.12 USDT of margin with what is open, and the margin is 100",
    )  # fmt: skip
    assert desk.create_order(order("r1-3", price="94", amount="2")).status == "open"
    assert desk.create_order(order("r1-4", side="sell", price="105", amount="4")).status == "open", "the other side"


def test_no_more_leverage_than_the_market_allows_but_to_close(swap):
    close(swap, (100, 100, 100, 100))
    desk = trading(swap, leverage=10.0)
    desk.add_margin("r1-in", Decimal(100))
    desk.create_order(order("r1-1", "market", "buy", None, "2"))
    through(desk)
    bold = trading(swap, leverage=11.0)
    assert bold.create_order(order("r1-2", price="95", amount="1")).reason == (
        "its leverage 11 is above the 10 that this market allows"
    )
    assert bold.create_order(order("r1-3", side="sell", price="105", amount="2")).status == "open"
    assert bold.create_order(order("r1-4", side="sell", price="105", amount="2.5")).status == "rejected"


def test_funding_is_a_moment_at_the_open_paid_from_the_margin_once(swap, exchange):  # noqa: F811
    funding.upsert(swap.pk, [Rate(FIRST, 0.001), Rate(FIRST + HOUR, 0.001)])
    begin = FIRST - MINUTE
    close(swap, *[(100, 100, 100, 100)] * ((FIRST - START) // MINUTE), (102, 102, 102, 102))
    desk = trading(swap, since=begin - MINUTE)
    desk.add_margin("r1-in", Decimal(500))
    desk.create_order(order("r1-1", "market", "sell", None, "3"))
    told = through(desk, watch=QUIET._replace(since=begin))
    assert [(moment.kind, moment.time) for moment in told] == [
        ("executed", begin), ("closed", begin), ("funded", FIRST), ("closed", FIRST),
    ]  # fmt: skip
    again = trading(swap).go_on(2, QUIET._replace(since=begin))
    assert again == told[3], "the last moment is all it tells"
    assert (told[2].price, told[2].rate, told[2].paid) == (102.0, 0.001, Decimal("-0.306"))
    assert wallets(exchange, "ann")["r1"]["USDT"] == 800 - Decimal("0.6") + Decimal("0.306")


def test_a_rate_that_settles_without_a_position_is_told_and_costs_nothing(swap, exchange):  # noqa: F811
    funding.upsert(swap.pk, [Rate(FIRST, 0.001)])
    close(swap, *[(100, 100, 100, 100)] * ((FIRST - START) // MINUTE + 1))
    desk = trading(swap)
    watch = QUIET._replace(since=FIRST - MINUTE)
    first = desk.go_on(0, watch)
    told = desk.go_on(1, watch._replace(since=FIRST - MINUTE + 1))
    assert (first.kind, told.kind, told.paid) == ("closed", "funded", 0)
    assert trading(swap).go_on(1, watch) == told


@pytest.mark.parametrize(
    ("position", "rate", "paid"), [("2", 0.001, "0.2"), ("-2", 0.001, "-0.2"), ("2", -0.001, "-0.2"), ("0", 0.001, "0")]
)
def test_longs_pay_a_positive_rate_and_shorts_receive_it(position, rate, paid):
    assert payment(Decimal(position), 100.0, rate) == Decimal(paid)
