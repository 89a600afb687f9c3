"""Why is this bot not trading? An answer for every bot at any time, from what is stored alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, Max, Min, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from bots import guards, predictions
from bots.forecasting import PREDICTED
from bots.forecasts import FORECASTERS
from bots.kinds import KINDS
from bots.kinds.parameters import ParamsError
from bots.models import Bot, Event, Halt, Order, Run
from bots.predictions import Series
from markets.models import Feed
from markets.series import TIMEFRAME_NAMES

# A run that has not seen a stored candle for so long is told to be waiting for a worker.
PATIENCE = timedelta(seconds=120)
# Event codes. A hold says in data["until"] (ms UTC) when it ends, as far as that is known.
HELD, RELEASED, REFUSED, DECISION, TRADE = "held", "released", "refused", "decision", "trade"
EXCHANGE, STOPPING = "exchange", "stopping"
RESTING = Q(type="limit")
CANDLES_LATELY = 10  # of which one at least has its prediction stored, if there are any


def with_halts(bots: QuerySet[Bot]) -> QuerySet[Bot]:
    """Bots that at_rest() can answer for; account and market selected."""
    everywhere = Halt.objects.order_by()
    return bots.annotate(
        all_halted_at=Subquery(everywhere.values("halted_at")[:1]),
        all_halted_reason=Subquery(everywhere.values("reason")[:1]),
    )


def with_orders(bots: QuerySet[Bot]) -> QuerySet[Bot]:
    """Bots with what rests on either side of the price; feeds of their market prefetched."""
    working = Order.objects.filter(bot=OuterRef("pk"), status=Order.Status.OPEN).order_by().values("bot")
    figures = {
        "nearest_buy": Max("price", filter=RESTING & Q(side="buy")),
        "nearest_sell": Min("price", filter=RESTING & Q(side="sell")),
        "stop_buy": Min("price", filter=~RESTING & Q(side="buy")),
        "stop_sell": Max("price", filter=~RESTING & Q(side="sell")),
    }
    columns: dict[str, Any] = {
        name: Subquery(working.annotate(found=figure).values("found")) for name, figure in figures.items()
    }
    columns["open_orders"] = Coalesce(Subquery(working.annotate(found=Count("pk")).values("found")), 0)
    return with_halts(bots).annotate(**columns).prefetch_related("market__feeds")


def at_rest(bot: Any) -> str:
    """Why a bot of with_halts() is not running; "" when it is."""
    if bot.status == Bot.Status.RUNNING:
        return ""
    own = {
        Bot.Status.DRAFT: "A draft: it was never started.",
        Bot.Status.FAILED: f"Failed: {bot.reason}",
    }.get(bot.status) or bot.reason
    return f"{own} {_halted(bot)}".strip()


def _halted(bot: Any) -> str:
    everywhere = Halt(halted_at=bot.all_halted_at, reason=bot.all_halted_reason) if bot.all_halted_at else None
    return guards.halted(bot.account, everywhere)


def answer(bot: Any, run: Run | None, events: Sequence[Event], now: datetime) -> str:
    """Why a bot of with_orders() does not trade at this moment.

    run: its last one; events: its latest, newest first, a hundred or so.
    """
    if bot.status != Bot.Status.RUNNING or run is None:
        return at_rest(bot)
    told = [event for event in events if event.run_id == run.pk]
    sentence = next(filter(None, _reasons(bot, run, told, now)))
    return f"{sentence} {_last_refusal(told)}".strip()


def _reasons(bot: Any, run: Run, told: Sequence[Event], now: datetime) -> Iterator[str]:
    """What may keep a running bot from trading, the first cause first."""
    yield _closed(bot)
    yield _silent(told)
    feed = next((feed for feed in bot.market.feeds.all() if feed.timeframe == run.timeframe), None)
    yield _starved(bot, run, feed, now)
    yield _unseen(run, feed, now)
    yield _held(told, now)
    yield _unpredicted(bot, run)
    yield _resting(bot, run)
    yield _idle(run, told)


def _closed(bot: Any) -> str:
    market = bot.market
    if not market.exchange.enabled:
        return f"{market.exchange.name} is switched off: no candles come."
    if not market.active:
        return f"{market.symbol} is not active on {market.exchange.name} any more: no candles come."
    return ""


def _silent(told: Sequence[Event]) -> str:
    """Of live runs: that the exchange does not answer, or is withdrawing the orders of one that ends."""
    last = next((event for event in told if event.code in (EXCHANGE, STOPPING)), None)
    return "" if last is None or (last.code == EXCHANGE and last.level == Event.Level.INFO) else last.message


def _starved(bot: Any, run: Run, feed: Feed | None, now: datetime) -> str:
    """Whether the feed brings what the run waits for."""
    name = f"the feed of {bot.market.symbol} {TIMEFRAME_NAMES.get(run.timeframe, '')}"
    if feed is None:
        return f"No candles come: {name} is missing."
    if not feed.enabled:
        return f"No candles come: {name} is switched off."
    if feed.error:
        return f"No candles come: {name} fails. {feed.error}"
    if feed.synced_to is None:
        return f"Waiting for a candle: {name} has none yet."
    closed = _clock(feed.synced_to + _length(run))
    if feed.ahead(now):
        return f"Waiting for a candle: {name} has them up to {closed}, later than now. Was the clock set back?"
    return f"Waiting for a candle: {name} is behind, its last one closed at {closed}." if feed.late(now) else ""


def _unseen(run: Run, feed: Feed | None, now: datetime) -> str:
    """Whether the run has yet to see a candle, or one that is stored."""
    closes = run.bar_time + 2 * _length(run)  # of the next candle
    if feed is not None and (feed.synced_to or 0) > run.bar_time and now - _moment(closes) > PATIENCE:
        return f"The candles since {_clock(closes)} are stored, but no worker has shown them to it yet."
    return f"Waiting for its first candle, which closes at {_clock(closes)}." if run.last_price is None else ""


def _held(told: Sequence[Event], now: datetime) -> str:
    """Whether a limit holds its entries."""
    last = next((event for event in told if event.code in (HELD, RELEASED)), None)
    if last is None or last.code == RELEASED:
        return ""
    until = last.data.get("until")
    if until is None:
        return f"Its entries are held by a limit. {last.message}"
    return f"Its entries are held until {_clock(until)}. {last.message}" if _moment(until) > now else ""


def _unpredicted(bot: Any, run: Run) -> str:
    """Whether a model says nothing of the candles that it sees."""
    if (kind := KINDS.get(run.kind)) is None or run.kind not in PREDICTED:
        return ""
    try:
        models = kind.columns(kind.read(run.params))
    except ParamsError as error:
        return f"Its parameters cannot be read: {error}"
    lately = range(run.bar_time, run.bar_time - CANDLES_LATELY * _length(run), -_length(run))
    for model in models:
        if not predictions.any_of(Series(run.market_id, run.timeframe, model), lately):
            return (
                f"No prediction: {model} needs about {FORECASTERS[model].lead:,} candles of {bot.market.symbol} "
                f"{TIMEFRAME_NAMES.get(run.timeframe, '')} in a row, up to the last."
            )
    return ""


def _resting(bot: Any, run: Run) -> str:
    """What rests, and how far the price is from it."""
    if not bot.open_orders:
        return ""
    price = bot.market.last or run.last_price
    named = (
        ("the nearest buy", bot.nearest_buy),
        ("the nearest sell", bot.nearest_sell),
        ("the nearest stop to buy", bot.stop_buy),
        ("the nearest stop to sell", bot.stop_sell),
    )
    places = [f"{name} at {_plain(at)}{_away(at, price)}" for name, at in named if at is not None]
    count = "1 order rests" if bot.open_orders == 1 else f"{bot.open_orders} orders rest"
    return f"Waiting for the price: {count}{'; ' if places else ''}{', '.join(places)}."


def _away(at: Decimal, price: float | None) -> str:
    if not price:
        return ""
    distance = float(at) / price - 1.0
    return f" is {abs(distance):.2%} {'below' if distance < 0 else 'above'} it".replace("%", " %")


def _idle(run: Run, told: Sequence[Event]) -> str:
    """Nothing rests: what the kind said last."""
    last = next((event for event in told if event.code == DECISION), None)
    if last:
        return f"No order rests. {last.message}"
    observes = (kind := KINDS.get(run.kind)) is not None and kind.observe is not None
    return "No order rests: it waits for a signal." if observes else "No order rests: it has decided nothing yet."


def _last_refusal(told: Sequence[Event]) -> str:
    """The last order that was refused, unless something was traded since."""
    last = next((event for event in told if event.code in (REFUSED, TRADE)), None)
    return f"Last refusal at {last.time:%H:%M} UTC: {last.message}" if last and last.code == REFUSED else ""


def _length(run: Run) -> int:
    return run.timeframe * 1000


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _clock(ms: int) -> str:
    return f"{_moment(ms):%Y-%m-%d %H:%M} UTC"


def _plain(value: Decimal) -> str:
    return f"{value.normalize():,f}"
