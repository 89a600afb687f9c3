"""Live on swaps of the simulated exchange: funding, liquidation and margin, the same as in a backtest and on paper."""

# ruff: noqa: F811 (fixtures of other tests)

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db.models import Sum

from bots import live, live_money, services
from bots.models import Bot, Event, FundingPayment, LiveSession, Order, Run, Trade
from markets.models import Market, SimulatedTransfer
from markets.simulated_money import deposit, holdings, wallets
from tests.bots.conftest import MINUTE, START, arrive, bars, replayed
from tests.bots.test_funding import FIRST, SHORT, expected, flat_until, paid, rates, short_bot, swap  # noqa: F401
from tests.bots.test_live import account, fault, messages, on_book, rows  # noqa: F401 (a fixture)
from tests.bots.test_runs import exact, stored, wandering

DEPOSIT = Decimal(10_000)
KIND_PARAMS = {
    "futures_position": SHORT | {"take_profit_1": 1.8, "stop_loss": 3.0, "positions": 0},
    "futures_grid": {"lower": 92.0, "upper": 108.0, "lines": 9, "direction": "neutral"},
    "grid": {"lower": 92.0, "upper": 108.0, "lines": 12},
}


@pytest.fixture
def bot(short_bot):
    return short_bot


def free(account):
    return account.balances.get(currency="USDT").free


def margin(exchange, account, run):
    return wallets(exchange, f"a{account.pk}").get(f"r{run.pk}", {})


def main(exchange, account):
    return holdings(exchange, f"a{account.pk}")["USDT"]


def give(bot, slug):
    bot.kind, bot.params = slug, KIND_PARAMS[slug]
    bot.save()


@pytest.mark.parametrize(
    ("slug", "stretches"), [("futures_position", [1] * 20 + [40]), ("futures_grid", [60]), ("grid", [45, 1, 1, 13])]
)
def test_live_trades_pays_and_holds_what_the_backtest_does(slug, bot, close, rates, stretches, account, exchange):
    rates(0.0001, -0.0003)
    give(bot, slug)
    candles = wandering(60)
    run = services.start(bot, START)
    arrive(close, candles, stretches, live.advance_due)
    backtest = expected(bot, candles)
    run.refresh_from_db()
    assert len(backtest.payments) == 1
    assert len(backtest.trades) > 3
    assert stored(run) == exact(backtest)
    assert paid(run) == [(p.time, p.rate, p.price, p.position, p.paid) for p in backtest.payments]
    book = backtest.book
    assert (run.cash, run.position, run.cost, run.funding) == (book.cash, book.position, book.cost, book.funding)
    assert (bytes(run.state), bytes(run.orders)) == backtest.engine.save()
    assert margin(exchange, account, run) == {"USDT": book.cash, "SOL": book.position}
    assert (main(exchange, account), free(account)) == (9000, 9000)
    assert on_book(run) == rows(run, "open")


