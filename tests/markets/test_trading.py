"""The simulated exchange remembers what it was asked and what it did, whoever asks again."""

from __future__ import annotations

from decimal import Decimal

import pytest

from markets import candles as store
from markets.gateway import GatewayError, connect_trading
from markets.models import Exchange, Market
from markets.series import Candles
from markets.simulated_money import deposit, holdings
from markets.surface import Alert, OrderRequest, Watch
from markets.trading import SimulatedTrading

START, MINUTE = 1_700_000_040_000, 60_000
QUIET = Watch((), 0.0, float("inf"), 2**62, 2**62)


@pytest.fixture
def exchange(db):
    return Exchange.objects.create(slug="sim", name="Simulated", ccxt_id="simulated", ccxt_config={})


@pytest.fixture
def market(exchange):
    made = Market.objects.create(
        exchange=exchange, symbol="SOL/USDT", base="SOL", quote="USDT", tick="0.01", lot="0.001", min_amount="0.01",
        min_cost="5", maker="0.001", taker="0.002",
    )  # fmt: skip
    made.refresh_from_db()
    deposit(exchange, "ann", {"USDT": Decimal(1000)})
    return made


def close(market, *rows):
    candles = [(START + index * MINUTE, *map(float, row), 1.0) for index, row in enumerate(rows)]
    store.upsert(market.pk, 60, Candles.from_rows(candles))


def trading(market, **options):
    return SimulatedTrading(market, "ann", "r1", 60, START - MINUTE, **options)


def order(client_id="r1-1", kind="limit", side="buy", price="95", amount="2", **more):
    return OrderRequest(client_id, kind, side, Decimal(price) if price else None, Decimal(amount), **more)


def fault(exchange, **faults):
    Exchange.objects.filter(pk=exchange.pk).update(ccxt_config={"faults": faults})


def through(desk, after=0, watch=QUIET):
    """Every moment there is."""
    told = []
    while moment := desk.go_on(after, watch):
        told.append(moment)
        after = moment.number
    return told


def test_an_order_is_filled_where_the_path_touches_it_and_paid_for(market, exchange):
    close(market, (100, 100, 94, 98), (98, 104, 97, 103))
    desk = trading(market)
    assert desk.create_order(order()).status == "open"
    first = desk.go_on(0, QUIET)
    assert (first.kind, first.time, first.price) == ("executed", START, 95.0)
    (execution,) = first.executions
    assert execution[:] == (1, "r1-1", START, Decimal("95.00"), Decimal("2.000"), Decimal("0.19"), Decimal(0))
    desk.create_order(order("r1-2", side="sell", price="103"))
    kinds = [(moment.kind, moment.price) for moment in through(desk, 1)]
    assert kinds == [("closed", 98.0), ("executed", 103.0), ("closed", 103.0)]
    assert holdings(exchange, "ann") == {"USDT": Decimal("1015.604"), "SOL": 0}
    assert desk.fetch_balance() == holdings(exchange, "ann")
    assert [(e.id, e.client_id) for e in desk.fetch_my_trades(0)] == [(1, "r1-1"), (2, "r1-2")]
    assert [e.id for e in desk.fetch_my_trades(1)] == [2]
    assert desk.fetch_open_orders() == []


def test_the_same_question_has_the_same_answer_also_in_another_process(market):
    close(market, (100, 100, 94, 98))
    trading(market).create_order(order())
    first = trading(market).go_on(0, QUIET)
    assert trading(market).go_on(0, QUIET) == first
    second = trading(market).go_on(1, QUIET)
    assert (second.number, second.kind) == (2, "closed")
    assert trading(market).go_on(0, QUIET) == second, "the last moment is all it tells"
    assert trading(market).go_on(2, QUIET) is None


def test_a_client_id_is_an_order_once(market):
    close(market, (100, 100, 94, 98))
    desk = trading(market)
    first = desk.create_order(order())
    assert desk.create_order(order(amount="3")) == first
    desk.go_on(0, QUIET)
    assert desk.create_order(order()).status == "closed"
    assert len(through(desk, 1)) == 1
    assert desk.fetch_order("r1-1").filled == 2
    assert desk.fetch_order("r1-9") is None


def test_a_canceled_order_fills_no_more_and_canceling_twice_is_the_same(market):
    close(market, (100, 100, 94, 98))
    desk = trading(market)
    desk.create_order(order())
    assert [info.client_id for info in desk.fetch_open_orders()] == ["r1-1"]
    assert desk.cancel_order("r1-1").status == desk.cancel_order("r1-1").status == "canceled"
    assert desk.cancel_order("r1-9") is None
    assert [moment.kind for moment in through(desk)] == ["closed"]


def test_it_stops_at_alerts_turns_and_begins_that_it_was_asked_to_tell_of(market):
    close(market, (100, 105, 94, 98), (98, 98, 98, 98))
    desk = trading(market)
    watch = Watch([Alert(7, "sell", 96.0)], 95.0, 104.0, START, START)
    told, after = [], 0
    while moment := desk.go_on(after, watch):
        told.append((moment.kind, moment.price, moment.rank))
        after = moment.number
        watch = watch._replace(alerts=[] if moment.kind == "touched" else watch.alerts)
    assert told == [
        ("opened", 100.0, -1), ("turned", 105.0, -1), ("touched", 96.0, 7), ("turned", 94.0, -1), ("closed", 98.0, -1),
    ]  # fmt: skip


