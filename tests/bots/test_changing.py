"""A running bot is changed: what it holds is taken over, the rest is traded, and no money is lost on the way."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bots import runs, services
from bots.kinds import KINDS
from bots.models import Bot, BotChange, Event, Order, Position, Run, Trade
from bots.services import Refused
from markets.models import Market
from tests.bots.conftest import GRID, MINUTE, START, bars

NOW = START + 60 * MINUTE
PASS = ((100, 101, 99, 100), (100, 100, 91, 92), (92, 104, 92, 104), (104, 104, 97, 98))


@pytest.fixture
def running(bot, close, monkeypatch):
    """The grid after four candles, at a price of 98; it is an hour later."""
    services.start(bot, START)
    close(bars(*PASS))
    runs.advance_due()
    Market.objects.update(last=98.0)
    monkeypatch.setattr(services.changing, "now_of", lambda exchange: NOW)
    return fresh(bot)


def fresh(bot) -> Bot:
    return Bot.objects.select_related("market__exchange", "account__owner").get(pk=bot.pk)


def wealth(account, price: str = "98") -> Decimal:
    """Everything at a price: free money and coins, and what the living run holds."""
    free = {one.currency: one.free for one in account.balances.all()}
    alive = Run.objects.exclude(status="stopped")
    held = sum((run.cash + run.position * Decimal(price) for run in alive), Decimal(0))
    return free.get("USDT", Decimal(0)) + free.get("SOL", Decimal(0)) * Decimal(price) + held


def working(run) -> set[tuple[str, Decimal]]:
    return set(Order.objects.filter(run=run, status="open").values_list("side", "price"))


def ledger(run) -> tuple[Decimal, Decimal]:
    """Cash and position, rebuilt from the trades alone."""
    cash, position = run.allocation, Decimal(0)
    for trade in Trade.objects.filter(run=run).order_by("number"):
        sign = 1 if trade.side == "buy" else -1
        cash -= sign * trade.price * trade.amount + trade.fee
        position += sign * trade.amount
    return cash, position


def limited(bot, loss: float = 99.0) -> Bot:
    """The bot with a limit that changes no order."""
    bot.limits = {"max_daily_loss": loss}
    return bot


def test_a_change_that_changes_nothing_is_refused_and_the_run_goes_on(running):
    run, orders = Run.objects.get(), working(Run.objects.get())
    running.params, running.name = GRID | {"stop_loss": None}, "Renamed"
    with pytest.raises(Refused, match="run 1 of Renamed has these settings already"):
        services.change(running, sell_rest=False)
    assert (Run.objects.get(), Run.objects.get().status, working(run)) == (run, "running", orders)


def test_a_change_of_a_bot_that_has_another_account_by_now_is_refused(running, owner, exchange):
    shown, other = fresh(running), services.open_paper_account(owner, "Other", exchange, {"USDT": Decimal(5000)})
    services.stop(running, close_position=True)
    Bot.objects.update(account=other)
    services.start(fresh(running), NOW)
    with pytest.raises(Refused, match="Grid was stopped, set anew and started this moment; look at it again"):
        services.change(limited(shown), sell_rest=False)
    assert other.balances.get().free == 4000


def test_a_change_that_touches_no_order_takes_everything_over_without_a_fee(running, account):
    before, old = wealth(account), Run.objects.get()
    assert old.position > 0
    limited(running)
    found = services.change(running, sell_rest=False, by="ann")
    old.refresh_from_db()
    new = Run.objects.get(number=2)
    assert found.carried == min(old_position(old), new.position)
    assert wealth(account) == before - found.fee
    assert (old.status, new.status, fresh(running).status) == ("stopped", "running", "running")
    for run in (old, new):
        run.refresh_from_db()
        assert ledger(run) == (run.cash, run.position)


def old_position(run) -> Decimal:
    """What a run held before its last trade."""
    last = Trade.objects.filter(run=run).order_by("-number").first()
    return run.position + (last.amount if last.side == "sell" else -last.amount)


def test_what_the_new_settings_want_more_is_bought_with_a_fee_for_that_alone(running, account):
    held, before = Run.objects.get().position, wealth(account)
    running.params, running.allocation = GRID | {"lower": 80.0, "upper": 140.0, "lines": 13}, Decimal(3000)
    found = services.change(running, sell_rest=False)
    new = Run.objects.get(number=2)
    assert found.carried == held
    assert found.traded == new.position - held > 0
    assert float(found.fee) == pytest.approx(float(found.traded) * 98 * 0.002, abs=1e-6)
    assert found.left == 0
    assert wealth(account) == before - found.fee
    assert Trade.objects.filter(run__number=1).order_by("-number").first().fee == 0
    assert account.balances.filter(currency="SOL", free__gt=0).count() == 0


@pytest.mark.parametrize("sell", [False, True])
def test_what_the_new_settings_do_not_begin_with_is_kept_or_sold(running, account, sell):
    """A grid far above the price of 98 begins full; one far below begins empty."""
    held, before = Run.objects.get().position, wealth(account)
    running.params = {"lower": 50.0, "upper": 80.0, "lines": 5}
    found = services.change(running, sell_rest=sell)
    new = Run.objects.get(number=2)
    assert (found.carried, new.position) == (0, 0)
    assert (found.left, found.traded) == ((0, -held) if sell else (held, 0))
    assert wealth(account) == before - found.fee
    assert (found.fee > 0) is sell
    coins = account.balances.filter(currency="SOL").first()
    assert (coins.free if coins else 0) == (0 if sell else held)


def test_orders_that_stay_are_told_from_those_that_go_and_come(running):
    before = working(Run.objects.get())
    running.params = GRID | {"lines": 9}
    found = services.change(running, sell_rest=False)
    after = working(found.run)
    assert {key[:1] + key[2:3] for key in (*found.kept, *found.placed)} == after
    assert {key[:1] + key[2:3] for key in (*found.kept, *found.canceled)} == before
    same = services.change(limited(fresh(running)), sell_rest=False)
    assert (len(same.kept), same.canceled, same.placed) == (len(after), [], [])


def test_what_is_foreseen_is_what_happens_and_foreseeing_leaves_no_trace(running, account):
    rows = [model.objects.count() for model in (Run, Trade, Order, Event, BotChange)]
    running.params = GRID | {"upper": 130.0}
    seen = services.foresee(running, sell_rest=False)
    assert [model.objects.count() for model in (Run, Trade, Order, Event, BotChange)] == rows
    assert fresh(running).params == GRID
    done = services.change(running, sell_rest=False)
    assert Run.objects.count() == 2
    for name in ("price", "carried", "traded", "left", "fee", "returned", "given", "kept", "canceled", "placed"):
        assert getattr(done, name) == getattr(seen, name)


def test_the_new_run_goes_on_with_the_candles_that_open_from_then_on(running, close):
    running.params = GRID | {"lines": 9}
    run = services.change(running, sell_rest=False).run
    close(bars((98, 98, 98, 98), (98, 106, 90, 104), start=NOW))
    assert runs.advance_due() == 1
    run.refresh_from_db()
    assert run.trades_count > 1
    assert run.bar_time == NOW + MINUTE
    assert ledger(run) == (run.cash, run.position)
    assert not Event.objects.filter(code__in=("gap", "failed")).exists()
    position = Position.objects.filter(bot=running, status="open")
    assert [one.amount for one in position] == ([run.position] if run.position else [])


@pytest.mark.parametrize("slug", [slug for slug, kind in KINDS.items() if not kind.margin and slug != "prediction"])
def test_every_kind_is_changed_and_its_ledger_is_whole(running, account, slug, close):
    services.stop(running, close_position=True)
    Bot.objects.update(kind=slug, params=dict(KINDS[slug].example))
    services.start(fresh(running), NOW)
    close(bars(*((98, 104, 91, 95), (95, 99, 88, 98)) * 20, start=NOW))
    runs.advance_due()
    before = wealth(account)
    found = services.change(limited(fresh(running)), sell_rest=False)
    assert wealth(account) == before - found.fee
    for run in Run.objects.all():
        assert ledger(run) == (run.cash, run.position)


def test_a_change_is_kept_with_who_made_it(running):
    running.params = GRID | {"lines": 9, "stop_loss": 80.0}
    services.change(running, sell_rest=False, by="ann")
    row = running.changes.first()
    assert (row.by, row.note) == ("ann", "Run 2 began with it.")
    assert row.changes == {"lines": [5, 9], "stop_loss": [None, 80.0]}
    assert "Changed by ann" in Event.objects.filter(code="changed").latest("id").message


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda bot: services.pause(bot), "is paused"),
        (lambda bot: services.stop(bot, close_position=False), "is not running"),
        (lambda bot: setattr(bot, "allocation", Decimal(20_000)), "allocation is 20000 USDT, more than account Paper"),
        (lambda bot: setattr(bot, "params", GRID | {"upper": 80.0}), "upper must be above lower"),
        (lambda bot: bot.account.__class__.objects.update(max_exposure=500), "max_exposure of account Paper is 500"),
        (lambda bot: Run.objects.update(mode="live"), "trades live"),
    ],
)
def test_what_cannot_be_changed_is_refused_and_nothing_happens(running, account, spoil, sentence):
    spoil(running)
    before, trades = wealth(account), Trade.objects.count()
    for act in (services.foresee, services.change):
        with pytest.raises(Refused, match=sentence):
            act(limited(running), False)
    assert (wealth(account), Trade.objects.count(), Run.objects.count()) == (before, trades, 1)


@pytest.mark.parametrize(
    ("slug", "before", "after"),
    [
        ("futures_grid", {"direction": "long"}, {"direction": "long", "lines": 15}),
        ("futures_grid", {"direction": "short"}, {"direction": "long"}),
        ("futures_position", {"side": "short"}, {"side": "short", "leverage": 3.0}),
        ("futures_position", {"side": "long"}, {"side": "short"}),
    ],
)
def test_a_position_on_a_swap_is_taken_over_or_closed(running, account, close, slug, before, after):
    services.stop(running, close_position=True)
    Market.objects.update(type="swap", max_leverage=10, maintenance_rate=Decimal("0.005"), funding_to=NOW * 2)
    example = dict(KINDS[slug].example)
    Bot.objects.update(kind=slug, params=example | before)
    first = services.start(fresh(running), NOW)
    close(bars((98, 99, 97, 98), (98, 98, 98, 98), start=NOW))
    runs.advance_due()
    first.refresh_from_db()
    held, worth = first.position, wealth(account)
    assert held
    bot = fresh(running)
    bot.params = example | after
    found = services.change(bot, sell_rest=False)
    new = found.run
    new.refresh_from_db()
    assert found.left == 0  # an account keeps no position on a swap
    assert found.carried + found.traded == new.position - (held - found.carried)
    assert (found.carried == 0) is (held * new.position <= 0)
    assert wealth(account) == worth - found.fee
    assert ledger(new) == (new.cash, new.position)
