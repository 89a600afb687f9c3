"""Live on the simulated exchange: the trades of the backtest, whatever fails, stops or dies on the way."""

from __future__ import annotations

import threading
from decimal import Decimal

import pytest
from django.db import connections, transaction
from django.utils import timezone

from bots import claims, live, live_money, live_orders, runs, services, why
from bots.engine import reactions
from bots.models import Bot, Event, Order, Position, Run, Trade
from bots.records import moment as time_of
from markets import candles as store
from markets.models import Exchange, Market, SimulatedExecution, SimulatedOrder
from markets.simulated_money import deposit, holdings
from markets.surface import OrderRequest
from markets.trading import SimulatedTrading
from orchestrator.observability import samples
from tests.bots.conftest import GRID, MINUTE, START, arrive, bars
from tests.bots.test_money import wait_for_lock
from tests.bots.test_runs import exact, expected, stored, wandering
from tests.markets.test_trading import through


@pytest.fixture
def account(owner, exchange):
    return live_money.open_account(owner, "Live", exchange, {"USDT": Decimal(10_000)})


def fault(exchange, **faults):
    exchange.ccxt_config = exchange.ccxt_config | {"faults": faults}
    exchange.save()


def on_book(run):
    return set(
        SimulatedOrder.objects.filter(desk__label=f"r{run.pk}", status="open").values_list("client_id", flat=True)
    )


def rows(run, *status):
    return set(Order.objects.filter(run=run, status__in=status).values_list("client_id", flat=True))


def messages(bot, code):
    return list(Event.objects.filter(bot=bot, code=code).order_by("id").values_list("message", flat=True))


def why_not(bot, run):
    """What the bot's page says of why it does not trade."""
    shown = why.with_orders(Bot.objects.select_related("account", "market__exchange")).get(pk=bot.pk)
    events = list(Event.objects.filter(bot=bot).order_by("-id")[:100])
    return why.answer(shown, run, events, timezone.now())


def test_what_was_filled_in_part_comes_back_as_what_is_left_of_it(bot, close):
    """Paused between two executions and resumed, an order has a new identity, and the rest of its amount."""
    run = services.start(bot, START)
    close(wandering(20))
    live.advance_due()
    run.refresh_from_db()
    engine = claims.engine_of(run)
    slot = int(engine.wanted()[0])
    whole = float(engine.orders["amount"][slot])
    engine.orders["filled"][slot] = 0.004
    engine.renew(100.0)
    live_orders.follow(run, engine)
    row = Order.objects.get(run=run, client_id=f"r{run.pk}-{engine.orders['sequence'][slot]}")
    assert (row.status, float(row.amount), row.filled) == ("pending", pytest.approx(whole - 0.004), 0)


@pytest.mark.parametrize("stretches", [[60], [1] * 30 + [30], [7] * 8 + [4]])
def test_live_gives_the_trades_of_the_backtest_however_the_candles_come(bot, close, stretches):
    candles = wandering(60)
    run = services.start(bot, START)
    arrive(close, candles, stretches, live.advance_due)
    backtest = expected(bot, candles)
    assert len(backtest.trades) > 7
    assert stored(run) == exact(backtest)
    run.refresh_from_db()
    assert (run.cash, run.position, run.fees) == (backtest.book.cash, backtest.book.position, backtest.book.fees)
    assert run.bar_time == candles.time[-1]
    state, orders = backtest.engine.save()
    assert (bytes(run.state), bytes(run.orders)) == (state, orders)


