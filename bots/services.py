"""What a person may do with bots. Every change and its Event are committed together; a refusal changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

import numpy as np
from django.db import transaction
from django.utils import timezone

from bots import balances, guards, limits, live_ends, live_money, live_orders, writes
from bots.claims import engine_of
from bots.engine.run import Engine
from bots.engine.simulate import Seen, step
from bots.guards import Refused as Refused
from bots.kinds import KINDS
from bots.kinds.contract import Kind
from bots.kinds.parameters import ParamsError
from bots.models import Account, Balance, Bot, Event, LiveSession, Mode, Order, Run
from bots.outcomes import Outcome, event_row
from bots.records import moment, terms_of
from markets.gateway import GatewayError, connect
from markets.models import Exchange, Feed, Market
from markets.precision import refusal
from markets.series import Candles, open_time
from orchestrator import notify

ALIVE = (Bot.Status.RUNNING, Bot.Status.PAUSED)
CONFIGURED = ("owner", "account", "market", "name", "kind", "timeframe", "allocation", "params", "limits", "updated_at")
# The money of a run goes back where it came from, and its orders are on its market.
FIXED_WHILE_ALIVE = ("owner", "account", "market", "kind", "timeframe")


def open_paper_account(owner: Any, name: str, exchange: Exchange, money: dict[str, Decimal]) -> Account:
    """A paper account with play money: currency -> amount."""
    with transaction.atomic():
        account = Account.objects.create(owner=owner, name=name, mode=Mode.PAPER, exchange=exchange)
        Balance.objects.bulk_create(Balance(account=account, currency=c, free=amount) for c, amount in money.items())
    return account


def deposit(account: Account, currency: str, amount: Decimal, by: str) -> None:
    """Add money to what an account has free, or take it out when amount is negative. Raises Refused."""
    named = f"{abs(amount).normalize():f} {currency}"
    with transaction.atomic():
        if account.mode == Mode.LIVE:
            live_money.require_simulated(account.exchange)
        if amount < 0 and not balances.reserve(account, currency, -amount):
            raise Refused(f"account {account.name} has less than {named} free; nothing was withdrawn.")
        if amount > 0:
            balances.release(account, currency, amount)
        if account.mode == Mode.LIVE:
            live_money.give(account, {currency: amount})
        code, verb = ("withdrawal", "withdrawn from") if amount < 0 else ("deposit", "paid into")
        Event.objects.create(
            owner_id=account.owner_id, code=code, message=f"{named} {verb} account {account.name}{_by(by)}."
        )
        notify.changed([notify.user_topic(account.owner_id)])


def validate(
    kind: str,
    params: dict[str, Any],
    market: Market,
    timeframe: int,
    allocation: Decimal,
    limited: dict[str, Any] | None = None,
) -> None:
    """Raises ParamsError (a ValueError) naming every field that is wrong.

    timeframe: of its candles, s; limited: limits, as bots.limits has them.
    """
    if kind not in KINDS:
        raise ParamsError({"kind": f"kind must be one of {', '.join(KINDS)}, not {kind!r}."})
    terms, money = terms_of(market), float(allocation)
    read = KINDS[kind].validate(params, terms, money)
    _check_leverage(getattr(read, "leverage", 1.0), market)
    if lead := KINDS[kind].lead:
        lead(read, timeframe)  # says so when it would be more candles than can be loaded
    limits.validate(limited or {}, read, KINDS[kind], terms, money)


def _check_leverage(leverage: float, market: Market) -> None:
    if leverage > market.max_leverage:
        most = f"{market.max_leverage.normalize():f}"
        raise ParamsError({"leverage": f"leverage must be at most {most} on {market.symbol}, not {leverage:.15g}."})


def plain_params(kind: Kind, raw: dict[str, Any]) -> dict[str, Any]:
    """Parameters as they are stored: every value in its own type, what equals the default left out."""
    params = kind.read(raw)
    return {
        entry.name: getattr(params, entry.name)
        for entry in kind.parameters()
        if entry.required or getattr(params, entry.name) != entry.default
    }


def configure(bot: Bot) -> None:
    """Store what a person may set, a new bot whole. What happened since the bot was read is not turned back."""
    bot.updated_at = timezone.now()
    if bot.pk is None:
        bot.save()
        return
    with transaction.atomic():
        now = Bot.objects.select_for_update().get(pk=bot.pk)
        fixed = FIXED_WHILE_ALIVE if now.status in ALIVE else ()
        bot.save(update_fields=[name for name in CONFIGURED if name not in fixed])
        notify.changed([notify.bot_topic(now.owner_id, bot.pk)])


def start(bot: Bot, since: int | None = None) -> Run:
    """Start a bot: take its allocation out of the account and let it see the candles that open from now on.

    since: ms UTC, to begin in the past with candles that are stored (a demonstration). Raises Refused.
    """
    # Asked before the gate is entered: a halt does not wait for an exchange.
    first = since if since is not None else _now(bot.market.exchange)
    held = live_money.ask(bot)
    with guards.recorded(bot), transaction.atomic():
        account = guards.enter(bot)
        bot = Bot.objects.select_related("market__exchange", "account").select_for_update(of=("self",)).get(pk=bot.pk)
        if bot.status in ALIVE:
            raise Refused(f"{bot.name} is {bot.status} already.")
        if bot.account_id != account.pk:
            raise Refused(f"{bot.name} was given another account this moment; try again.")
        _require_tradable(bot)
        guards.require_open(account)
        try:
            validate(bot.kind, bot.params, bot.market, bot.timeframe, bot.allocation, bot.limits)
        except ParamsError as error:
            raise Refused(str(error)) from error
        wanted = guards.exposure(bot.kind, bot.allocation, bot.params, bot.limits)
        guards.require_room(account, bot, bot.market.quote, wanted)
        if held is not None:
            live_money.mirror(account, held)
        if not balances.reserve(bot.account, bot.market.quote, bot.allocation):
            raise Refused(
                f"allocation is {bot.allocation.normalize():f} {bot.market.quote}, more than account "
                f"{bot.account.name} has free."
            )
        _want_candles(bot)
        run = new_run(bot, first)
        _say(
            bot, run, "started", f"Started with {bot.allocation.normalize():f} {bot.market.quote}.", Bot.Status.RUNNING
        )
    return run


def _require_tradable(bot: Bot) -> None:
    if bot.account.mode == Mode.LIVE:
        live_money.require_tradable(bot)
    elif bot.account.mode != Mode.PAPER:
        raise Refused(f"account {bot.account.name} is {bot.account.mode}; bots run on paper and live accounts only.")
    if bot.account.exchange_id != bot.market.exchange_id:
        raise Refused(f"account {bot.account.name} is not on {bot.market.exchange.name}, the market's exchange.")
    if not bot.market.active:
        raise Refused(f"{bot.market.symbol} is not active on {bot.market.exchange.name}.")


def _now(exchange: Exchange) -> int:
    """The exchange's own clock, ms UTC. Raises Refused."""
    try:
        return connect(exchange).now_ms()
    except GatewayError as error:
        raise Refused(f"{exchange.name} cannot be reached: {error}") from error


