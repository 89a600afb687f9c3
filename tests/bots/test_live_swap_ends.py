"""Live runs on swaps that end: positions are closed, and the margin comes back."""

# ruff: noqa: F811 (fixtures of other tests)

from __future__ import annotations

from decimal import Decimal

import pytest

from bots import halts, live, services
from bots.models import Event, LiveSession, Run, Trade
from markets.models import SimulatedOrder
from markets.simulated_money import deposit
from tests.bots.conftest import GRID, MINUTE, START, bars
from tests.bots.test_funding import SHORT, expected, rates, short_bot, swap  # noqa: F401 (fixtures)
from tests.bots.test_live import account, fault, messages, on_book, rows  # noqa: F401 (a fixture)
from tests.bots.test_live_swaps import bot, free, main, margin  # noqa: F401 (a fixture)
from tests.bots.test_runs import exact, stored


class TestEnd:
    def test_a_liquidated_bot_ends_with_what_is_left_and_says_why(self, bot, close, rates, account, exchange):
        rates()
        bot.params = SHORT | {"size": 100, "leverage": 10}
        bot.save()
        run = services.start(bot, START)
        candles = bars((100, 100, 100, 100), (100, 125, 100, 120))
        close(candles)
        live.advance_due()
        run.refresh_from_db()
        bot.refresh_from_db()
        assert stored(run) == exact(expected(bot, candles))
        assert (run.status, bot.status, run.position) == ("stopped", "stopped", 0)
        assert "liquidated, the margin was used up" in bot.reason
        assert Trade.objects.filter(run=run).order_by("number").last().tag == "liquidation"
        assert Event.objects.filter(run=run, code="liquidated", level="error").exists()
        assert on_book(run) == rows(run, "open", "pending", "canceling", "waiting") == set()
        assert not SimulatedOrder.objects.filter(status="open").exists()
        assert main(exchange, account) == free(account) == 9000 + run.cash
        assert 0 <= run.cash < 1

    def test_a_position_cannot_be_kept_without_its_bot(self, bot, close, rates):
        rates()
        run = services.start(bot, START)
        close(bars((100, 100, 100, 100), (100, 100, 90, 90)))
        live.advance_due()
        with pytest.raises(services.Refused, match="cannot be kept without a bot that looks after its margin; close"):
            services.stop(bot, close_position=False)
        run.refresh_from_db()
        assert run.status == "running"

    @pytest.mark.parametrize("left", ["0", "2"])
    def test_what_somebody_closed_by_hand_is_not_opened_the_other_way(self, bot, close, rates, account, exchange, left):
        rates()
        run = services.start(bot, START)
        close(bars((100, 100, 100, 100), (100, 100, 90, 90)))
        live.advance_due()
        by_hand = -margin(exchange, account, run)["SOL"] - Decimal(left)
        deposit(exchange, f"a{account.pk}/r{run.pk}", {"SOL": by_hand, "USDT": -90 * by_hand})
        services.stop(bot, close_position=True)
        close(bars((90, 90, 90, 90), start=START + 2 * MINUTE))
        live.advance_due()
        run.refresh_from_db()
        assert run.status == "stopped"
        assert margin(exchange, account, run) == {"USDT": 0, "SOL": 0}
        assert main(exchange, account) == free(account) > 10_000
        assert list(Trade.objects.filter(run=run, side="buy").values_list("amount", flat=True)) == [2] * bool(int(left))
        told = "The exchange did not buy 5.964 SOL: there is no position that it would reduce."
        assert messages(bot, "rejected") == [told] * (left == "0")

    def test_a_grid_closes_what_it_holds_when_it_ends(self, bot, close, rates, account, exchange):
        rates()
        bot.kind, bot.params = "grid", GRID | {"stop_loss": 85.0, "sell_at_end": False}
        bot.save()
        run = services.start(bot, START)
        candles = bars((100, 100, 84, 86), (86, 90, 80, 88))
        close(candles)
        live.advance_due()
        run.refresh_from_db()
        assert stored(run) == exact(expected(bot, candles))
        assert (run.status, run.position) == ("stopped", 0)
        assert main(exchange, account) == free(account) == 9000 + run.cash

    def test_a_halt_closes_the_position_and_the_margin_comes_back(self, bot, close, rates, account, exchange):
        rates()
        run = services.start(bot, START)
        close(bars((100, 100, 100, 100), (100, 100, 90, 90)))
        live.advance_due()
        fault(exchange, down=True)
        assert halts.halt(None, "ann", close_positions=True).sold == 1
        live.advance_due()
        fault(exchange)
        close(bars((90, 90, 90, 90), start=START + 2 * MINUTE))
        live.advance_due()
        run.refresh_from_db()
        bot.refresh_from_db()
        assert (run.status, run.position) == ("stopped", 0)
        assert bot.reason == "Halted by ann: its orders are withdrawn, its position is closed."
        assert main(exchange, account) == free(account) == 9000 + run.cash

    def test_one_that_cannot_go_on_closes_its_position_first(self, bot, close, rates, account, exchange):
        rates()
        run = services.start(bot, START)
        close(bars((100, 100, 100, 100), (100, 100, 90, 90)))
        live.advance_due()
        Run.objects.filter(pk=run.pk).update(state=b"broken")
        close(bars((90, 90, 90, 90), (90, 90, 90, 90), start=START + 2 * MINUTE))
        live.advance_due()
        live.advance_due()
        run.refresh_from_db()
        bot.refresh_from_db()
        assert (bot.status, run.status, run.position) == ("failed", "stopped", 0)
        assert bot.reason.startswith("Failed, saved state has version")
        assert bot.reason.endswith(": its orders are withdrawn, its position is closed.")
        assert run.cash > 1050
        assert main(exchange, account) == free(account) == 9000 + run.cash
        assert on_book(run) == rows(run, "open", "pending", "canceling", "waiting") == set()

    def test_one_that_does_not_understand_its_exchange_is_given_up_and_gets_its_money_back(
        self, bot, close, rates, account, exchange
    ):
        rates()
        run = services.start(bot, START)
        close(bars((100, 100, 100, 100), (100, 100, 90, 90)))
        live.advance_due()
        LiveSession.objects.update(moment=5000)  # as from another exchange
        close(bars((90, 90, 90, 90), (90, 90, 90, 90), start=START + 2 * MINUTE))
        for _ in range(3):
            live.advance_due()
        run.refresh_from_db()
        bot.refresh_from_db()
        assert (bot.status, run.status, run.position) == ("failed", "stopped", Decimal("-5.964"))
        assert bot.reason.startswith("the exchange tells of moment ")
        assert len(messages(bot, "failed")) == 2
        # The exchange closed it, but was not understood: what it gives back is what counts.
        assert messages(bot, "margin")[-1].endswith(" USDT of margin moved back to the account.")
        assert main(exchange, account) == free(account) > 10_000
        assert on_book(run) == set()
        assert live.advance_due() == 0

    def test_a_position_that_cannot_be_closed_keeps_its_margin_on_the_exchange(
        self,
        bot,
        close,
        rates,
        account,
        exchange,
    ):
        rates()
        run = services.start(bot, START)
        close(bars((100, 100, 100, 100), (100, 100, 90, 90)))
        live.advance_due()
        services.stop(bot, close_position=True)
        fault(exchange, reject_one_in=1)
        close(bars((90, 90, 90, 90), start=START + 2 * MINUTE))
        live.advance_due()
        run.refresh_from_db()
        bot.refresh_from_db()
        assert (run.status, run.position) == ("stopped", Decimal("-5.964"))
        sentence = "Stopped: its orders are withdrawn, its position of 5.964 SOL could not be closed and is kept."
        assert bot.reason == sentence
        assert messages(bot, "margin")[-1] == (
            "The exchange did not move the margin back to the account: a position of -5.964 SOL is open. It stays "
            "with the run."
        )
        assert (main(exchange, account), free(account)) == (9000, 9000)
        assert margin(exchange, account, run) == {"USDT": run.cash, "SOL": run.position}
        assert live.advance_due() == 0
