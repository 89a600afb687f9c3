"""Start, pause, resume, stop: each with its event, none without, and the money adds up whatever is done."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.utils import timezone

from bots import live, live_money, runs, services
from bots.kinds import KINDS
from bots.kinds.parameters import ParamsError
from bots.models import Account, Balance, Bot, Event, Mode, Order, Run, Trade
from bots.services import Refused
from markets.models import Exchange, Feed, Market
from markets.series import open_time
from tests.bots.conftest import GRID, MINUTE, START, bars

MONEY = Decimal(10_000)
# Down two lines and up again: trades on every pass.
PASS = ((100, 101, 99, 100), (100, 100, 91, 92), (92, 104, 92, 104), (104, 104, 97, 98))


def free(account: Account, currency: str = "USDT") -> Decimal:
    return sum(account.balances.filter(currency=currency).values_list("free", flat=True), Decimal(0))


def codes(bot: Bot) -> list[str]:
    return list(bot.events.order_by("id").exclude(code__in=("trade", "decision")).values_list("code", flat=True))


def everything() -> list[list[dict]]:
    """All rows that a refusal must leave alone."""
    return [list(model.objects.order_by("pk").values()) for model in (Bot, Run, Order, Trade, Balance, Event, Feed)]


def now_ms() -> int:
    return int(timezone.now().timestamp() * 1000)


def refused(act, *arguments, **options) -> str:
    """The sentence of a refusal that changed nothing."""
    before = everything()
    with pytest.raises(Refused) as caught:
        act(*arguments, **options)
    assert everything() == before
    return str(caught.value)


@pytest.fixture
def trading(bot, close):
    """The bot's run after a few trades, holding a position."""
    run = services.start(bot, START)
    close(bars(*PASS))
    runs.advance_due()
    run.refresh_from_db()
    assert run.position > 0
    assert run.trades_count > 2
    return run


def test_starting_takes_the_allocation_and_tells_so(bot, account):
    run = services.start(bot)
    bot.refresh_from_db()
    assert (bot.status, bot.reason) == ("running", "Started with 1000 USDT.")
    assert (run.status, run.number, run.mode, run.cash, run.equity) == ("running", 1, "paper", 1000, 1000)
    assert free(account) == MONEY - 1000
    assert codes(bot) == ["started"]
    event = bot.events.get()
    assert (event.owner_id, event.run_id, event.message) == (bot.owner_id, run.pk, "Started with 1000 USDT.")


def test_a_started_bot_waits_for_the_candle_that_opens_next(bot):
    before = now_ms()
    run = services.start(bot)
    assert open_time(before, 60) <= run.bar_time <= open_time(now_ms(), 60)


def test_a_start_on_the_minute_sees_the_candle_of_that_minute(bot):
    assert services.start(bot, START).bar_time == START - MINUTE


def test_starting_makes_the_feed_that_the_bot_needs(bot):
    services.start(bot)
    assert Feed.objects.get(market=bot.market, timeframe=60).enabled


def test_a_running_or_paused_bot_is_not_started_again(bot):
    services.start(bot)
    assert refused(services.start, bot) == "Grid is running already."
    services.pause(bot)
    assert refused(services.start, bot) == "Grid is paused already."


def test_a_bot_starts_only_with_money_that_is_free(bot, account):
    Balance.objects.update(free=Decimal("999.999999999999999999"))
    assert refused(services.start, bot) == "allocation is 1000 USDT, more than account Paper has free."
    Balance.objects.update(free=1000)
    services.start(bot)
    assert free(account) == 0


def test_a_bot_does_not_start_without_a_balance_in_the_quote_currency(bot):
    Balance.objects.update(currency="EUR")
    assert "more than account Paper has free" in refused(services.start, bot)


def test_only_paper_and_live_accounts_trade(bot):
    Account.objects.update(mode=Mode.REPLAY)
    assert refused(services.start, bot) == "account Paper is replay; bots run on paper and live accounts only."


def test_a_live_account_has_what_its_exchange_says_not_what_was_typed(bot):
    Account.objects.update(mode=Mode.LIVE)
    bot.account.refresh_from_db()
    assert refused(services.start, bot) == "allocation is 1000 USDT, more than account Paper has free."


