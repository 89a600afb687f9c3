"""Stores a shard's outcomes: one statement a table, inside the caller's transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import numpy as np
from django.utils import timezone

from bots import balances, closing, rows
from bots.engine.reconcile import reconcile
from bots.engine.run import Engine
from bots.engine.types import ORDER, ORDER_TYPES
from bots.models import Bot, EquitySnapshot, Event, FundingPayment, Mode, Order, Position, Run, Side, Trade
from bots.outcomes import Outcome, client_id, event_row
from bots.records import ExactTrade, digits_of, exact_order, moment
from orchestrator import notify
from orchestrator.prepared import Prepared, among

_RUN_FIGURES = ("cash", "position", "cost", "realized", "fees", "funding", "equity", "trades_count", "last_price")
_RUN_STATE = ("bar_time", "state", "orders", "status", "reason", "stopped_at")
# Codes of Events that say that a run is over, and why.
TELL_AN_END = frozenset({"failed", "stopped", "halted", "changed"})
DRAWDOWN = "drawdown"
_OPEN_ORDERS = Prepared(
    lambda: Order.objects.filter(among("bots_order.run_id", "runs"), status=Order.Status.OPEN).order_by()
)
_OPEN_POSITIONS = Prepared(
    lambda: Position.objects.filter(among("bots_position.run_id", "runs"), status=Position.Status.OPEN).order_by()
)
_POSITION_FIGURES = ("status", "side", "amount", "average_price", "realized", "fees", "closed_at")


def write(shard: Sequence[Outcome]) -> None:
    """Store a shard's outcomes with one statement a table; inside the caller's transaction."""
    changed = [outcome for outcome in shard if outcome.orders_changed]
    Trade.objects.bulk_create([row for outcome in shard for row in outcome.trade_rows])
    FundingPayment.objects.bulk_create([row for outcome in shard for row in outcome.payment_rows])
    write_orders(changed)
    _write_positions([outcome for outcome in shard if outcome.trades])
    EquitySnapshot.objects.bulk_create([row for outcome in shard for row in outcome.equity], ignore_conflicts=True)
    _write_ends([outcome for outcome in shard if outcome.ended])
    Event.objects.bulk_create([row for outcome in shard for row in outcome.events])
    rows.update([outcome.run for outcome in shard], *_RUN_FIGURES, *_RUN_STATE)
    seen = (outcome.run for outcome in shard if outcome.run.mode != Mode.REPLAY)
    notify.changed(notify.bot_topic(run.bot.owner_id, run.bot_id) for run in seen)


def write_orders(changed: Sequence[Outcome]) -> None:
    """Bring the open order rows in line with what is wanted; fills close their order, the rest is canceled."""
    if not changed:
        return
    open_rows: dict[int, dict[str, Order]] = defaultdict(dict)
    for row in _OPEN_ORDERS.rows(runs=[outcome.run.pk for outcome in changed]):
        open_rows[row.run_id][row.client_id] = row
    new, gone = [], []
    for outcome in changed:
        placed, withdrawn = _order_rows(outcome, open_rows[outcome.run.pk])
        new += placed
        gone += withdrawn
    Order.objects.bulk_create(new)
    rows.update(gone, "status", "filled", "updated_at")


def _order_rows(outcome: Outcome, open_rows: dict[str, Order]) -> tuple[list[Order], list[Order]]:
    """(rows to insert, rows to change) for one run."""
    run, engine, now = outcome.run, outcome.engine, moment(outcome.run.bar_time)
    filled = {client_id(run, trade.sequence): trade for trade in outcome.trades}
    working = {int(identity.rsplit("-", 1)[1]): identity for identity in open_rows}
    wanted = engine.orders if engine else np.zeros(0, ORDER)
    missing, over = reconcile(wanted, working)
    withdrawn = [open_rows[working[sequence]] for sequence in over]
    for row in withdrawn:
        trade = filled.get(row.client_id)
        row.status = Order.Status.CLOSED if trade else Order.Status.CANCELED
        row.filled = row.amount if trade else row.filled
        row.updated_at = trade.time if trade else now
    placed = [_filled_order(run, trade) for identity, trade in filled.items() if identity not in open_rows]
    if engine:
        placed += [order_row(run, engine, slot, now, Order.Status.OPEN) for slot in missing]
    return placed, withdrawn


def _filled_order(run: Run, trade: ExactTrade) -> Order:
    """The row of an order that was placed and filled within one stretch."""
    return Order(
        run=run, bot_id=run.bot_id, owner_id=run.bot.owner_id, market_id=run.market_id,
        client_id=client_id(run, trade.sequence), slot=trade.slot, type=trade.order_type, side=trade.side,
        price=trade.limit, amount=trade.amount, filled=trade.amount, status=Order.Status.CLOSED, tag=trade.tag,
        created_at=trade.time, updated_at=trade.time,
    )  # fmt: skip


def order_row(run: Run, engine: Engine, slot: int, now: datetime, status: str) -> Order:
    """A new row of a wanted order. One that was filled in part under an earlier identity is for what is left of it."""
    record = engine.orders[slot]
    price, amount, filled = exact_order(record, digits_of(run.market, run.terms))
    return Order(
        run=run, bot_id=run.bot_id, owner_id=run.bot.owner_id, market_id=run.market_id,
        client_id=client_id(run, int(record["sequence"])), slot=slot, type=ORDER_TYPES[record["type"]],
        side=Side.BUY if record["side"] > 0 else Side.SELL, price=price,
        amount=amount - filled, status=status, tag=engine.kind.tags[record["tag"]], created_at=now, updated_at=now,
    )  # fmt: skip


def _write_positions(traded: Sequence[Outcome]) -> None:
    """Follow each run's trades: a position opens with the first and closes when nothing is left."""
    if not traded:
        return
    open_rows = {row.run_id: row for row in _OPEN_POSITIONS.rows(runs=[outcome.run.pk for outcome in traded])}
    touched = [row for outcome in traded for row in _position_rows(outcome, open_rows.get(outcome.run.pk))]
    # Closed ones first: a run has one open position.
    rows.update([row for row in touched if row.pk is not None], *_POSITION_FIGURES)
    Position.objects.bulk_create([row for row in touched if row.pk is None])


