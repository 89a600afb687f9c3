"""Paper through the database: the same as a backtest, whatever dies in between."""

from __future__ import annotations

import copy
import threading
from decimal import Decimal
from importlib import import_module

import numpy as np
import pytest
from django.db import connection, connections, transaction
from django.db.models import Sum

from bots import claims, runs, services
from bots.bars import STORED
from bots.book import Book
from bots.models import Bot, EquitySnapshot, Event, Order, Position, Run, Trade
from bots.notifications import topics
from bots.records import terms_of
from markets.models import Market
from markets.series import Candles
from tests.bots.conftest import GRID, MINUTE, START, arrive, bars


def wandering(count: int = 400, seed: int = 5) -> Candles:
    """A walk around 100 that crosses grid lines often and leaves the grid now and then."""
    random = np.random.default_rng(seed)
    close = np.round(100 + 9 * np.sin(np.arange(count) / 6) + np.cumsum(random.normal(0, 0.1, count)), 2)
    opens = np.concatenate([[100.0], close[:-1]])
    high, low = np.maximum(opens, close) + 0.2, np.minimum(opens, close) - 0.2
    time = START + np.arange(count, dtype=np.int64) * MINUTE
    return Candles(time, opens, np.round(high, 2), np.round(low, 2), close, np.ones(count))


def expected(bot: Bot, candles: Candles):
    return runs.backtest("grid", bot.params, bot.market, 60, bot.allocation, candles)


def stored(run: Run) -> list[tuple]:
    rows = Trade.objects.filter(run=run).order_by("number")
    return [(t.time, t.side, t.price, t.amount, t.fee, t.tag) for t in rows]


def exact(backtest) -> list[tuple]:
    return [(t.time, t.side, t.price, t.amount, t.fee, t.tag) for t in backtest.trades]


@pytest.mark.parametrize("stretches", [[400], [1] * 60 + [340], [7] * 57 + [1]])
def test_paper_gives_the_trades_of_the_backtest_however_the_candles_come(bot, close, stretches):
    candles = wandering()
    run = services.start(bot, START)
    arrive(close, candles, stretches, runs.advance_due)
    backtest = expected(bot, candles)
    assert len(backtest.trades) > 50
    assert stored(run) == exact(backtest)
    run.refresh_from_db()
    assert (run.cash, run.position, run.fees) == (backtest.book.cash, backtest.book.position, backtest.book.fees)
    assert run.bar_time == candles.time[-1]


def test_the_stored_figures_follow_from_the_stored_trades(bot, close):
    """Replay: rebuilding book, position and orders from the trades gives what the rows say, to the last unit."""
    bot.params = GRID | {"upper": 106.0}  # above which nothing is held
    bot.save()
    run = services.start(bot, START)
    for part in (slice(0, 150), slice(150, 400)):
        close(wandering()[part])
        runs.advance_due()
    run.refresh_from_db()
    book = Book(run.allocation)
    realized = [
        book.apply(1 if t.side == "buy" else -1, t.price, t.amount, t.fee) for t in run.trades.order_by("number")
    ]
    assert realized == list(run.trades.order_by("number").values_list("realized", flat=True))
    assert (run.cash, run.position, run.cost, run.realized, run.fees) == (
        book.cash, book.position, book.cost, book.realized, book.fees,
    )  # fmt: skip
    held = Position.objects.filter(run=run, status="open").values_list("amount", flat=True)
    assert sum(held) == run.position
    positions = Position.objects.filter(run=run)
    assert positions.aggregate(Sum("realized"), Sum("fees")) == {"realized__sum": run.realized, "fees__sum": run.fees}
    each = list(positions.order_by("pk").values_list("fees", flat=True))
    positions.update(fees=0)
    with connection.cursor() as cursor:  # those that were stored before a position had fees
        cursor.execute(import_module("bots.migrations.0018_position_fees").SUM_UP)
    assert list(positions.order_by("pk").values_list("fees", flat=True)) == each
    assert len(each) > 1
    filled = Order.objects.filter(run=run, status="closed")
    assert filled.count() == run.trades_count
    assert set(filled.values_list("client_id", flat=True)) == set(run.trades.values_list("client_id", flat=True))
    working = claims.engine_of(run)
    wanted = {f"r{run.pk}-{o['sequence']}" for o in working.orders if o["type"] not in (0, 4)}
    assert set(Order.objects.filter(run=run, status="open").values_list("client_id", flat=True)) == wanted