def test_account_and_market_must_be_on_one_exchange(bot):
    Account.objects.update(exchange=Exchange.objects.create(slug="other", name="Other", ccxt_id="simulated"))
    assert refused(services.start, bot) == "account Paper is not on Simulated, the market's exchange."


def test_a_market_that_is_no_longer_listed_is_not_traded(bot):
    Market.objects.update(active=False)
    assert refused(services.start, bot) == "SOL/USDT is not active on Simulated."


def test_a_feed_that_was_switched_off_is_not_switched_on_in_passing(bot, feed):
    Feed.objects.update(enabled=False)
    assert refused(services.start, bot) == "the feed of SOL/USDT is switched off; switch it on first."


def test_parameters_that_no_longer_fit_are_refused_at_the_start(bot):
    Bot.objects.update(params={"lower": 110, "upper": 90})
    assert refused(services.start, bot) == "upper must be above lower (110), not 90."
    Bot.objects.update(params=GRID, kind="gone")
    assert refused(services.start, bot) == f"kind must be one of {', '.join(KINDS)}, not 'gone'."


@pytest.mark.parametrize(
    ("allocation", "price", "params", "exact"),
    [
        (10_000, 5e-5, {}, False),
        (70, 5e-5, {}, True),
        (70, 4.9e-5, {}, False),
        (70, 5e-5, {"leverage": 2}, False),
        (70, 1.0, {"leverage": 2}, True),
        (10_000, None, {}, True),
    ],
)
def test_what_buys_more_lots_than_a_float_holds_is_not_set(market, allocation, price, params, exact):
    """A sixty-fourth of 2^53 lots of 1e-8 is 1,407,374.88 of a coin: 70.37 at 5e-5."""
    market.type, market.max_leverage, market.lot, market.last = "swap", Decimal(5), Decimal("1e-8"), price
    market.min_amount = market.min_cost = Decimal(0)
    asked = "signal", {"long_entry": "close > 0", "stop_loss": 1} | params, market, 60, Decimal(allocation)
    if exact:
        services.validate(*asked)
    else:
        with pytest.raises(ParamsError, match=r"allocation must buy at most 1\.41e\+14 lots of 1e-08, not "):
            services.validate(*asked)


def test_an_exchange_without_a_clock_is_told_in_a_sentence(bot):
    Exchange.objects.update(ccxt_id="file")
    assert refused(services.start, bot).startswith("Simulated cannot be reached: Simulated is known from imported")


def test_what_is_not_running_cannot_be_paused_resumed_or_stopped(bot):
    for act in (services.pause, services.resume, lambda bot: services.stop(bot, close_position=False)):
        assert refused(act, bot) == "Grid is not running."
    services.start(bot)
    assert refused(services.resume, bot) == "Grid is not paused."
    services.pause(bot)
    assert refused(services.pause, bot) == "Grid is paused already."


def test_pausing_withdraws_the_orders_and_keeps_money_and_position(bot, trading):
    cash, position = trading.cash, trading.position
    services.pause(bot)
    bot.refresh_from_db()
    trading.refresh_from_db()
    assert (bot.status, trading.status) == ("paused", "paused")
    assert not Order.objects.filter(run=trading, status="open").exists()
    assert Order.objects.filter(run=trading, status="canceled").exists()
    assert (trading.cash, trading.position) == (cash, position)
    assert codes(bot) == ["started", "paused"]


def test_what_happens_during_a_pause_is_not_traded(bot, trading, close):
    services.pause(bot)
    close(bars(*PASS, start=START + 4 * MINUTE))
    assert runs.advance_due() == 0
    services.resume(bot)
    assert runs.advance_due() == 0
    trading.refresh_from_db()
    assert trading.bar_time in (open_time(now_ms(), 60), open_time(now_ms() - 1, 60) - MINUTE)
    assert Trade.objects.filter(run=trading).count() == trading.trades_count


