"""Live runs that are paused, stopped and halted: nothing ends before the exchange has confirmed."""

# ruff: noqa: F811 (fixtures of other tests)

from __future__ import annotations

from decimal import Decimal

import pytest

from bots import halts, live, live_orders, services
from bots.models import Bot, Event, LiveSession, Mode, Run
from markets.models import Market
from markets.simulated_money import holdings
from tests.bots.conftest import GRID, MINUTE, START, bars
from tests.bots.test_live import account, fault, messages, on_book, rows  # noqa: F401 (a fixture)
from tests.bots.test_runs import exact, expected, stored, wandering


class TestWithdrawing:
    def test_a_pause_while_the_exchange_is_down_is_carried_out_when_it_is_back(self, bot, close, exchange):
        run = services.start(bot, START)
        close(wandering(30))
        live.advance_due()
        working = on_book(run)
        fault(exchange, down=True)
        services.pause(bot)
        assert rows(run, "canceling") == working != set()
        live.advance_due()
        assert rows(run, "canceling") == working
        fault(exchange)
        live.advance_due()
        assert rows(run, "canceling", "open", "pending") == set() == on_book(run)
        assert live.advance_due() == 0

    def test_an_order_that_was_being_sent_is_withdrawn_too(self, bot, close, exchange):
        """The answer did not come, the person pauses: the exchange has the order, and must not keep it."""
        fault(exchange, time_out_one_in=1)
        run = services.start(bot, START)
        close(wandering(1))
        live.advance_due()
        assert len(on_book(run)) == 1
        assert len(rows(run, "pending")) > 1
        services.pause(bot)
        live.advance_due()
        assert on_book(run) == rows(run, "open", "pending", "canceling") == set()

    def test_a_resumed_bot_goes_on_with_the_candles_of_now(self, bot, close, market, monkeypatch):
        run = services.start(bot, START)
        close(wandering(30))
        live.advance_due()
        services.pause(bot)
        live.advance_due()
        before = len(stored(run))
        close(wandering(60)[30:])
        assert live.advance_due() == 0
        monkeypatch.setattr(services.lifecycle, "now_of", lambda exchange: START + 60 * MINUTE)
        services.resume(bot)
        close(wandering(120)[60:])
        live.advance_due()
        later = stored(run)[before:]
        assert later
        assert later[0][0].timestamp() * 1000 >= START + 60 * MINUTE
        assert on_book(run) == rows(run, "open")
        run.refresh_from_db()
        assert run.bar_time == START + 119 * MINUTE

    @pytest.mark.parametrize("closes", [True, False])
    def test_a_stop_ends_the_run_when_the_exchange_has_confirmed(self, bot, close, exchange, account, closes):
        run = services.start(bot, START)
        close(wandering(30)[:22])
        live.advance_due()
        run.refresh_from_db()
        assert run.position > 0
        fault(exchange, down=True)
        services.stop(bot, close_position=closes)
        live.advance_due()
        bot.refresh_from_db()
        assert bot.status == Bot.Status.RUNNING
        assert bot.reason.startswith("Stopping: the exchange withdraws its orders")
        fault(exchange)
        live.advance_due()
        assert on_book(run) <= rows(run, "open")
        close(wandering(30)[22:24])
        live.advance_due()
        bot.refresh_from_db()
        run.refresh_from_db()
        assert (bot.status, run.status) == ("stopped", "stopped")
        rest = "sold" if closes else "kept in the account"
        assert bot.reason == f"Stopped: its orders are withdrawn, its position is {rest}."
        assert on_book(run) == rows(run, "open", "pending", "canceling") == set()
        assert (run.position == 0) == closes
        held = holdings(exchange, f"a{account.pk}")
        assert {b.currency: b.free for b in account.balances.all() if b.free} == {c: a for c, a in held.items() if a}

    @pytest.mark.parametrize(
        ("lot", "told"), [("0.1", "is sold but for {} SOL, which is too"), ("9", "of {} SOL could")]
    )
    def test_a_stop_tells_what_the_market_did_not_take(self, bot, close, market, account, lot, told):
        run = services.start(bot, START)
        close(wandering(30)[:22])
        live.advance_due()
        services.stop(bot, close_position=True)
        Market.objects.update(lot=lot)
        close(wandering(30)[22:24])
        live.advance_due()
        live.advance_due()
        run.refresh_from_db()
        bot.refresh_from_db()
        assert 0 < run.position < Decimal(lot)
        left = f"{run.position.normalize():f}"
        assert bot.reason.startswith(f"Stopped: its orders are withdrawn, its position {told.format(left)}")
        assert bot.reason.endswith(" kept.")
        assert account.balances.get(currency="SOL").free == run.position
        assert live.advance_due() == 0

    def test_one_that_is_stopping_ends_though_everything_is_halted_meanwhile(self, bot, close, exchange):
        run = services.start(bot, START)
        close(wandering(30)[:22])
        live.advance_due()
        fault(exchange, down=True)
        services.stop(bot, close_position=False)
        halts.halt(None, "boss", close_positions=False)
        halts.release(None, "boss")
        fault(exchange)
        live.advance_due()
        bot.refresh_from_db()
        run.refresh_from_db()
        assert (bot.status, run.status) == ("stopped", "stopped")
        assert not on_book(run)

    def test_a_bot_that_has_seen_nothing_stops_at_once(self, bot, close):
        services.start(bot, START)
        services.stop(bot, close_position=True)
        live.advance_due()
        bot.refresh_from_db()
        assert (bot.status, bot.reason) == ("stopped", "Stopped: its orders are withdrawn.")

    def test_a_bot_that_ends_itself_gives_its_money_back(self, bot, close, account):
        bot.params = GRID | {"stop_loss": 85.0, "sell_at_end": True}
        bot.save()
        run = services.start(bot, START)
        candles = bars((100, 100, 84, 86), (86, 120, 80, 100))
        close(candles)
        live.advance_due()
        bot.refresh_from_db()
        run.refresh_from_db()
        assert stored(run) == exact(expected(bot, candles))
        assert (bot.status, run.status, run.position) == ("stopped", "stopped", 0)
        assert account.balances.get(currency="USDT").free == 9000 + run.cash
        assert Event.objects.get(bot=bot, code="ended").message == f"The bot has ended. {bot.reason}"

    def test_a_run_that_cannot_go_on_fails_and_its_orders_are_withdrawn(self, bot, close):
        run = services.start(bot, START)
        close(wandering(30))
        live.advance_due()
        Run.objects.filter(pk=run.pk).update(state=b"not a state")
        close(wandering(40)[30:])
        live.advance_due()
        live.advance_due()
        bot.refresh_from_db()
        assert bot.status == Bot.Status.FAILED
        assert "saved state has version" in bot.reason
        assert on_book(run) == rows(run, "open", "pending", "canceling") == set()

    def test_a_run_whose_session_is_gone_fails_alone_and_its_orders_are_withdrawn(self, bot, close, account):
        run = services.start(bot, START)
        bot.pk, bot.name, bot.status = None, "Behind", Bot.Status.DRAFT
        bot.save()
        behind = services.start(bot, START)
        close(wandering(30))
        live.advance_due()
        assert on_book(run) != set()
        LiveSession.objects.filter(run=run).delete()
        close(wandering(40)[30:])
        for _ in range(2):
            live.advance_due()
        run.refresh_from_db()
        behind.refresh_from_db()
        assert (run.status, behind.status) == ("stopped", "running")
        assert behind.bar_time == START + 39 * MINUTE
        assert messages(run.bot, "failed") == [run.reason]
        assert run.reason.startswith("how far it has followed its exchange is not stored any more")
        assert on_book(run) == rows(run, "open", "pending", "canceling") == set()
        free = {balance.currency: balance.free for balance in account.balances.all()}
        assert free == {"USDT": 8000 + run.cash, "SOL": run.position}
        assert live.advance_due() == 0

    def test_withdrawing_asks_no_exchange_and_takes_two_statements(self, bot, close, django_assert_num_queries):
        run = services.start(bot, START)
        close(wandering(30))
        live.advance_due()
        with django_assert_num_queries(2):
            live_orders.withdraw(Run.objects.filter(mode=Mode.LIVE))
        assert rows(run, "canceling") == on_book(run)