def test_rows_say_what_is_on_the_exchange_and_what_was_done_there(bot, close, exchange, account):
    run = services.start(bot, START)
    close(wandering(120))
    answered = samples.current().get(("order", ""), [0])[-1]
    assert live.advance_due() > 120
    assert samples.current()["order", ""][-1] == answered + Order.objects.filter(run=run).count()
    assert on_book(run) == rows(run, "open") != set()
    assert not rows(run, "pending", "canceling", "waiting")
    done = SimulatedExecution.objects.filter(desk__label=f"r{run.pk}").order_by("number")
    assert [(e.client_id, e.price, e.amount, e.fee) for e in done] == list(
        Trade.objects.filter(run=run).order_by("number").values_list("client_id", "price", "amount", "fee")
    )
    run.refresh_from_db()
    held = holdings(exchange, f"a{account.pk}")
    assert (held["USDT"], held["SOL"]) == (9000 + run.cash, run.position)
    open_position = Position.objects.filter(run=run, status="open").first()
    assert (open_position.amount if open_position else 0) == run.position
    closed = Order.objects.filter(run=run, status="closed")
    assert all(row.filled == row.amount for row in closed)
    assert live.advance_due() == 0


def test_the_worker_of_paper_leaves_live_runs_alone(bot, close):
    services.start(bot, START)
    close(wandering(10))
    assert runs.advance_due() == 0


def test_a_start_needs_the_money_on_the_exchange(bot, account, exchange):
    bot.allocation = Decimal(10_001)
    bot.save()
    with pytest.raises(services.Refused, match=r"allocation is 10001 USDT, more than account Live has free\."):
        services.start(bot, START)
    fault(exchange, down=True)
    with pytest.raises(services.Refused, match="does not say what the account holds: The simulated exchange cannot be"):
        services.start(bot, START)


def test_what_the_account_has_free_is_what_the_exchange_says_less_what_bots_hold(bot, account, close, exchange):
    services.start(bot, START)
    close(wandering(40))
    live.advance_due()
    account.balances.update(free=Decimal(5))  # somebody moved money there
    other = Bot.objects.create(
        owner=bot.owner, account=account, market=bot.market, name="Other", kind="grid", timeframe=60,
        allocation=Decimal(2000), params=GRID,
    )  # fmt: skip
    services.start(other, START + 40 * MINUTE)
    assert account.balances.get(currency="USDT").free == 7000


def test_a_start_counts_the_money_of_the_account_that_the_bot_has_by_then(bot, account, owner, exchange):
    poor = live_money.open_account(owner, "Poor", exchange, {"USDT": Decimal(10)})
    shown = Bot.objects.select_related("account__exchange", "market__exchange").get(pk=bot.pk)
    Bot.objects.filter(pk=bot.pk).update(account=poor)
    with pytest.raises(services.Refused, match="was given another account or market this moment; try again"):
        services.start(shown, START)
    assert [one.balances.get(currency="USDT").free for one in (account, poor)] == [10_000, 10]


def test_a_run_whose_figures_cannot_be_stored_fails_and_the_others_go_on(bot, account, close):
    other = Bot.objects.create(
        owner=bot.owner, account=account, market=bot.market, name="Other", kind="grid", timeframe=60,
        allocation=Decimal(1000), params=GRID,
    )  # fmt: skip
    run, its = services.start(bot, START), services.start(other, START)
    Run.objects.filter(pk=run.pk).update(position=Decimal(10) ** 19)
    close(wandering(5))
    live.advance_due()
    bot.refresh_from_db()
    assert (bot.status, bot.reason[:22]) == ("failed", "numeric field overflow")
    assert Run.objects.get(pk=its.pk).bar_time == START + 4 * MINUTE


@pytest.mark.django_db(transaction=True)
def test_two_bots_that_are_the_first_to_buy_a_coin_at_once_lose_none_of_it(market, exchange):
    deposit(exchange, "a0", {"USDT": Decimal(1000)})
    store.upsert(market.pk, 60, bars((100, 100, 100, 100), (100, 100, 100, 100)))
    one, other = (SimulatedTrading(market, "a0", label, 60, START - MINUTE) for label in ("r1", "r2"))
    for desk in (one, other):
        desk.create_order(OrderRequest(f"{desk.label}-1", "market", "buy", None, Decimal(2)))

    def buy() -> None:
        try:
            through(other)
        finally:
            connections.close_all()

    with transaction.atomic():
        through(one)
        thread = threading.Thread(target=buy)
        thread.start()
        wait_for_lock()
    thread.join(10)
    assert holdings(exchange, "a0")["SOL"] == 4