def test_resuming_brings_the_same_orders_back_under_new_identities_and_trades_on(bot, trading, close):
    def wanted(status):
        rows = Order.objects.filter(run=trading, status=status)
        return sorted(rows.values_list("slot", "side", "price", "amount", "tag"))

    before, known = wanted("open"), set(Order.objects.values_list("client_id", flat=True))
    services.pause(bot)
    services.resume(bot)
    bot.refresh_from_db()
    assert bot.status == "running"
    assert wanted("open") == before
    assert not known & set(Order.objects.filter(status="open").values_list("client_id", flat=True))
    assert codes(bot) == ["started", "paused", "resumed"]
    trading.refresh_from_db()
    traded = trading.trades_count
    close(bars(*PASS, start=trading.bar_time + MINUTE))
    runs.advance_due()
    trading.refresh_from_db()
    assert trading.trades_count > traded
    assert Order.objects.filter(status="closed").count() == trading.trades_count


def test_orders_that_the_price_passed_in_the_pause_fill_at_the_market_as_taker(bot, trading, close):
    services.pause(bot)
    Market.objects.update(last=91.0)
    services.resume(bot)
    trading.refresh_from_db()
    close(bars((91, 91, 91, 91), start=trading.bar_time + MINUTE))
    runs.advance_due()
    passed = Trade.objects.filter(run=trading, number__gt=trading.trades_count)
    assert [trade.side for trade in passed] == ["buy"]
    assert passed[0].price == 91  # better than its limit of 95
    assert passed[0].fee == passed[0].amount * 91 * Decimal("0.002")


def test_pausing_again_after_a_resume_keeps_the_history_of_every_order(bot, trading):
    for _ in range(2):
        services.pause(bot)
        services.resume(bot)
    identities = list(Order.objects.filter(run=trading).values_list("client_id", flat=True))
    assert len(identities) == len(set(identities))


def test_stopping_can_keep_the_position_in_the_account(bot, account, trading):
    services.stop(bot, close_position=False)
    cash, position = trading.cash, trading.position
    trading.refresh_from_db()
    bot.refresh_from_db()
    sentence = "Stopped: its orders are withdrawn, its position is kept in the account."
    assert (bot.status, bot.reason, trading.status, trading.reason) == ("stopped", sentence, "stopped", sentence)
    assert trading.stopped_at is not None
    assert (free(account), free(account, "SOL")) == (MONEY - 1000 + cash, position)
    assert not Order.objects.filter(status="open").exists()
    assert codes(bot) == ["started", "stopped"]


def test_stopping_can_sell_the_position_at_the_last_price(bot, account, trading):
    Market.objects.update(last=103.0)
    services.stop(bot, close_position=True)
    cash, position = trading.cash, trading.position
    trading.refresh_from_db()
    sold = Trade.objects.filter(run=trading).order_by("-number")[0]
    assert (sold.side, sold.price, sold.amount, sold.tag) == ("sell", 103, position, "close")
    assert sold.fee == (position * 103 * Decimal("0.002")).quantize(sold.fee)
    assert (trading.position, trading.status) == (0, "stopped")
    assert trading.cash == cash + position * 103 - sold.fee
    assert (free(account), free(account, "SOL")) == (MONEY - 1000 + trading.cash, 0)
    assert not trading.positions.filter(status="open").exists()
    assert Order.objects.get(client_id=sold.client_id).status == "closed"
    assert codes(bot) == ["started", "stopped"]
    bot.refresh_from_db()
    assert bot.reason == trading.reason == "Stopped: its orders are withdrawn, its position is sold."


def test_a_bot_that_holds_nothing_stops_either_way(bot, account):
    for sell in (True, False):
        services.start(bot)
        services.stop(bot, close_position=sell)
        bot.refresh_from_db()
        assert (bot.status, bot.reason) == ("stopped", "Stopped: its orders are withdrawn.")
        assert free(account) == MONEY
    assert list(bot.runs.order_by("number").values_list("number", flat=True)) == [1, 2]


def test_a_paused_bot_can_be_stopped(bot, account, trading):
    services.pause(bot)
    services.stop(bot, close_position=True)
    bot.refresh_from_db()
    assert bot.status == "stopped"
    assert free(account, "SOL") == 0


def test_a_position_too_small_for_the_market_is_not_sold_but_can_be_kept(bot, trading):
    Market.objects.update(min_cost=1_000_000)
    sentence = refused(services.stop, bot, close_position=True)
    assert sentence.startswith("the position cannot be closed: cost must be at least 1000000, not ")
    assert sentence.endswith("Stop the bot and keep its position.")
    services.stop(bot, close_position=False)