def _want_candles(bot: Bot) -> None:
    feed, made = Feed.objects.get_or_create(market=bot.market, timeframe=bot.timeframe)
    if not made and not feed.enabled:
        raise Refused(f"the feed of {bot.market.symbol} is switched off; switch it on first.")


def new_run(bot: Bot, since: int) -> Run:
    """A run that has seen nothing; the first candle it may see opens at or after `since`, ms UTC."""
    terms, step_ms = terms_of(bot.market), bot.timeframe * 1000
    kind = KINDS[bot.kind]
    engine = Engine.new(kind, kind.read(bot.params), terms, float(bot.allocation))
    state, orders = engine.save()
    last = bot.runs.order_by("-number").first()
    run = Run.objects.create(
        bot=bot, market=bot.market, number=last.number + 1 if last else 1, mode=bot.account.mode, kind=bot.kind,
        timeframe=bot.timeframe, params=bot.params, limits=bot.limits, terms=asdict(terms), allocation=bot.allocation,
        cash=bot.allocation, equity=bot.allocation, state=state, orders=orders,
        started_at=min(moment(since), timezone.now()),
        # The candle before the first one. One that is open at `since` already is not its own.
        bar_time=open_time(since - 1, bot.timeframe) if since % step_ms else since - step_ms,
    )  # fmt: skip
    if run.mode == Mode.LIVE:
        LiveSession.objects.create(run=run)
    return run


def _say(bot: Bot, run: Run, code: str, message: str, status: str) -> None:
    """Give a bot its new status with the Event that tells it."""
    bot.status, bot.reason, bot.updated_at = status, message[:300], timezone.now()
    bot.save(update_fields=["status", "reason", "updated_at"])
    Event.objects.create(owner_id=bot.owner_id, bot=bot, run=run, code=code, message=message)
    notify.changed([notify.bot_topic(bot.owner_id, bot.pk)])


def _alive(bot: Bot) -> Run:
    """The bot's run that is not over, locked: whoever steps it has finished. Raises Refused."""
    run = (
        Run.objects.filter(bot=bot)
        .exclude(status=Run.Status.STOPPED)
        .select_related("bot__account", "market__exchange")
        .select_for_update(of=("self",))
        .first()
    )
    if run is None:
        raise Refused(f"{bot.name} is not running.")
    return run


def _engine(run: Run) -> Engine:
    """The engine as the run left it. Raises Refused."""
    try:
        return engine_of(run)
    except ValueError as error:
        raise Refused(f"{run.bot.name} cannot go on: {error} Stop it and keep its position.") from error


