"""What must hold of every kind, on candles and parameters that hypothesis makes up."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.book import Book
from bots.engine.simulate import step
from bots.engine.types import BUY, LIMIT, LIQUIDATION, SELL, STOP, STOPPED, TRAIL
from bots.kinds import KINDS
from markets.precision import to_decimal
from tests.bots.engine.made_up import (
    MARGIN_TERMS,
    MONEY,
    PARAMS,
    TERMS,
    candles,
    every_kind,
    every_spot_kind,
    fresh,
    led,
    observed,
    same,
)


def test_every_kind_has_parameters_to_be_tested_with():
    assert set(PARAMS) == set(KINDS)


@every_kind
@given(data=st.data())
def test_prefix_the_first_bars_give_the_first_results(slug, data):
    """No look-ahead: what comes later changes nothing before it."""
    series, params = data.draw(candles()), data.draw(PARAMS[slug])
    cut = data.draw(st.integers(1, len(series)))
    whole, part = led(fresh(slug, params), series), led(fresh(slug, params), series[:cut])
    assert same(whole.trades[: len(part.trades)], part.trades)
    assert same(whole.notes[: len(part.notes)], part.notes)
    assert same(whole.equity[:cut], part.equity)


@every_kind
@given(data=st.data())
def test_resume_saved_and_restored_at_every_bar_gives_the_same(slug, data):
    series, params = data.draw(candles()), data.draw(PARAMS[slug])
    whole = fresh(slug, params)
    seen = observed(whole, series)
    expected = step(whole, series, seen)
    state, trades, notes = fresh(slug, params).save(), [], []
    for index in range(len(series)):
        engine, bar = fresh(slug, params).restore(*state), slice(index, index + 1)
        steps = step(engine, series[bar], seen[bar])
        trades.append(steps.trades)
        notes.append(steps.notes)
        state = engine.save()
    assert state == whole.save()
    assert same(np.concatenate(trades), expected.trades)
    assert same(np.concatenate(notes), expected.notes)


@every_kind
@given(data=st.data())
def test_idempotence_bars_that_were_seen_already_change_nothing(slug, data):
    series, params = data.draw(candles()), data.draw(PARAMS[slug])
    back = data.draw(st.integers(0, len(series)))
    engine = fresh(slug, params)
    led(engine, series)
    before = engine.save()
    again = led(engine, series, slice(back, None))
    assert not len(again.trades)
    assert not len(again.notes)
    assert engine.save() == before


@every_kind
@given(data=st.data())
def test_of_every_run_money_fills_and_orders_are_as_promised(slug, data):
    engine, series = fresh(slug, data.draw(PARAMS[slug])), data.draw(candles())
    steps = led(engine, series)
    replay_the_ledger_follows_from_the_trades(engine, steps.trades)
    conservation_the_exact_book_adds_up(engine, steps.trades)
    every_fill_lies_within_its_bar(series, steps.trades)
    working_orders_are_on_their_tick_and_lot_and_not_crossed(engine)
    if engine.kind.margin:
        no_loss_exceeds_the_allocation_and_liquidation_is_the_end(engine, steps)
    else:
        it_never_spends_more_than_its_allocation_nor_sells_what_it_has_not(engine, steps.trades)
    if slug in ("grid", "infinity_grid"):
        a_grid_can_always_pay_for_what_it_wants(engine, steps.notes)


def replay_the_ledger_follows_from_the_trades(engine, trades):
    run = engine.run[0]
    assert run["fills"] == len(trades)
    assert run["fees"] == pytest.approx(trades["fee"].sum(), abs=1e-9)
    assert run["position"] == pytest.approx((trades["side"] * trades["amount"]).sum(), abs=1e-9)
    spent = (trades["side"] * trades["price"] * trades["amount"] + trades["fee"]).sum()
    assert run["cash"] == pytest.approx(MONEY - spent, rel=1e-9, abs=1e-9)
    assert run["realized"] == pytest.approx(trades["realized"].sum(), abs=1e-6)


def conservation_the_exact_book_adds_up(engine, trades):
    """In Decimal, to the last unit: money in = money out + fees + what is held, and nothing has odd digits."""
    book, spent, fees = Book(Decimal(10_000)), Decimal(0), Decimal(0)
    for trade in trades:
        price, amount = to_decimal(trade["price"], Decimal("0.01")), to_decimal(trade["amount"], Decimal("0.001"))
        fee = to_decimal(trade["fee"], Decimal("1e-8"))
        assert float(price) == trade["price"]
        assert float(amount) == trade["amount"]
        book.apply(int(trade["side"]), price, amount, fee)
        spent += int(trade["side"]) * price * amount
        fees += fee
    assert book.cash == 10_000 - spent - fees
    assert float(book.position) == engine.run["position"][0]
    # Everything that was ever locked in is cash, fees, or the cost of what is still held; a short's was received.
    cost = book.cost if book.position >= 0 else -book.cost
    assert book.cash + book.fees + cost - book.realized == 10_000


def every_fill_lies_within_its_bar(series, trades):
    bar = np.searchsorted(series.time, trades["time"])
    limits = trades["type"] == LIMIT
    assert (series.time[bar] == trades["time"]).all()
    assert (trades["price"][limits] >= series.low[bar][limits]).all()
    assert (trades["price"][limits] <= series.high[bar][limits]).all()
    better = trades["side"] * (trades["limit"] - trades["price"])
    assert (better[limits] >= 0).all(), "a limit order never fills at a worse price than its own"


def working_orders_are_on_their_tick_and_lot_and_not_crossed(engine):
    wanted = engine.orders[engine.wanted()]
    price = engine.run["price"][0]
    limits = wanted[wanted["type"] == LIMIT]
    buys, sells = limits[limits["side"] == BUY], limits[limits["side"] == SELL]
    stops = wanted[(wanted["type"] == STOP) | (wanted["type"] == TRAIL)]
    assert (buys["price"] < price).all()
    assert (sells["price"] > price).all()
    assert ((stops["price"] - price) * stops["side"] > 0).all()
    assert len(set(wanted["sequence"])) == len(wanted)
    for order in limits:
        assert float(to_decimal(order["price"], Decimal("0.01"))) == order["price"]
        assert float(to_decimal(order["amount"], Decimal("0.001"))) == order["amount"]


def it_never_spends_more_than_its_allocation_nor_sells_what_it_has_not(engine, trades):
    """Neither by its trades nor by the orders that work."""
    cash = MONEY - np.cumsum(trades["side"] * trades["price"] * trades["amount"] + trades["fee"])
    assert (cash >= -1e-5).all()
    assert (np.cumsum(trades["side"] * trades["amount"]) >= -1e-9).all()
    wanted, run = engine.orders[engine.wanted()], engine.run[0]
    limits = wanted[wanted["type"] == LIMIT]
    buys, sells = limits[limits["side"] == BUY], limits[limits["side"] == SELL]
    assert (buys["price"] * buys["amount"]).sum() <= run["cash"] + 1e-5
    assert sells["amount"].sum() <= run["position"] + 1e-9


def no_loss_exceeds_the_allocation_and_liquidation_is_the_end(engine, steps):
    assert (steps.equity >= -1e-6).all()
    if LIQUIDATION in steps.trades["type"]:
        assert steps.trades["type"][-1] == LIQUIDATION
        assert engine.run["status"][0] == STOPPED
        assert engine.run["position"][0] == 0.0
        assert not engine.orders["type"].any()


def a_grid_can_always_pay_for_what_it_wants(engine, notes):
    """Its money is shared out at the start: no order is ever refused, neither when placed nor when filled."""
    assert not (set(notes["code"].tolist()) - set(engine.kind.notes))


@every_spot_kind
@given(data=st.data())
def test_spot_kinds_trade_on_margin_as_on_spot(slug, data):
    """At leverage 1, long only. One that ends and would keep what it holds closes it on margin."""
    series, params = data.draw(candles()), data.draw(PARAMS[slug])
    engines = [fresh(slug, params, terms) for terms in (TERMS, MARGIN_TERMS)]
    on_spot, on_margin = (led(engine, series).trades for engine in engines)
    for name in ("time", "side", "price", "amount", "fee"):
        assert same(on_spot[name], on_margin[name][: len(on_spot)])
    if len(on_margin) > len(on_spot):
        assert len(on_margin) == len(on_spot) + 1
        assert engines[1].run["status"][0] == STOPPED
        assert engines[1].run["position"][0] == 0.0


def test_state_of_another_layout_is_refused():
    engine = fresh("grid", {"lower": 90, "upper": 110, "lines": 5})
    run, orders = engine.save()
    with pytest.raises(ValueError, match="saved state has"):
        engine.restore(run[:-8], orders)
    engine.run["version"] = 99
    saved = engine.save()
    with pytest.raises(ValueError, match="saved state has version 99"):
        engine.restore(*saved)