def test_a_limit_holds_between_ticks_that_grew_coarser_since(market):
    close(market, (100, 100, 94, 98), (98, 104, 97, 103))
    desk = trading(market)
    desk.create_order(order(price="95.35"))
    desk.create_order(order("r1-2", side="sell", price="103.15"))
    market.tick = Decimal("0.5")
    prices = [moment.executions[0].price for moment in through(trading(market)) if moment.executions]
    assert prices == [Decimal("95.0"), Decimal("103.5")]


def test_market_and_stop_orders_slip_and_pay_as_takers(market):
    close(market, (100, 100, 90, 92))
    desk = trading(market, slippage=0.01)
    desk.create_order(order("r1-1", "market", "buy", None, "3"))
    desk.create_order(order("r1-2", "stop", "sell", "95", "3"))
    told = through(desk)
    trades = [(e.price, e.amount, e.fee) for moment in told for e in moment.executions]
    assert trades == [
        (Decimal("101.00"), Decimal("3.000"), Decimal("0.606")), (Decimal("94.05"), Decimal(3), Decimal("0.5643")),
    ]  # fmt: skip


def test_a_market_order_for_so_much_money_spends_no_more(market, exchange):
    close(market, (100, 100, 100, 100))
    desk = trading(market)
    desk.create_order(order("r1-1", "market", "buy", None, "1", cost=Decimal(1000)))
    (execution,) = through(desk)[0].executions
    assert execution.amount == Decimal("9.98")
    assert Decimal(0) < holdings(exchange, "ann")["USDT"] < Decimal("0.1")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"amount": "0.005"}, "its amount 0.005 is below the minimum 0.01"),
        ({"amount": "0.05"}, "its value 4.75 is below the minimum 5"),
    ],
)
def test_too_small_an_order_is_rejected_with_the_reason(market, wrong, reason):
    info = trading(market).create_order(order(**wrong))
    assert (info.status, info.reason) == ("rejected", reason)


def test_an_order_without_the_money_for_it_is_ended_with_the_reason(market):
    close(market, (100, 100, 94, 98))
    desk = trading(market)
    desk.create_order(order(amount="20"))
    moment = desk.go_on(0, QUIET)
    assert (moment.kind, moment.order.status) == ("ended", "rejected")
    assert moment.order.reason == "it costs 1901.90000000 USDT, and the account holds 1000.000000000000000000"
    assert desk.fetch_order("r1-1") == moment.order


def test_two_desks_of_an_account_share_its_money(market, exchange):
    close(market, (100, 100, 94, 98))
    other = SimulatedTrading(market, "ann", "r2", 60, START - MINUTE)
    for desk in (trading(market), other):
        desk.create_order(order(amount="7"))
    assert trading(market).go_on(0, QUIET).kind == "executed"
    assert other.go_on(0, QUIET).kind == "ended"


class TestFaults:
    def test_an_exchange_that_is_down_answers_nothing(self, market, exchange):
        fault(exchange, down=True)
        with pytest.raises(GatewayError, match=r"^The simulated exchange cannot be reached\.$") as caught:
            trading(market).create_order(order())
        assert not caught.value.permanent
        fault(exchange)
        assert trading(market).fetch_order("r1-1") is None

    def test_an_answer_that_does_not_come_leaves_an_order_that_is_known(self, market, exchange):
        fault(exchange, time_out_one_in=1)
        with pytest.raises(GatewayError, match="did not answer in time"):
            trading(market).create_order(order())
        assert trading(market).fetch_order("r1-1").status == "open"
        assert trading(market).create_order(order()).status == "open"

    def test_rejected_is_rejected_for_good(self, market, exchange):
        fault(exchange, reject_one_in=1)
        assert trading(market).create_order(order()).reason == "the exchange would not have it"
        fault(exchange)
        assert trading(market).create_order(order()).status == "rejected"

    def test_parts_and_repeats(self, market, exchange):
        fault(exchange, parts=3, repeat=True)
        close(market, (100, 100, 94, 98))
        desk = trading(market)
        desk.create_order(order())
        told = through(desk)
        assert [moment.kind for moment in told] == ["executed"] * 3 + ["closed"]
        assert [[e.id for e in moment.executions] for moment in told] == [[1, 1], [1, 2, 1, 2], [1, 2, 3, 1, 2, 3], []]
        assert [e.left for e in desk.fetch_my_trades(0)] == [Decimal("1.334"), Decimal("0.668"), 0]

    def test_a_fault_that_does_not_exist_is_named(self, market, exchange):
        fault(exchange, slow=True)
        with pytest.raises(GatewayError, match=r"faults in ccxt_config of Simulated: .*'slow'") as caught:
            trading(market).fetch_balance()
        assert caught.value.permanent


def test_candles_beyond_a_long_hole_are_found(market):
    far = START + 1000 * MINUTE
    store.upsert(market.pk, 60, Candles.from_rows([(START, 100.0, 100.0, 100.0, 100.0, 1.0)]))
    store.upsert(market.pk, 60, Candles.from_rows([(far, 100.0, 100.0, 90.0, 100.0, 1.0)]))
    assert [moment.time for moment in through(trading(market))] == [START, far]


def test_orders_cannot_be_placed_where_there_is_no_way_to_yet(market, exchange):
    assert connect_trading(market, "ann", "r1", 60, START).fetch_open_orders() == []
    exchange.ccxt_id = "binance"
    market.exchange = exchange
    with pytest.raises(GatewayError, match="cannot be placed on Simulated yet") as caught:
        connect_trading(market, "ann", "r1", 60, START)
    assert caught.value.permanent
