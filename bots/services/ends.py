"""The end of a run, and what becomes of its position."""

from __future__ import annotations

import numpy as np
from django.db import transaction
from django.utils import timezone

from bots import closing, live_ends, writes
from bots.engine.simulate import Seen, step
from bots.guards import Refused
from bots.models import Bot, Event, Mode, Run
from bots.outcomes import Outcome, event_row
from bots.services.lifecycle import living_run, resumed_engine, say
from bots.services.words import by_whom
from markets.precision import refusal
from markets.series import Candles


def stop(bot: Bot, close_position: bool, by: str = "") -> None:
    """End the run: withdraw its orders, sell its position at the last price or keep it, give the money back.

    by: who wants it. Raises Refused.
    """
    with transaction.atomic():
        run = living_run(bot)
        if run.mode == Mode.LIVE:
            end_live(run, close_position, f"Stopped{by_whom(by)}")
        else:
            writes.write([ending(run, close_position, "stopped", f"Stopped{by_whom(by)}")])


def end_live(run: Run, close_position: bool, opening: str) -> None:
    """Have a live run that is locked end once its exchange confirmed that its orders are withdrawn. Raises Refused.

    opening: how its last Event begins.
    """
    on_margin = run.market.type == "swap"
    if not close_position:
        require_keepable(run)
    try:
        engine = resumed_engine(run)
    except Refused as error:
        if close_position and run.position and not on_margin:
            raise
        live_ends.fail(run.pk, str(error))
        return
    if close_position and run.position:
        require_closable(run)
    live_ends.begin(run, engine, close_position, opening)
    rest = f" and {'closes' if on_margin else 'sells'} its position" if close_position and run.position else ""
    say(run.bot, run, "stopping", f"Stopping: the exchange withdraws its orders{rest}.", Bot.Status.RUNNING)


def ending(run: Run, close_position: bool, code: str, opening: str) -> Outcome:
    """The outcome of ending a run that is locked; stores nothing. opening: how its Event begins. Raises Refused."""
    outcome, position = Outcome(run, orders_changed=True), ""
    if run.position and close_position:
        outcome = _closed(run)
        position = closing.told(run, bool(outcome.trades))
    elif run.position:
        require_keepable(run)
        position = ", its position is kept in the account"
    sentence = f"{opening}: its orders are withdrawn{position}."
    outcome.events.append(event_row(run, (Event.Level.INFO, code, sentence, {}), timezone.now()))
    outcome.ended = Bot.Status.STOPPED
    return outcome


def require_keepable(run: Run) -> None:
    """Raises Refused for a position that cannot be left to its account."""
    if run.position and run.market.type == "swap":
        raise Refused("a position on a swap cannot be kept without a bot that looks after its margin; close it.")


def require_closable(run: Run) -> float:
    """The last price, at which the position can be sold (or bought back). Raises Refused.

    On a swap no position is too small, nor could it be kept: exchanges ask for no least value of what only reduces
    (Binance: "must be no smaller than 5 (unless you choose reduce only)").
    """
    price, market = run.market.last or run.last_price, run.market
    if price is None:
        raise Refused(f"{market.symbol} has no price yet; stop the bot and keep its position.")
    if market.type == "swap":
        return price
    small = refusal(
        abs(float(run.position)), price, float(market.lot), float(market.min_amount), float(market.min_cost)
    )
    if small:
        raise Refused(f"the position cannot be closed: {small} Stop the bot and keep its position.")
    return price


def _closed(run: Run) -> Outcome:
    """The outcome of selling (or buying back) what the run holds as one market order at the last price.

    Raises Refused.
    """
    price = require_closable(run)
    engine = resumed_engine(run)
    closing.want_closed(run, engine)
    now = int(timezone.now().timestamp() * 1000)
    # The price of now is no candle: those that a paused or late run has not seen are not missing before it.
    run.bar_time = now - run.timeframe * 1000
    candle = Candles.from_rows([(now, price, price, price, price, 0.0)])
    # Nothing is asked of the kind any more: it sees nothing in it.
    return Outcome.of(run, engine, step(engine, candle, Seen(np.zeros(1, np.int8), np.empty((1, 0)))), candle)