class TestHalt:
    def test_it_asks_no_exchange_and_the_worker_withdraws_when_it_is_back(self, bot, close, exchange, account):
        run = services.start(bot, START)
        close(wandering(30))
        live.advance_due()
        working = on_book(run)
        fault(exchange, down=True)
        done = halts.halt(None, "ann", close_positions=False)
        assert list(done.paused) == [run.pk]
        assert rows(run, "canceling") == working != set()
        live.advance_due()
        assert on_book(run) == working
        fault(exchange)
        live.advance_due()
        assert rows(run, "canceling", "open", "pending") == set() == on_book(run)
        with pytest.raises(services.Refused, match="All accounts are halted since"):
            services.resume(bot)

    def test_positions_are_sold_on_the_exchange(self, bot, close, exchange, account):
        run = services.start(bot, START)
        close(wandering(30)[:22])
        live.advance_due()
        fault(exchange, down=True)
        assert halts.halt(account.__class__.objects.filter(pk=account.pk), "ann", close_positions=True).sold == 1
        live.advance_due()
        fault(exchange)
        close(wandering(30)[22:24])
        live.advance_due()
        bot.refresh_from_db()
        run.refresh_from_db()
        assert (run.status, run.position, on_book(run)) == ("stopped", 0, set())
        assert bot.reason == "Halted by ann: its orders are withdrawn, its position is sold."
        assert holdings(exchange, f"a{account.pk}")["SOL"] == 0