class TestMargin:
    def test_it_leaves_the_account_before_the_first_order_and_comes_back_at_the_end(
        self, bot, close, rates, account, exchange
    ):
        rates()
        bot.params = SHORT | {"positions": 0}  # as many as there are: but none once it is stopped
        bot.save()
        run = services.start(bot, START)
        assert (main(exchange, account), free(account)) == (10_000, 9000)
        live.advance_due()
        assert (main(exchange, account), margin(exchange, account, run)) == (9000, {"USDT": 1000})
        assert messages(bot, "margin") == ["1000 USDT moved from the account to the margin of this run."]
        close(bars((100, 100, 100, 100), (100, 100, 90, 90)))
        live.advance_due()
        assert margin(exchange, account, run)["SOL"] == Decimal("-5.964")
        Market.objects.update(last=90.0)
        services.stop(bot, close_position=True)
        assert messages(bot, "stopping") == ["Stopping: the exchange withdraws its orders and closes its position."]
        close(bars((90, 90, 90, 90), start=START + 2 * MINUTE))
        live.advance_due()
        run.refresh_from_db()
        bot.refresh_from_db()
        assert (run.status, run.position, on_book(run)) == ("stopped", 0, set())
        assert bot.reason == "Stopped: its orders are withdrawn, its position is closed."
        assert run.cash > 1050
        assert margin(exchange, account, run) == {"USDT": 0, "SOL": 0}
        assert main(exchange, account) == free(account) == 9000 + run.cash
        assert live.advance_due() == 0

    def test_a_bot_that_has_seen_nothing_gets_all_of_it_back(self, bot, close, account, exchange):
        services.start(bot, START)
        services.stop(bot, close_position=True)
        live.advance_due()
        bot.refresh_from_db()
        assert (bot.status, bot.reason) == ("stopped", "Stopped: its orders are withdrawn.")
        assert (main(exchange, account), free(account)) == (10_000, 10_000)

    def test_money_that_is_not_there_ends_the_run_and_nothing_was_moved(self, bot, close, account, exchange):
        run = services.start(bot, START)
        deposit(exchange, f"a{account.pk}", {"USDT": Decimal(-9500)})
        live.advance_due()
        bot.refresh_from_db()
        run.refresh_from_db()
        assert (bot.status, run.status) == ("failed", "stopped")
        assert bot.reason == "The exchange did not move 1000 USDT: the account holds 500 USDT."
        assert (main(exchange, account), free(account)) == (500, 10_000), "asked anew at the next start"
        assert margin(exchange, account, run) == {"USDT": 0}

    def test_an_exchange_that_is_down_or_does_not_answer_moves_it_once(self, bot, close, account, exchange):
        fault(exchange, down=True)
        with pytest.raises(services.Refused, match="does not say what the account holds"):
            services.start(bot, START)
        fault(exchange, time_out_one_in=1)
        run = services.start(bot, START)
        live.advance_due()
        assert run.session.__class__.objects.get(run=run).margin == "to add"
        assert main(exchange, account) == 9000
        live.advance_due()
        assert main(exchange, account) == 9000
        services.stop(bot, close_position=True)
        for _ in range(5):
            live.advance_due()
        assert main(exchange, account) == free(account) == 10_000
        assert SimulatedTransfer.objects.count() == 2

    def test_one_bot_never_costs_another_its_money(self, bot, close, rates, account, exchange):
        rates()
        bot.params = SHORT | {"size": 100, "leverage": 10}
        bot.save()
        other = Bot.objects.create(
            owner=bot.owner, account=account, market=bot.market, name="Other", kind="futures_position", timeframe=60,
            allocation=Decimal(2000), params=SHORT,
        )  # fmt: skip
        ruined, lives = services.start(bot, START), services.start(other, START)
        close(bars((100, 100, 100, 100), (100, 125, 100, 100)))
        live.advance_due()
        ruined.refresh_from_db()
        lives.refresh_from_db()
        assert (ruined.status, lives.status) == ("stopped", "running")
        assert margin(exchange, account, lives) == {"USDT": lives.cash, "SOL": lives.position}
        assert main(exchange, account) == free(account) == 7000 + ruined.cash


class TestFunding:
    def test_a_run_waits_for_a_rate_that_is_not_known_yet(self, bot, close, rates):
        run = services.start(bot, START)
        before = (FIRST - START) // MINUTE
        flat_until(close, before + 5)
        live.advance_due()
        run.refresh_from_db()
        assert run.bar_time == FIRST - MINUTE, "the candle that opens at the hour is not told of"
        assert live.due().count() == 0
        rates(0.0001)
        live.advance_due()
        run.refresh_from_db()
        assert run.bar_time == FIRST + 4 * MINUTE
        assert run.funding == Decimal("-0.05964")
        told = Event.objects.get(run=run, code="funding")
        assert told.message == "Received 0.05964 USDT of funding, 0.01 % on 5.964 SOL held short."

    def test_it_does_not_wait_for_ever_and_says_once_what_it_did_not_pay(self, bot, close, exchange):
        run = services.start(bot, START)
        before = (FIRST - START) // MINUTE
        flat_until(close, before + 10)
        live.advance_due()
        flat_until(close, before + 11)
        fault(exchange, down=True)
        live.advance_due()
        fault(exchange)
        live.advance_due()
        run.refresh_from_db()
        assert run.bar_time == FIRST + 10 * MINUTE
        told = Event.objects.get(run=run, code="funding")
        assert (told.level, told.time.timestamp()) == ("warning", FIRST / 1000)
        assert told.message == "The funding rate is not known: nothing was paid or received for the position."

    def test_a_paused_run_pays_none(self, bot, close, rates, monkeypatch):
        rates(0.0001, 0.0001, 0.0005)
        run = services.start(bot, START)
        before = (FIRST - START) // MINUTE
        flat_until(close, before + 1)
        live.advance_due()
        services.pause(bot)
        flat_until(close, before + 90)
        live.advance_due()
        monkeypatch.setattr(services.lifecycle, "now_of", lambda exchange: FIRST + 90 * MINUTE)
        services.resume(bot)
        flat_until(close, before + 130)
        live.advance_due()
        assert [row.rate for row in run.funding_payments.order_by("time")] == [0.0001, 0.0005]


def test_the_exchange_allows_no_more_leverage_than_its_market(bot, close, rates, swap):
    """Lowered while a bot runs: its entries are rejected, what closes its position is not."""
    rates()
    bot.params = SHORT | {"leverage": 15, "size": 10, "take_profit_1": 1.0, "positions": 0}
    bot.save()
    run = services.start(bot, START)
    close(bars((100, 100, 100, 100), (100, 100, 100, 100)))
    live.advance_due()
    swap.max_leverage = Decimal(10)
    swap.save()
    close(bars((100, 100, 98, 98), (98, 98, 98, 98), start=START + 2 * MINUTE))
    live.advance_due()
    run.refresh_from_db()
    assert run.position == 0
    assert Trade.objects.filter(run=run).count() == 2
    assert messages(bot, "rejected")[0].endswith(" SOL: its leverage 15 is above the 10 that this market allows.")