def test_accounts_elsewhere_are_refused(bot, account, market):
    Exchange.objects.update(ccxt_id="binance")
    with pytest.raises(services.Refused, match="is not a simulated exchange; live accounts trade on simulated ones"):
        services.start(Bot.objects.get(pk=bot.pk), START)
    with pytest.raises(services.Refused, match="live accounts trade on simulated ones only"):
        live_money.open_account(bot.owner, "Elsewhere", Exchange.objects.get(), {})


class TestFaults:
    def test_answers_that_do_not_come_change_nothing(self, bot, close, exchange):
        fault(exchange, time_out_one_in=2, repeat=True)
        run = services.start(bot, START)
        close(wandering(120))
        for _ in range(200):
            live.advance_due()
        assert stored(run) == exact(expected(bot, wandering(120)))
        assert on_book(run) == rows(run, "open")
        told = messages(bot, "exchange")
        assert told[0].startswith("The simulated exchange did not answer in time. Orders and withdrawals wait")
        assert told[1] == "The exchange answers again."

    def test_orders_filled_in_parts_are_booked_part_by_part_and_told_once(self, bot, close, exchange):
        fault(exchange, parts=3, repeat=True)
        run = services.start(bot, START)
        close(wandering(60))
        live.advance_due()
        whole, parts = {}, {}
        for trade in expected(bot, wandering(60)).trades:
            whole[f"r{run.pk}-{trade.sequence}"] = trade.amount
        for trade in Trade.objects.filter(run=run):
            parts[trade.client_id] = parts.get(trade.client_id, 0) + trade.amount
        assert Trade.objects.filter(run=run).count() > 2 * len(whole)
        assert parts == whole
        assert Trade.objects.filter(run=run).count() == SimulatedExecution.objects.count()

    def test_a_rejection_is_told_and_its_slot_is_free(self, bot, close, exchange):
        fault(exchange, reject_one_in=1)
        run = services.start(bot, START)
        close(bars((100, 100, 94, 95), (95, 101, 94, 100)))
        live.advance_due()
        assert not Trade.objects.exists()
        assert not rows(run, "open", "pending")
        assert len(rows(run, "rejected")) == 3
        (first, *_) = messages(bot, "rejected")
        assert first.startswith("The exchange did not buy ")
        assert first.endswith(" SOL: the exchange would not have it.")
        run.refresh_from_db()
        assert not reactions.to_send(live.kept_engine(run)).size
        assert run.cash == bot.allocation

    def test_an_order_that_somebody_else_withdraws_is_told_and_its_slot_is_free(self, bot, close, account):
        run = services.start(bot, START)
        close(wandering(30))
        live.advance_due()
        theirs, *ours = sorted(on_book(run))
        SimulatedTrading(bot.market, f"a{account.pk}", f"r{run.pk}", 60, START).cancel_order(theirs)
        assert live.advance(run.pk) == (1, True)
        assert live.advance(run.pk) == (0, True)
        assert rows(run, "canceled") == {theirs}
        assert rows(run, "open") == on_book(run) == set(ours)
        run.refresh_from_db()
        assert len(live.kept_engine(run).wanted()) == len(ours)
        (told,) = messages(bot, "rejected")
        assert told.endswith("SOL: somebody else withdrew the order there, and the bot goes on without it.")

    def test_coarser_lots_fill_no_more_than_was_asked_and_a_stop_sells_what_they_let(self, bot, close, market):
        run = services.start(bot, START)
        close(wandering(60)[:22])
        live.advance_due()
        Market.objects.filter(pk=market.pk).update(lot="0.1")
        close(wandering(60)[22:])
        live.advance_due()
        later = Trade.objects.filter(run=run, time__gte=time_of(START + 22 * MINUTE))
        assert set(later.values_list("amount", flat=True)) == {Decimal("2.5")}
        services.stop(bot, close_position=True)
        close(wandering(61)[60:])
        live.advance_due()
        run.refresh_from_db()
        assert run.status == "stopped"
        assert 0 < run.position < Decimal("0.1")

    def test_while_the_exchange_is_down_nothing_happens_and_then_everything_does(self, bot, close, exchange):
        run = services.start(bot, START)
        close(wandering(30))
        live.advance_due()
        fault(exchange, down=True)
        close(wandering(120)[30:])
        before = stored(run)
        for _ in range(3):
            assert live.advance_due() == 0
        assert stored(run) == before
        assert len(messages(bot, "exchange")) == 1, "said once"
        assert why_not(bot, run) == messages(bot, "exchange")[0]
        fault(exchange)
        live.advance_due()
        assert stored(run) == exact(expected(bot, wandering(120)))
        assert messages(bot, "exchange")[1:] == ["The exchange answers again."]
        assert not why_not(bot, run).startswith("The")