def pause(bot: Bot, by: str = "") -> None:
    """Withdraw the working orders, keep the position, see no more candles. by: who wants it. Raises Refused."""
    with transaction.atomic():
        run = _alive(bot)
        if run.status == Run.Status.PAUSED:
            raise Refused(f"{bot.name} is paused already.")
        run.status = Run.Status.PAUSED
        run.save(update_fields=["status"])
        withdraw([run])
        sentence = f"Paused{_by(by)}: its orders are withdrawn, its position is kept."
        _say(run.bot, run, "paused", sentence, Bot.Status.PAUSED)


def withdraw(runs: Sequence[Run]) -> None:
    """Withdraw the working orders of runs that are locked; an exchange is told by the worker, until it confirms."""
    live_orders.withdraw([run.pk for run in runs if run.mode == Mode.LIVE])
    open_rows = Order.objects.filter(run__in=[run for run in runs if run.mode != Mode.LIVE], status=Order.Status.OPEN)
    open_rows.update(status=Order.Status.CANCELED, updated_at=timezone.now())


def resume(bot: Bot) -> None:
    """Go on with the candles that open from now on; the orders come back with new identities. Raises Refused."""
    now = _now(bot.market.exchange)
    with guards.recorded(bot), transaction.atomic():
        account = guards.enter(bot)
        run = _alive(bot)
        if run.status != Run.Status.PAUSED:
            raise Refused(f"{bot.name} is not paused.")
        guards.require_open(account)
        wanted = guards.exposure(run.kind, run.allocation, run.params, run.limits)
        guards.require_room(account, bot, run.market.quote, wanted)
        engine = _engine(run)
        price = run.market.last or run.last_price
        if price is not None:
            engine.renew(price)
        run.bar_time = max(run.bar_time, open_time(now - 1, run.timeframe))
        run.state, run.orders = engine.save()
        run.status = Run.Status.RUNNING
        run.save(update_fields=["bar_time", "state", "orders", "status"])
        if run.mode == Mode.LIVE:
            live_orders.follow(run, engine)
        else:
            writes.write_orders([Outcome(run, engine)])
        _say(run.bot, run, "resumed", "Resumed: its orders are back.", Bot.Status.RUNNING)


def stop(bot: Bot, close_position: bool, by: str = "") -> None:
    """End the run: withdraw its orders, sell its position at the last price or keep it, give the money back.

    by: who wants it. Raises Refused.
    """
    with transaction.atomic():
        run = _alive(bot)
        if run.mode == Mode.LIVE:
            end_live(run, close_position, f"Stopped{_by(by)}")
        else:
            writes.write([ending(run, close_position, "stopped", f"Stopped{_by(by)}")])


def end_live(run: Run, close_position: bool, opening: str) -> None:
    """Have a live run that is locked end once its exchange confirmed that its orders are withdrawn. Raises Refused.

    opening: how its last Event begins.
    """
    try:
        engine = _engine(run)
    except Refused as error:
        if close_position and run.position:
            raise
        live_ends.fail(run.pk, str(error))
        return
    if close_position and run.position:
        _require_closable(run)
    live_ends.begin(run, engine, close_position, opening)
    rest = " and sells its position" if close_position and run.position else ""
    _say(run.bot, run, "stopping", f"Stopping: the exchange withdraws its orders{rest}.", Bot.Status.RUNNING)


def ending(run: Run, close_position: bool, code: str, opening: str) -> Outcome:
    """The outcome of ending a run that is locked; stores nothing. opening: how its Event begins. Raises Refused."""
    outcome, position = Outcome(run, orders_changed=True), ""
    if run.position and close_position:
        outcome = _closed(run)
        position = ", its position is sold" if run.market.type != "swap" else ", its position is closed"
    elif run.position and run.market.type == "swap":
        raise Refused("a position on a swap cannot be kept without a bot that looks after its margin; close it.")
    elif run.position:
        position = ", its position is kept in the account"
    sentence = f"{opening}: its orders are withdrawn{position}."
    outcome.events.append(event_row(run, (Event.Level.INFO, code, sentence, {}), timezone.now()))
    outcome.ended = Bot.Status.STOPPED
    return outcome


def _by(name: str) -> str:
    return f" by {name}" if name else ""


def _require_closable(run: Run) -> float:
    """The last price, at which the position can be sold (or bought back). Raises Refused."""
    price, market = run.market.last or run.last_price, run.market
    if price is None:
        raise Refused(f"{market.symbol} has no price yet; stop the bot and keep its position.")
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
    price = _require_closable(run)
    engine = _engine(run)
    engine.want_flat()
    now = int(timezone.now().timestamp() * 1000)
    # The price of now is no candle: those that a paused or late run has not seen are not missing before it.
    run.bar_time = now - run.timeframe * 1000
    candle = Candles.from_rows([(now, price, price, price, price, 0.0)])
    # Nothing is asked of the kind any more: it sees nothing in it.
    return Outcome.of(run, engine, step(engine, candle, Seen(np.zeros(1, np.int8), np.empty((1, 0)))), candle)