def test_the_same_candles_twice_do_nothing(bot, close):
    services.start(bot, START)
    close(wandering())
    assert runs.advance_due() == 1
    before = [model.objects.count() for model in (Trade, Order, Event, EquitySnapshot, Position)]
    close(wandering())
    assert runs.advance_due() == 0
    assert [model.objects.count() for model in (Trade, Order, Event, EquitySnapshot, Position)] == before


def test_a_bot_does_not_see_the_candle_that_is_open_when_it_starts(bot, close):
    run = services.start(bot, START + 1)
    close(bars((100, 100, 94, 95), (95, 95, 95, 95)))
    runs.advance_due()
    first = run.trades.order_by("number").first()
    assert (first.time.timestamp() * 1000, first.price) == (START + MINUTE, Decimal(95))


def test_a_worker_killed_before_the_commit_leaves_nothing_and_the_next_does_it_all(bot, close):
    run = services.start(bot, START)
    close(wandering())

    with transaction.atomic():
        runs.advance(runs.due(), STORED)
        transaction.set_rollback(True)
    assert not Trade.objects.exists()
    assert not EquitySnapshot.objects.exists()
    runs.advance_due()
    assert stored(run) == exact(expected(bot, wandering()))


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_double_nothing(bot, close):
    run = services.start(bot, START)
    candles = wandering()
    for index in range(0, 400, 40):
        close(candles[index : index + 40])
        together = threading.Barrier(2)

        def work(together=together):
            together.wait()
            try:
                runs.advance_due()
            finally:
                connections.close_all()

        workers = [threading.Thread(target=work) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        runs.advance_due()
    assert stored(run) == exact(expected(bot, candles))


def test_a_run_that_cannot_be_stepped_fails_alone_with_its_reason(bot, close, account):
    other = Bot.objects.create(
        owner=bot.owner, account=account, market=bot.market, name="Broken", kind="grid", timeframe=60,
        allocation=Decimal(1000), params=GRID,
    )  # fmt: skip
    good, bad = services.start(bot, START), services.start(other, START)
    Run.objects.filter(pk=bad.pk).update(state=b"not a state")
    close(wandering())
    runs.advance_due()
    other.refresh_from_db()
    assert other.status == Bot.Status.FAILED
    assert "saved state has version" in other.reason
    assert account.balances.get(currency="USDT").free == 10_000 - 1000
    assert stored(good) == exact(expected(bot, wandering()))


@pytest.mark.parametrize(("price", "status"), [(1.5e9, "running"), (4e14, "failed")])
def test_great_sums_are_kept_and_those_beyond_the_columns_fail_alone(bot, close, account, price, status):
    """A billion dong a coin, and a hundred billion of them in the account, are everyday figures."""
    account.balances.update(free=Decimal("9e19"))
    Market.objects.update(last=price)  # of a cheaper coin nobody may buy that much
    bot.params = {"lower": price, "upper": price * 2, "lines": 5}
    bot.allocation = Decimal(100 * int(price)) if status == "running" else Decimal("8e19")
    bot.save()
    run = services.start(bot, START)
    close(bars((price, price, price, price), (price, price * 2.1, price, price * 2.1)))
    runs.advance_due()
    bot.refresh_from_db()
    run.refresh_from_db()
    assert bot.status == status
    assert run.trades_count == run.trades.count()
    if status == "running":
        assert run.equity == run.cash > bot.allocation > Decimal(10) ** 11
    else:
        assert "must be below 1e+20 to be stored" in bot.reason


def test_a_run_that_ends_itself_gives_its_money_back(bot, close, account):
    bot.params = GRID | {"stop_loss": 85.0}
    bot.save()
    run = services.start(bot, START)
    close(bars((100, 100, 84, 86), (86, 120, 80, 100)))
    runs.advance_due()
    bot.refresh_from_db()
    run.refresh_from_db()
    assert (bot.status, run.status, run.position) == ("stopped", "stopped", 0)
    assert "the bot ended" in bot.reason
    assert account.balances.get(currency="USDT").free == 9000 + run.cash
    assert not Order.objects.filter(run=run, status="open").exists()
    assert Event.objects.filter(bot=bot, level="warning", message__startswith="Stop loss reached at 85").exists()
    assert Event.objects.get(bot=bot, code="ended").message == f"The bot has ended. {bot.reason}"


def test_every_trade_and_decision_has_an_event_with_its_reason(bot, close):
    run = services.start(bot, START)
    close(bars((100, 100, 94, 95), (95, 101, 95, 100)))
    runs.advance_due()
    messages = list(Event.objects.filter(run=run).order_by("id").values_list("message", flat=True))
    assert messages[0] == "Started with 1000 USDT."
    assert messages[1].startswith("Grid started at 100:")
    assert messages[2].startswith("Bought 5.1")
    assert messages[2].endswith("the cells above the price start filled.")
    assert messages[3].endswith("at 95.00 USDT: the price touched a grid line.")
    assert "Sold" in messages[4]
    assert len(messages) == 2 + run.trades.count()


def test_the_equity_curve_has_a_point_every_five_minutes(bot, close):
    run = services.start(bot, START)
    candles = wandering()
    close(candles)
    runs.advance_due()
    points = list(EquitySnapshot.objects.filter(run=run).order_by("time"))
    assert len(points) == 80
    for point in points:
        index = np.searchsorted(candles.time, point.time.timestamp() * 1000 - MINUTE)
        done = list(expected(bot, candles[: index + 1]).trades)
        assert point.price == candles.close[index]
        assert point.position == pytest.approx(float(sum(t.direction * t.amount for t in done)))
        assert point.equity == pytest.approx(point.cash + point.position * point.price)


def test_the_terms_of_the_start_hold_for_the_whole_run(bot, close, market):
    run = services.start(bot, START)
    before = terms_of(market)
    market.maker = Decimal("0.5")
    market.save()
    close(wandering())
    runs.advance_due()
    trades = run.trades.exclude(tag="start")
    assert [float(t.fee) for t in trades] == pytest.approx([float(t.price * t.amount) * before.maker for t in trades])


@pytest.mark.parametrize(("tick", "lot"), [("1", "1"), ("0.25", "0.5"), ("0.0001", "0.0000001")])
def test_steps_that_an_exchange_changes_meanwhile_neither_make_nor_lose_money(bot, close, market, tick, lot):
    candles = wandering(120)
    run = services.start(bot, START)
    close(candles[:40])
    runs.advance_due()
    Market.objects.filter(pk=market.pk).update(tick=tick, lot=lot)
    claims.forget([run])  # as another worker, which reads the market anew
    close(candles[40:])
    runs.advance_due()
    assert stored(run) == exact(expected(bot, candles))
    run.refresh_from_db()
    ledger = claims.engine_of(run).run
    held = float(run.cash), float(run.position)
    assert held == pytest.approx((ledger["cash"][0], ledger["position"][0]))


def test_a_run_whose_figures_cannot_be_stored_fails_alone(bot, close, account, market):
    holder = Bot.objects.create(
        owner=bot.owner, account=account, market=market, name="Holder", kind="accumulation", timeframe=60,
        allocation=Decimal(1000), params={"amount": 900.0},
    )  # fmt: skip
    idle = Bot.objects.create(
        owner=bot.owner, account=account, market=market, name="Idle", kind="grid", timeframe=60,
        allocation=Decimal(1000), params=GRID | {"trigger_price": 50.0},
    )  # fmt: skip
    begun = [services.start(one, START) for one in (idle, holder, bot)]
    close(bars((100, 100, 100, 100), (100, 100, 100, 100), (100, 100, 100, 100)))
    runs.advance_due()
    assert Run.objects.get(bot=holder).position > 8
    close(bars((100, 9e19, 100, 9e19), start=START + 3 * MINUTE))
    runs.advance_due()
    status = dict(Run.objects.filter(pk__in=[run.pk for run in begun]).values_list("bot__name", "status"))
    assert status == {"Idle": "running", "Holder": "stopped", "Grid": "running"}
    holder.refresh_from_db()
    assert (holder.status, holder.reason) == ("failed", "what happened cannot be stored: numeric field overflow.")
    assert account.balances.get(currency="SOL").free == Run.objects.get(bot=holder).position
    assert set(Run.objects.exclude(bot=holder).values_list("bar_time", flat=True)) == {START + 3 * MINUTE}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("undone", [True, False], ids=["rolled back", "by another worker"])
def test_a_state_that_is_not_the_one_remembered_is_read_anew(bot, close, undone, monkeypatch):
    run, moves = services.start(bot, START), [1, 1, 1, 8, 13]
    candles = bars(*((100, 100 + move, 100 - move, 100) for move in moves))
    for number in range(3):
        close(candles[number : number + 1])
        runs.advance_due()
    close(candles[3:4])
    remembered = copy.deepcopy(claims._runs)
    with transaction.atomic():
        runs.advance_due()
        transaction.set_rollback(undone)
    if not undone:
        monkeypatch.setattr(claims, "_runs", remembered)  # of a process that has not seen that candle
    close(candles[4:])
    runs.advance_due()
    backtest = expected(bot, candles)
    assert stored(run) == exact(backtest)
    run.refresh_from_db()
    assert (bytes(run.state), bytes(run.orders)) == backtest.engine.save()


def test_a_hole_in_the_candles_is_told(bot, close):
    services.start(bot, START)
    close(bars((100, 100, 99, 99)))
    runs.advance_due()
    close(bars((99, 99, 98, 98), start=START + 4 * MINUTE))
    runs.advance_due()
    told = Event.objects.get(bot=bot, code="gap")
    assert (told.level, told.message) == ("warning", "3 candles are missing; nothing was traded in them.")


def told_of_ends():
    """Codes of the events that a channel with the topic "A bot stopped" tells."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT e.code FROM bots_event e WHERE {topics.SQL} = ANY(%s) ORDER BY e.id", [["ends"]])
        return [code for (code,) in cursor]


@pytest.mark.parametrize("stretches", [[4], [1, 1, 1, 1]])
def test_a_limit_ends_the_run_and_says_why(bot, close, account, stretches):
    bot.limits = {"max_drawdown": 3}
    bot.save()
    run = services.start(bot, START)
    candles = bars((100, 100, 100, 100), (100, 100, 90, 90), (90, 90, 90, 90), (90, 90, 90, 90))
    arrive(close, candles, stretches, runs.advance_due)
    bot.refresh_from_db()
    run.refresh_from_db()
    assert bot.status == Bot.Status.STOPPED
    assert run.position == 0, "the position is closed at the next open"
    told = Event.objects.get(bot=bot, code="drawdown")
    assert (told.level, told.time.timestamp()) == ("warning", (START + MINUTE) / 1000)
    assert Event.objects.filter(bot=bot, code="ended").count() == 1
    assert told_of_ends() == ["drawdown"], "its channels tell of one end"
    assert account.balances.get(currency="USDT").free == 10_000 - 1000 + run.cash