def _position_rows(outcome: Outcome, current: Position | None) -> list[Position]:
    """The rows of one run that its trades opened, changed or closed."""
    run, touched = outcome.run, [current] if current else []
    for row, (position, average) in zip(outcome.trade_rows, outcome.holdings, strict=True):
        if current is None:
            current = Position(
                run=run, bot_id=run.bot_id, owner_id=run.bot.owner_id, market_id=run.market_id, opened_at=row.time,
                average_price=average,
            )  # fmt: skip
            touched.append(current)
        current.realized += row.realized
        current.fees += row.fee
        current.amount, current.side = abs(position), "long" if position >= 0 else "short"
        if position:
            current.average_price = average
        else:
            current.status, current.closed_at = Position.Status.CLOSED, row.time
            current = None
    return touched


def _write_ends(ended: Sequence[Outcome]) -> None:
    """Runs that ended themselves: the bot says so, the money goes back to its account.

    Account by account, so that two shards never wait for each other's balances.
    """
    if not ended:
        return
    warned = after_drawdown([outcome.run for outcome in ended])
    for outcome in sorted(ended, key=lambda outcome: outcome.run.bot.account_id):
        last = outcome.events[-1] if outcome.events else None
        told = last is not None and last.code in TELL_AN_END
        reason = last.message if last else ""
        end(outcome.run, outcome.ended, reason if told else f"{reason}{closing.kept(outcome.run)}")
        if not told:
            follows = outcome.run.pk in warned or any(event.code == DRAWDOWN for event in outcome.events)
            outcome.events.append(end_event(outcome.run, last.time if last else timezone.now(), follows))
    let_go([outcome.run for outcome in ended])
    rows.update([outcome.run.bot for outcome in ended], "status", "reason", "updated_at")


def let_go(ended: Sequence[Run]) -> None:
    """What ended runs still hold is kept by their account. On a swap on paper it is settled, with the margin."""
    left = [run for run in ended if run.position]
    if not left:
        return
    settled = [run for run in left if run.market.type == "swap" and run.mode != Mode.LIVE]
    rows_ = Position.objects.filter(status=Position.Status.OPEN)
    rows_.filter(run__in=settled).update(status=Position.Status.CLOSED, closed_at=timezone.now())
    rows_.filter(run__in=left).update(status=Position.Status.KEPT)


def after_drawdown(ended: Sequence[Run]) -> set[int]:
    """Those of these runs of which it was told that a drawdown ends them."""
    told = Event.objects.filter(bot__in={run.bot_id for run in ended}, run__in=ended, code=DRAWDOWN)
    return set(told.order_by().values_list("run", flat=True))


def end_event(run: Run, time: datetime, follows: bool) -> Event:
    """That a run ended itself, and why: what was told last may be a trade, or a decision like others.

    follows: a drawdown, which told already that the run ends. Channels tell of one of the two.
    """
    failed = run.bot.status == Bot.Status.FAILED
    level, code = (Event.Level.ERROR, "failed") if failed else (Event.Level.INFO, "ended")
    return event_row(
        run,
        (
            level,
            code,
            f"The bot has {'failed' if failed else 'ended'}. {run.reason}".strip(),
            {"follows": DRAWDOWN} if follows and not failed else {},
        ),
        time,
    )


def end(run: Run, status: str, reason: str) -> None:
    """Mark a run and its bot as over and give the account what the run holds. Saves neither row.

    Of a swap that could not be closed any more the account gets what it is worth at the last price.
    """
    run.status, run.reason, run.stopped_at = Run.Status.STOPPED, reason[:300], timezone.now()
    run.bot.status, run.bot.reason, run.bot.updated_at = status, reason[:300], run.stopped_at
    on_margin = run.market.type == "swap"
    # The margin of a live run comes back once its exchange has moved it: bots/live_margin.py.
    if run.mode == Mode.PAPER or (run.mode == Mode.LIVE and not on_margin):
        balances.release(run.bot.account, run.market.quote, max(run.equity, Decimal(0)) if on_margin else run.cash)
        balances.release(run.bot.account, run.market.base, Decimal(0) if on_margin else run.position)
