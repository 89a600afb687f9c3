"""Table rows as the templates print them: every figure is text already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.utils.safestring import SafeString

from bots import limits, why
from bots.kinds import KINDS
from bots.kinds.parameters import Parameter
from bots.models import Bot, Event, Order, Position, Run
from dashboard import charts, formats
from dashboard.figures import Lately, Told
from markets.models import Market
from markets.series import TIMEFRAME_NAMES

SPARKLINE_STEP = 3  # of these points: as fine as 96 pixels show


class BotRow(NamedTuple):
    bot: Bot
    timeframe: str
    kind: str
    pnl: SafeString
    pnl_ratio: SafeString
    equity: str
    trades: str
    sparkline: str
    sparkline_tone: str
    drawdown: str
    since: SafeString
    why: str


def bot_row(bot: Any, lately: Lately | None, now: datetime) -> BotRow:
    """One bot of figures.with_figures()."""
    currency = bot.market.quote
    line = lately.pnl[-1::-SPARKLINE_STEP][::-1] if lately else []
    return BotRow(
        bot=bot,
        timeframe=TIMEFRAME_NAMES.get(bot.timeframe, ""),
        kind=kind_label(bot.kind),
        pnl=formats.money_change(bot.pnl, currency),
        pnl_ratio=formats.percent_change(formats.share(bot.pnl, bot.allocation)),
        equity=formats.money(bot.equity_now, currency),
        trades=formats.number(bot.trades_count, 0),
        sparkline=charts.sparkline(line),
        sparkline_tone="down" if line and line[-1] < line[0] else "up",
        drawdown=formats.percent(lately.drawdown if lately else None),
        since=formats.when(bot.updated_at, now),
        why=why.at_rest(bot),
    )


def kind_label(slug: str) -> str:
    """The name of a kind as people know it."""
    return KINDS[slug].label if slug in KINDS else formats.words(slug)


class TradeRow(NamedTuple):
    bot: int
    bot_name: str
    market: int
    symbol: str
    quote: str
    time: SafeString
    side: str
    price: str
    amount: str
    value: str
    fee: str
    realized: SafeString
    tag: str
    mode: str


def trade_rows(trades: Iterable[Any], now: datetime) -> list[TradeRow]:
    """Those of row_columns.trades(); value and realized, less its fee, in quote, amount in base."""
    return [_trade_row(trade, now) for trade in trades]


def _trade_row(trade: Any, now: datetime) -> TradeRow:
    quote = trade.market__quote
    fee_digits = max(formats.money_digits(trade.fee_currency), 4)
    return TradeRow(
        bot=trade.bot_id,
        bot_name=trade.bot__name,
        market=trade.market_id,
        symbol=trade.market__symbol,
        quote=quote,
        time=formats.when(trade.time, now),
        side=trade.side,
        price=formats.price(trade.price, trade.market__tick),
        amount=formats.amount(trade.amount, trade.market__lot),
        value=formats.money(trade.price * trade.amount, quote),
        fee=f"{formats.number(trade.fee, fee_digits)} {trade.fee_currency}",
        # What only adds to the position locks nothing in but its fee.
        realized=formats.money_change((trade.realized - trade.fee) or None, quote),
        tag=formats.words(trade.tag),
        mode=trade.mode,
    )


class OrderRow(NamedTuple):
    side: str
    type: str
    price: str
    amount: str
    filled: str
    value: str
    distance: str
    tag: str
    time: SafeString


def order_rows(orders: Iterable[Order], market: Market, now: datetime) -> list[OrderRow]:
    """distance: how far the price has to move from the last one to reach the order."""
    return [order_row(order, market, now) for order in orders]


def order_row(order: Order, market: Market, now: datetime) -> OrderRow:
    distance = float(order.price) / market.last - 1 if order.price is not None and market.last else None
    return OrderRow(
        side=order.side,
        type=order.type,
        price=formats.price(order.price, market.tick) if order.price is not None else "market",
        amount=formats.amount(order.amount, market.lot),
        filled=formats.percent(formats.share(order.filled, order.amount)),
        value=formats.money((order.price or 0) * order.amount if order.price else None, market.quote),
        distance=formats.percent(distance),
        tag=formats.words(order.tag),
        time=formats.when(order.created_at, now),
    )


class PositionRow(NamedTuple):
    bot: Bot
    market: Market
    side: str
    amount: str
    average_price: str
    last: str
    value: str
    pnl: SafeString
    pnl_ratio: SafeString
    opened: SafeString
    mode: str


def position_row(position: Position, now: datetime) -> PositionRow:
    """A position with bot and market selected; value and pnl (not locked in) at the market's last price, in quote."""
    market = position.market
    last = None if market.last is None else Decimal(str(market.last))
    direction = -1 if position.side == "short" else 1
    pnl = None if last is None else (last - position.average_price) * position.amount * direction
    cost = position.average_price * position.amount
    return PositionRow(
        bot=position.bot,
        market=market,
        side=position.side,
        amount=formats.amount(position.amount, market.lot),
        average_price=formats.price(position.average_price, market.tick),
        last=formats.price(last, market.tick),
        value=formats.money(None if last is None else last * position.amount, market.quote),
        pnl=formats.money_change(pnl, market.quote),
        pnl_ratio=formats.percent_change(formats.share(pnl, cost)),
        opened=formats.when(position.opened_at, now),
        mode=position.bot.account.mode,
    )


