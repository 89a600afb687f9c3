"""Changing a bot that runs: its run ends, and the next one begins at the same price with what can be taken over.

The new settings are led through a candle that stands still at the last price, by the engine. What it would buy (or sell
short) there and the old run holds already changes hands at that price without a fee; the rest is traded, or kept in
the account. Both runs book it as trades, so that each ledger is whole by itself.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from bots import balances, guards, limits, writes
from bots.engine.run import Engine
from bots.engine.simulate import Steps, step
from bots.engine.types import NONE
from bots.guards import Refused
from bots.kinds import KINDS
from bots.kinds.parameters import ParamsError
from bots.models import Bot, Event, Mode, Order, Run
from bots.outcomes import Outcome, event_row
from bots.records import FEE_STEP, terms_of
from bots.services.configuration import configure, validate
from bots.services.ends import require_closable
from bots.services.lifecycle import living_run, new_run, now_of, resumed_engine, say
from bots.services.words import by_whom
from bots.trials import flat_candle, unseen
from markets.precision import to_decimal

# What a run holds of its bot; whoever changes it may have read the bot before that run.
_HELD = ("account_id", "market_id", "kind", "timeframe")
CARRIED = "carried over"  # tag of a trade between two runs of a bot

# Side, type, price (None for a market order), amount.
OrderKey = tuple[str, str, Decimal | None, Decimal]


@dataclass(frozen=True, slots=True)
class Change:
    """What a change comes to. Amounts in base, signed as positions are; money in quote.

    carried: of the old position, at price; traded: bought or sold beside it; left: kept in the account; fee: of what
    was traded; returned: what the old run gives back; given: the new run's allocation.
    """

    run: Run
    price: float
    carried: Decimal
    traded: Decimal
    left: Decimal
    fee: Decimal
    returned: Decimal
    given: Decimal
    kept: list[OrderKey]
    canceled: list[OrderKey]
    placed: list[OrderKey]


def foresee(bot: Bot, sell_rest: bool) -> Change:
    """What change() would do now: it is done, and undone. Raises Refused."""
    with transaction.atomic():
        found = change(bot, sell_rest)
        transaction.set_rollback(True)
    return found


def change(bot: Bot, sell_rest: bool, by: str = "") -> Change:
    """Have a paper bot that runs go on with the settings that `bot` holds. Raises Refused.

    sell_rest: sell what the new run does not take over, else the account keeps it; a swap's position is always closed.
    """
    now = now_of(bot.market.exchange)
    with guards.recorded(bot), transaction.atomic():
        account = guards.enter(bot)
        old = living_run(bot)
        _require_changeable(bot, old)
        guards.require_open(account)
        price, before = require_price(old), _working(old)
        engine, steps = _begun(bot, now, price)
        position, wanted = old.position, _bought(steps, old)
        carried = _common(position, wanted)
        rest = position - carried
        sold = rest if sell_rest or old.market.type == "swap" else Decimal(0)
        fee = _end(old, now, price, carried, sold, by)
        writes.write([fee.outcome])
        returned = max(old.equity, Decimal(0)) if old.market.type == "swap" else old.cash
        _configure(bot, by, old)
        guards.require_room(
            account, bot, old.market.quote, guards.exposure(bot.kind, bot.allocation, bot.params, bot.limits)
        )
        if not balances.reserve(bot.account, old.market.quote, bot.allocation):
            raise Refused(
                f"allocation is {bot.allocation.normalize():f} {old.market.quote}, more than account "
                f"{bot.account.name} has free with the {returned.normalize():f} that come back."
            )
        run = new_run(bot, now)
        paid = _begin(run, engine, steps, now, price, carried)
        after = _working(run)
        traded = wanted - carried - sold
        say(bot, run, "changed", _sentence(bot, by, carried, traded), Bot.Status.RUNNING)
    return Change(
        run, price, carried, traded, rest - sold, fee.paid + paid, returned, bot.allocation,
        list((before & after).elements()), list((before - after).elements()), list((after - before).elements()),
    )  # fmt: skip


def _require_changeable(bot: Bot, run: Run) -> None:
    if any(getattr(bot, name) != getattr(run.bot, name) for name in _HELD):
        raise Refused(f"{bot.name} was stopped, set anew and started this moment; look at it again.")
    if run.mode != Mode.PAPER:
        raise Refused(f"{bot.name} trades live: save the change for the next start, then stop and start it.")
    if run.status != Run.Status.RUNNING:
        raise Refused(f"{bot.name} is paused: resume it first, or save the change for the next start.")
    try:
        validate(bot.kind, bot.params, bot.market, bot.timeframe, bot.allocation, bot.limits)
    except ParamsError as error:
        raise Refused(str(error)) from error
    if _holds(run, bot):
        raise Refused(
            f"run {run.number} of {bot.name} has these settings already; a new name is saved without a change."
        )


def _holds(run: Run, bot: Bot) -> bool:
    """Whether a run has the settings of a bot, defaults filled in: beginning anew would only trade and cost."""
    kind = KINDS[bot.kind]
    try:
        held = kind.read(run.params), limits.read(run.limits)
    except ParamsError:  # of an older version: the change brings it up to date
        return False
    return run.allocation == bot.allocation and held == (kind.read(bot.params), limits.read(bot.limits))


def _configure(bot: Bot, by: str, old: Run) -> None:
    try:
        configure(bot, by, note=f"Run {old.number + 1} began with it.")
    except ParamsError as error:
        raise Refused(str(error)) from error


def require_price(run: Run) -> float:
    """The last price. Raises Refused."""
    price = run.market.last or run.last_price
    if price is None:
        raise Refused(f"{run.market.symbol} has no price yet; save the change for the next start.")
    return price


def _working(run: Run) -> Counter[OrderKey]:
    rows = Order.objects.filter(run=run, status=Order.Status.OPEN)
    return Counter(rows.values_list("side", "type", "price", "amount"))


def _begun(bot: Bot, now: int, price: float) -> tuple[Engine, Steps]:
    """The new settings after a candle in which the price stands still."""
    kind, allocation = KINDS[bot.kind], float(bot.allocation)
    most = limits.for_engine(limits.read(bot.limits), allocation)
    engine = Engine.new(kind, kind.read(bot.params), terms_of(bot.market), allocation, most)
    return engine, step(engine, flat_candle(now, price), unseen(kind))


def _bought(steps: Steps, run: Run) -> Decimal:
    moved = float((steps.trades["side"] * steps.trades["amount"]).sum())
    return to_decimal(moved, run.market.lot)


def _common(held: Decimal, wanted: Decimal) -> Decimal:
    """What of a position is part of another; nothing when one is long and the other short."""
    if held * wanted <= 0:
        return Decimal(0)
    return min(held, wanted) if held > 0 else max(held, wanted)


@dataclass(frozen=True, slots=True)
class _Ended:
    outcome: Outcome
    paid: Decimal


def _end(run: Run, now: int, price: float, carried: Decimal, sold: Decimal, by: str) -> _Ended:
    """The outcome of ending a run that hands over a part of its position, and the fee of what is sold beside it."""
    sentence = f"Changed{by_whom(by)}: its orders are withdrawn, run {run.number + 1} goes on."
    outcome = Outcome(run, orders_changed=True)
    if carried or sold:
        if sold and not carried:
            require_closable(run)
        engine = resumed_engine(run)
        engine.want_flat()
        engine.orders[0]["amount"] = float(abs(carried + sold))
        run.bar_time = now - run.timeframe * 1000
        candle = flat_candle(now, price)
        steps = step(engine, candle, unseen(engine.kind))
        _forgive(engine, steps, carried)
        engine.orders["type"] = NONE  # nothing is asked of the kind any more
        outcome = Outcome.of(run, engine, steps, candle)
        outcome.orders_changed = True
        _name(outcome, carried)
    outcome.events = [event_row(run, (Event.Level.INFO, "changed", sentence, {}), timezone.now())]
    outcome.ended = Bot.Status.STOPPED
    return _Ended(outcome, sum((trade.fee for trade in outcome.trades), Decimal(0)))


def _begin(run: Run, engine: Engine, steps: Steps, now: int, price: float, carried: Decimal) -> Decimal:
    """Store the beginning of the new run; the fee that it paid."""
    _forgive(engine, steps, carried)
    bar_time = run.bar_time
    outcome = Outcome.of(run, engine, steps, flat_candle(now, price))
    outcome.orders_changed = True
    run.bar_time = bar_time  # the candle of now is not its own
    _name(outcome, carried)
    writes.write([outcome])
    return sum((trade.fee for trade in outcome.trades), Decimal(0))


def _forgive(engine: Engine, steps: Steps, carried: Decimal) -> None:
    """Take the fee off what only changes hands, in the records and in the engine's own ledger."""
    left, returned = float(abs(carried)), 0.0
    for trade in steps.trades:
        part = min(left, float(trade["amount"]))
        left -= part
        share = part / float(trade["amount"])
        fee = round(float(trade["fee"]) * (1.0 - share) / float(FEE_STEP)) * float(FEE_STEP)
        returned += float(trade["fee"]) - fee
        trade["fee"] = fee
    engine.run["cash"] += returned
    engine.run["fees"] -= returned


def _name(outcome: Outcome, carried: Decimal) -> None:
    """Say of trades between two runs what they are."""
    left = abs(carried)
    for row in outcome.trade_rows:
        if row.amount <= left:
            row.tag = CARRIED
        left -= min(row.amount, left)


def _sentence(bot: Bot, by: str, carried: Decimal, traded: Decimal) -> str:
    base = bot.market.base
    told = f"Changed{by_whom(by)}: goes on with its new settings"
    if carried:
        told += f", {abs(carried).normalize():f} {base} are taken over"
    if traded:
        told += f", {abs(traded).normalize():f} {base} are {'bought' if traded > 0 else 'sold'}"
    return f"{told}."