@pytest.mark.parametrize("faults", [{"time_out_one_in": 2, "repeat": True}, {"parts": 3, "repeat": True}])
def test_faults_neither_lose_nor_double_money(bot, close, rates, account, exchange, faults):
    rates(0.0001, -0.0003)
    fault(exchange, **faults)
    give(bot, "futures_grid")
    run = services.start(bot, START)
    candles = wandering(70)
    close(candles)
    for _ in range(120):
        live.advance_due()
    run.refresh_from_db()
    assert run.bar_time == candles.time[-1]
    assert margin(exchange, account, run) == {"USDT": run.cash, "SOL": run.position}
    if "parts" not in faults:
        assert stored(run) == exact(expected(bot, candles))
    assert run.funding_payments.count() == len(expected(bot, candles).payments) == 1


def test_at_every_moment_the_money_adds_up_on_both_sides(bot, close, rates, account, exchange):
    """Account and margin on the exchange; free money and bots here: what was deposited, and what trades made of it."""
    rates(0.0005)
    give(bot, "futures_position")
    on_spot = Market.objects.create(
        exchange=exchange, symbol="SOL/USDT", base="SOL", quote="USDT", tick="0.01", lot="0.001", min_amount="0.001",
        min_cost="1", maker="0.001", taker="0.002", last=100.0,
    )  # fmt: skip
    other = Bot.objects.create(
        owner=bot.owner, account=account, market=bot.market, name="Other", kind="futures_grid", timeframe=60,
        allocation=Decimal(2500), params=KIND_PARAMS["futures_grid"],
    )  # fmt: skip
    probe = Bot(owner=bot.owner, account=account, market=on_spot, timeframe=60)
    bots = [bot, other]
    turns = 0
    led = [services.start(one, START) for one in bots]
    close(wandering(50))

    def check():
        trades = Trade.objects.all()
        spent = sum(((1 if t.side == "buy" else -1) * t.price * t.amount + t.fee for t in trades), Decimal(0))
        spent += FundingPayment.objects.aggregate(sum=Sum("paid"))["sum"] or 0
        there = wallets(exchange, f"a{account.pk}")
        assert main(exchange, account) + sum(money["USDT"] for money in there.values()) == DEPOSIT - spent
        alive = LiveSession.objects.exclude(margin="", run__status="stopped").select_related("run")
        kept = free(account)
        assert kept + sum(session.run.cash for session in alive) == DEPOSIT - spent
        live_money.mirror(account, live_money.ask(probe))
        assert free(account) == kept, "the exchange says the same"

    check()
    for step, run in enumerate(led * 2):
        if step == 2:
            Market.objects.update(last=float(wandering(50).close[-1]))
            close(wandering(55)[50:])
            for one in bots:
                services.stop(one, close_position=True)
        broker = live.ExchangeBroker.of(Run.objects.select_related("bot", "market__exchange").get(pk=run.pk))
        while live._turn(run.pk, broker, START + (49 if step < 2 else 54) * MINUTE, {}):
            turns += 1
            check()
    assert turns > 100
    assert Run.objects.filter(status="stopped").count() == 2
    assert main(exchange, account) == free(account)
    assert FundingPayment.objects.count() == 2
    assert not Order.objects.filter(status__in=["open", "pending", "canceling", "waiting"]).exists()


def test_money_on_its_way_when_a_worker_died_is_counted_once(bot, close, account, exchange):
    """The exchange moved it, the answer was lost: what is free for another bot is neither more nor less."""
    run = services.start(bot, START)
    broker = live.ExchangeBroker.of(Run.objects.select_related("bot", "market__exchange").get(pk=run.pk))
    probe = Bot(owner=bot.owner, account=account, market=bot.market, timeframe=60)
    broker.add_margin(run)
    live_money.mirror(account, live_money.ask(probe))
    assert (main(exchange, account), free(account)) == (9000, 9000)
    services.stop(bot, close_position=True)
    for _ in range(2):
        live._turn(run.pk, broker, 0, {})
    assert LiveSession.objects.get(run=run).margin == "to return"
    live_money.mirror(account, live_money.ask(probe))
    assert (main(exchange, account), free(account)) == (9000, 9000)
    broker.withdraw_margin(run)
    live_money.mirror(account, live_money.ask(probe))
    assert (main(exchange, account), free(account)) == (10_000, 9000)
    live.advance_due()
    assert (main(exchange, account), free(account)) == (10_000, 10_000)


def test_the_book_follows_from_trades_and_payments(bot, close, rates):
    rates(0.0001, -0.0003)
    run = services.start(bot, START)
    close(wandering(50))
    live.advance_due()
    run.refresh_from_db()
    book = replayed(run)
    assert (run.cash, run.position, run.cost, run.funding) == (book.cash, book.position, book.cost, book.funding)