class ParameterRow(NamedTuple):
    label: str
    value: str
    unit: str
    help: str


class EventRow(NamedTuple):
    bot: Bot | None
    level: str
    code: str
    message: str
    time: SafeString
    details: list[tuple[str, str]]


def event_rows(events: Iterable[Event], now: datetime) -> list[EventRow]:
    return [
        EventRow(
            bot=event.bot,
            level=event.level,
            code=formats.words(event.code),
            message=event.message,
            time=formats.when(event.time, now),
            details=details(event.data),
        )
        for event in events
    ]


def told_rows(told: Sequence[Told], now: datetime) -> list[EventRow]:
    """What was told several times says how often."""
    newest = event_rows((one.event for one in told), now)
    return [
        row._replace(code=f"{row.code} · {one.times:,} times") if one.times > 1 else row
        for row, one in zip(newest, told, strict=True)
    ]


def details(data: Any) -> list[tuple[str, str]]:
    """The entries of an event's data or a bot's parameters as (words, text)."""
    if not isinstance(data, dict):
        return []
    return [(formats.words(str(name)), _plain(value)) for name, value in data.items()]


def parameter_rows(kind: str, params: dict[str, Any], market: Market) -> list[ParameterRow]:
    """A bot's parameters in its kind's order and words, defaults included; as they are when the kind is unknown."""
    if kind not in KINDS:
        return [ParameterRow(label, value, "", "") for label, value in details(params)]
    return [_parameter_row(one, params.get(one.name, one.default), market) for one in KINDS[kind].parameters()]


def limit_rows(stored: dict[str, Any], market: Market) -> list[ParameterRow]:
    """The limits that are set, in words."""
    shown = {"at_drawdown": limits.SELL} | stored if stored.get("max_drawdown") else stored
    return [_parameter_row(one, shown[one.name], market) for one in limits.described() if shown.get(one.name)]


def _parameter_row(parameter: Parameter, value: Any, market: Market) -> ParameterRow:
    unit = {"quote": market.quote, "base": market.base}.get(parameter.unit, parameter.unit)
    return ParameterRow(parameter.label, value_text(parameter, value), "" if value is None else unit, parameter.help)


def value_text(parameter: Parameter | None, value: Any) -> str:
    """A value of a parameter, a choice by its label; as it is where the parameter is unknown."""
    choices = dict(parameter.choices) if parameter else {}
    return choices.get(str(value), _plain(value))


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.10g}"
    if isinstance(value, int):
        return f"{value:,}"
    return formats.NOTHING if value in (None, "") else str(value)


class RunRow(NamedTuple):
    number: int
    status: str
    reason: str
    book: str  # its mode and currency
    started: SafeString
    lasted: str
    allocation: str
    equity: str
    pnl: SafeString
    pnl_ratio: SafeString
    trades: str


def run_rows(runs: Iterable[Run], now: datetime) -> list[RunRow]:
    """Of runs with their market, which need not be the one that their bot has now."""
    return [_run_row(run, now) for run in runs]


def _run_row(run: Run, now: datetime) -> RunRow:
    pnl, currency = run.equity - run.allocation, run.market.quote
    return RunRow(
        number=run.number,
        status=run.status,
        reason=run.reason,
        book=f"{run.mode} {currency}",
        started=formats.when(run.started_at, now),
        lasted=formats.duration((run.stopped_at or now) - run.started_at),
        allocation=formats.money(run.allocation, currency),
        equity=formats.money(run.equity, currency),
        pnl=formats.money_change(pnl, currency),
        pnl_ratio=formats.percent_change(formats.share(pnl, run.allocation)),
        trades=formats.number(run.trades_count, 0),
    )