def test_what_is_less_than_a_lot_of_today_is_kept_and_told(bot, account, trading):
    Market.objects.update(lot="0.1", last=103.0)
    services.stop(bot, close_position=True)
    trading.refresh_from_db()
    bot.refresh_from_db()
    assert 0 < trading.position < Decimal("0.1")
    left = f"{trading.position.normalize():f}"
    assert bot.reason == (
        f"Stopped: its orders are withdrawn, its position is sold but for {left} SOL, which is too little for the "
        "market and is kept."
    )
    assert free(account, "SOL") == trading.position == trading.positions.get(status="kept").amount


@pytest.mark.parametrize("really", [False, True], ids=["paper", "live"])
def test_a_bot_that_ends_itself_and_cannot_sell_tells_what_it_keeps(bot, account, exchange, close, really):
    """Half of what it bought for is below the least value of an order."""
    Market.objects.update(min_cost=60)
    if really:
        bot.account = live_money.open_account(bot.owner, "Live", exchange, {"USDT": Decimal(1000)})
    bot.kind, bot.params = "dca", {"base_order": 100.0, "max_safety_orders": 0}
    bot.allocation, bot.limits = Decimal(110), {"max_drawdown": 40.0, "at_drawdown": "sell"}
    bot.save()
    run = services.start(bot, START)
    close(bars((100, 100, 100, 100), (100, 100, 40, 40), (40, 40, 40, 40)))
    (live if really else runs).advance_due()
    run.refresh_from_db()
    bot.refresh_from_db()
    kept = f"Its position of {run.position.normalize():f} SOL is kept in the account."
    assert (bot.status, run.position > 0) == ("stopped", True)
    assert bot.reason == f"Order not placed: its value 54.72727273 is below the market's minimum. {kept}"
    assert bot.events.get(code="ended").message == f"The bot has ended. {bot.reason}"
    assert free(bot.account, "SOL") == run.position


def test_without_any_price_a_position_is_not_sold(bot, trading):
    Market.objects.update(last=None)
    Run.objects.update(last_price=None)
    assert refused(services.stop, bot, close_position=True) == (
        "SOL/USDT has no price yet; stop the bot and keep its position."
    )


def test_a_run_that_can_no_longer_be_read_can_still_be_stopped(bot, account, trading):
    services.pause(bot)
    Run.objects.update(kind="gone")
    sentence = (
        f"Grid cannot go on: kind 'gone' is not installed; the installed kinds are {', '.join(KINDS)}. "
        "Stop it and keep its position."
    )
    assert refused(services.resume, bot) == sentence
    assert refused(services.stop, bot, close_position=True) == sentence
    services.stop(bot, close_position=False)
    assert free(account, "SOL") == trading.position


def test_configuring_stores_what_a_person_sets_and_nothing_that_happened_since(bot, account, exchange):
    read_before = Bot.objects.get(pk=bot.pk)
    services.start(bot)
    other = services.open_paper_account(bot.owner, "Other", exchange, {})
    read_before.name, read_before.account, read_before.timeframe = "Renamed", other, 300
    read_before.params = GRID | {"lines": 7}
    services.configure(read_before)
    now = Bot.objects.get(pk=bot.pk)
    assert (now.name, now.params["lines"]) == ("Renamed", 7)
    assert (now.status, now.account, now.timeframe) == ("running", account, 60)
    assert now.reason == "Started with 1000 USDT."


def test_a_stopped_bot_starts_anew_with_a_run_of_its_own(bot, trading):
    services.stop(bot, close_position=False)
    again = services.start(bot)
    assert (again.number, again.cash, again.position, again.trades_count) == (2, 1000, 0, 0)


def test_stored_parameters_are_typed_and_leave_out_what_is_the_default():
    kind = KINDS["grid"]
    typed = services.plain_params(kind, {"lower": "90", "upper": "110.5", "lines": "21", "spacing": "arithmetic"})
    assert typed == {"lower": 90.0, "upper": 110.5, "lines": 21}
    assert all(type(value) in (int, float) for value in typed.values())
    assert kind.read(typed) == kind.read({"lower": 90, "upper": 110.5, "lines": 21})
