"""A bot's life: started, paused, resumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from django.db import transaction
from django.utils import timezone

from bots import balances, feed_watch, guards, live_margin, live_money, live_orders, writes
from bots.claims import engine_of
from bots.engine.run import Engine
from bots.guards import Refused
from bots.kinds import KINDS
from bots.kinds.parameters import ParamsError
from bots.models import Bot, Event, Mode, Order, Run
from bots.outcomes import Outcome
from bots.records import moment, terms_of
from bots.services.configuration import ALIVE, validate
from bots.services.words import by_whom
from markets.gateway import GatewayError, connect
from markets.models import Exchange, Feed
from markets.series import open_time
from orchestrator import notify


def start(bot: Bot, since: int | None = None) -> Run:
    """Start a bot: take its allocation out of the account and let it see the candles that open from now on.

    since: ms UTC, to begin in the past with candles that are stored (a demonstration). Raises Refused.
    """
    # Asked before the gate is entered: a halt does not wait for an exchange.
    first = since if since is not None else now_of(bot.market.exchange)
    held, asked = live_money.ask(bot), (bot.account_id, bot.market_id)
    with guards.recorded(bot), transaction.atomic():
        account = guards.enter(bot)
        bot = Bot.objects.select_related("market__exchange", "account").select_for_update(of=("self",)).get(pk=bot.pk)
        if bot.status in ALIVE:
            raise Refused(f"{bot.name} is {bot.status} already.")
        if (bot.account_id, bot.market_id) != asked or bot.account_id != account.pk:
            raise Refused(f"{bot.name} was given another account or market this moment; try again.")
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
        say(bot, run, "started", f"Started with {bot.allocation.normalize():f} {bot.market.quote}.", Bot.Status.RUNNING)
        feed_watch.greet(run)
    return run


def _require_tradable(bot: Bot) -> None:
    if bot.account.mode == Mode.LIVE:
        live_money.require_simulated(bot.account.exchange)
    elif bot.account.mode != Mode.PAPER:
        raise Refused(f"account {bot.account.name} is {bot.account.mode}; bots run on paper and live accounts only.")
    if bot.account.exchange_id != bot.market.exchange_id:
        raise Refused(f"account {bot.account.name} is not on {bot.market.exchange.name}, the market's exchange.")
    if not bot.market.active:
        raise Refused(f"{bot.market.symbol} is not active on {bot.market.exchange.name}.")


def now_of(exchange: Exchange) -> int:
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
        live_margin.open_session(run)
    return run


def say(bot: Bot, run: Run, code: str, message: str, status: str) -> None:
    """Give a bot its new status with the Event that tells it."""
    bot.status, bot.reason, bot.updated_at = status, message[:300], timezone.now()
    bot.save(update_fields=["status", "reason", "updated_at"])
    Event.objects.create(owner_id=bot.owner_id, bot=bot, run=run, code=code, message=message)
    notify.changed([notify.bot_topic(bot.owner_id, bot.pk)])


def living_run(bot: Bot) -> Run:
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


def resumed_engine(run: Run) -> Engine:
    """The engine as the run left it. Raises Refused."""
    try:
        return engine_of(run)
    except ValueError as error:
        raise Refused(f"{run.bot.name} cannot go on: {error} Stop it and keep its position.") from error


def pause(bot: Bot, by: str = "") -> None:
    """Withdraw the working orders, keep the position, see no more candles. by: who wants it. Raises Refused."""
    with transaction.atomic():
        run = living_run(bot)
        if run.status == Run.Status.PAUSED:
            raise Refused(f"{bot.name} is paused already.")
        run.status = Run.Status.PAUSED
        run.save(update_fields=["status"])
        withdraw([run])
        sentence = f"Paused{by_whom(by)}: its orders are withdrawn, its position is kept."
        say(run.bot, run, "paused", sentence, Bot.Status.PAUSED)


def withdraw(runs: Sequence[Run]) -> None:
    """Withdraw the working orders of runs that are locked; an exchange is told by the worker, until it confirms."""
    live_orders.withdraw([run.pk for run in runs if run.mode == Mode.LIVE])
    open_rows = Order.objects.filter(run__in=[run for run in runs if run.mode != Mode.LIVE], status=Order.Status.OPEN)
    open_rows.update(status=Order.Status.CANCELED, updated_at=timezone.now())


def resume(bot: Bot) -> None:
    """Go on with the candles that open from now on; the orders come back with new identities. Raises Refused."""
    now = now_of(bot.market.exchange)
    with guards.recorded(bot), transaction.atomic():
        account = guards.enter(bot)
        run = living_run(bot)
        if run.status != Run.Status.PAUSED:
            raise Refused(f"{bot.name} is not paused.")
        guards.require_open(account)
        wanted = guards.exposure(run.kind, run.allocation, run.params, run.limits)
        guards.require_room(account, bot, run.market.quote, wanted)
        engine = resumed_engine(run)
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
        say(run.bot, run, "resumed", "Resumed: its orders are back.", Bot.Status.RUNNING)
        feed_watch.greet(run)