def test_money_is_put_on_the_simulated_exchange_and_taken_from_it(account, exchange):
    services.deposit(account, "USDT", Decimal(500), "ann")
    services.deposit(account, "USDT", Decimal("-0.5"), "ann")
    assert holdings(exchange, f"a{account.pk}") == {"USDT": Decimal("10499.5")}
    assert account.balances.get(currency="USDT").free == Decimal("10499.5")
    with pytest.raises(services.Refused, match="nothing was withdrawn"):
        services.deposit(account, "USDT", Decimal(-20_000), "ann")
    assert holdings(exchange, f"a{account.pk}") == {"USDT": Decimal("10499.5")}
    account.exchange.ccxt_id = "binance"
    with pytest.raises(services.Refused, match="Simulated is not a simulated exchange"):
        services.deposit(account, "USDT", Decimal(1), "ann")


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_double_nothing(bot, close):
    run = services.start(bot, START)
    candles, faults = wandering(80), []
    for index in range(0, 80, 20):
        close(candles[index : index + 20])
        together = threading.Barrier(2)

        def work(together=together):
            together.wait()
            try:
                live.advance_due()
            except Exception as fault:  # a thread's exception would be lost
                faults.append(fault)
            finally:
                connections.close_all()

        workers = [threading.Thread(target=work) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        live.advance_due()
    assert faults == []
    assert stored(run) == exact(expected(bot, candles))
    assert SimulatedOrder.objects.count() == Order.objects.filter(run=run).count()


def test_a_moment_that_was_stored_is_not_stored_again(bot, close):
    """As a worker would that lost its lock with its connection in the middle of a turn."""
    run = services.start(bot, START)
    close(wandering(5))
    live.advance_due()
    session = run.session
    session.refresh_from_db()
    before = stored(run)
    broker = live.ExchangeBroker.of(Run.objects.select_related("bot", "market__exchange").get(pk=run.pk))
    late = broker.go_on(session.moment - 1, live.Watch((), 0.0, 1e9, 0, 0))
    assert late.number == session.moment
    assert live.live_turn.react(run.pk, late) == []
    assert stored(run) == before


def test_a_transaction_that_is_rolled_back_is_heard_of_again(bot, close):
    """The exchange remembers what it told and to whom it answered; only our side is lost."""
    run = services.start(bot, START)
    close(wandering(5))
    assert live.advance_due()
    broker = live.ExchangeBroker.of(Run.objects.select_related("bot", "market__exchange").get(pk=run.pk))
    close(wandering(60)[5:])
    for _ in range(40):
        session = live.LiveSession.objects.get(run=run)
        engine = live.kept_engine(Run.objects.get(pk=run.pk))
        bar_time = Run.objects.get(pk=run.pk).bar_time
        moment = broker.go_on(session.moment, live._watch(engine, bar_time, 2**62))
        if moment:
            with transaction.atomic():
                live.live_turn.react(run.pk, moment)
                transaction.set_rollback(True)
        live._turn(run.pk, broker, 2**62, {})
    live.advance_due()
    assert stored(run) == exact(expected(bot, wandering(60)))
