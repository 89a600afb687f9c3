"""What the form of a bot shows while it is filled in: how it would have done, and which orders it would place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import numpy as np

from bots import records, trials
from bots.engine.types import BUY, ORDER_TYPES
from bots.history import DAYS as DAYS_AT_MOST
from bots.history import HISTORY, KnownBars, Stored, last_days, source_of
from bots.kinds.contract import Kind
from bots.kinds.parameters import ParamsError
from bots.models import Account
from bots.trials import Opening, Settings, Tried
from dashboard import annual, charts, formats
from dashboard import preview_money as money
from dashboard.forms import ALL, OwnBotForm
from dashboard.preview_money import fact
from markets.models import Market
from markets.series import TIMEFRAME_NAMES, Candles

POINTS: Final = 400  # of the equity curve
MARKS: Final = 2_000  # trades on the chart, the last ones
CURVE_ROWS: Final = 25
ROWS: Final = 40  # orders in the table
FEW: Final = 50  # candles, too few to say anything


@dataclass(slots=True)
class Preview:
    """problems: by field; strip, facts: label, value, note and hint each; chart: for the script, curve: its table.

    refused: of the orders that it would place now, how many no market or limit takes, and why.
    unfunded: what the account lacks for the allocation, and how it gets there.
    """

    problems: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    refused: str = ""
    unfunded: str = ""
    strip: list[dict[str, Any]] = field(default_factory=list)
    facts: list[dict[str, Any]] = field(default_factory=list)
    orders: list[tuple[str, str, str, str, str]] = field(default_factory=list)
    orders_count: int = 0
    period: str = ""
    curve: list[tuple[str, str, str]] = field(default_factory=list)
    chart: dict[str, Any] = field(default_factory=dict)


def preview(form: OwnBotForm, chart_timeframe: int, released: Decimal = Decimal(0)) -> Preview:
    """Of what was typed, valid or not. released: money that the bot would get back first, quote."""
    shown = Preview()
    ready = form.tryable()
    shown.problems = {name: " ".join(map(str, found)) for name, found in form.errors.items()}
    market = form.cleaned_data.get("market")
    if market is None:
        return shown
    account: Account | None = form.cleaned_data.get("account")
    free = None if account is None else money.free(account, market.quote) + released
    shown.facts = money.facts(form, market, free)
    if account is not None and free is not None:
        shown.unfunded = money.unfunded(account, market.quote, free, form.cleaned_data.get("allocation"))
    if ready:
        _try(form, market, chart_timeframe, shown)
    return shown


def _try(form: OwnBotForm, market: Market, chart_timeframe: int, shown: Preview) -> None:
    data, stored = form.cleaned_data, stored_of(market)
    timeframe, capital = data["timeframe"], float(data["allocation"])
    try:
        settings = trials.settings_of(
            form.bot_kind,
            form.instance.params,
            form.instance.limits,
            records.terms_of(market),
            capital,
            (market.pk, timeframe),
        )
    except ParamsError as error:
        shown.problems |= error.problems
        return
    known = HISTORY.candles(market.pk, timeframe, stored)
    days = DAYS_AT_MOST if data["days"] == ALL else int(data["days"])
    candles = last_days(known, days)
    shown.missing = [] if data["days"] == ALL else _missing(market, timeframe, candles, days, stored)
    price = market.last or (float(known.close[-1]) if len(known) else None)
    if price is not None:
        opening = trials.opening(settings, price)
        _show_opening(shown, opening, market, price)
        shown.refused = _refused(opening, form.bot_kind)
    if len(candles) >= 2:
        result = trials.tried(settings, candles, KnownBars(known))
        _show_result(shown, result, settings, market, chart_timeframe)


def stored_of(market: Market) -> Stored:
    """Of a market with its feeds prefetched."""
    return {feed.timeframe: feed.synced_to for feed in market.feeds.all()}


def _missing(market: Market, timeframe: int, candles: Candles, days: int, stored: Stored) -> list[str]:
    """What there is, and what would bring more; nothing when the period is covered."""
    name, wanted = TIMEFRAME_NAMES[timeframe], days * 86_400 // timeframe
    if len(candles) >= 0.98 * wanted:
        return []
    count = f"{len(candles):,} of {wanted:,} candles of {name} are stored"
    if source_of(stored, timeframe) is None:
        return [
            f"No candles of {name} are stored for {market.symbol}, nor shorter ones to make them of.",
            f"Starting the bot switches a {name} feed on; manage.py import_candles loads a file with more.",
        ]
    kept = "" if len(candles) < FEW else f", since {_day(int(candles.time[0]))}"
    return [
        f"{count}{kept}; the rest of the {days} days is not there.",
        "The feed collects more as time goes on; manage.py import_candles loads older ones from a file.",
    ]


def _day(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d}"


def _show_opening(shown: Preview, opening: Opening, market: Market, price: float) -> None:
    orders = np.sort(opening.orders, order="price")[::-1]
    waiting = orders[orders["price"] > 0.0]
    shown.orders_count = len(orders)
    shown.orders = [_order(one, market, price) for one in orders[:ROWS]]
    shown.chart["orders"] = {
        "side": ["buy" if side == BUY else "sell" for side in waiting["side"].tolist()],
        "price": waiting["price"].tolist(),
        "amount": waiting["amount"].tolist(),
    }
    shown.facts += _opening_facts(opening, market, price)


def _refused(opening: Opening, kind: Kind) -> str:
    told = [records.note_event(note, kind) for note in opening.notes]
    reasons = [text for _, code, text, _ in told if code == "refused"]
    if not reasons:
        return ""
    if len(reasons) == 1:
        return f"At the start 1 order would be refused: “{reasons[0]}”"
    return f"At the start {len(reasons)} orders would be refused, the first with: “{reasons[0]}”"


def _order(record: Any, market: Market, price: float) -> tuple[str, str, str, str, str]:
    """Side, type, price, amount, distance."""
    at = float(record["price"])
    return (
        "buy" if record["side"] == BUY else "sell",
        ORDER_TYPES[record["type"]],
        formats.price(at, market.tick) if at else "market",
        formats.amount(float(record["amount"]), market.lot),
        formats.percent(at / price - 1.0) if at else formats.NOTHING,
    )


def _opening_facts(opening: Opening, market: Market, price: float) -> list[dict[str, Any]]:
    bought = float((opening.trades["side"] * opening.trades["amount"]).sum())
    found = []
    if bought:
        verb = "Bought at once" if bought > 0 else "Sold short at once"
        value = f"{formats.amount(abs(bought), market.lot)} {market.base}"
        found.append(fact(verb, value, f"{formats.money(abs(bought) * price, market.quote)} {market.quote}"))
    found.append(fact("Orders that wait", formats.number(len(opening.orders), 0)))
    for name, at in zip(("below", "above"), opening.liquidation, strict=True):
        if at is not None:
            value = f"{formats.price(at, market.tick)} {market.quote}"
            note = f"{formats.percent(at / price - 1.0)} from the price, all its orders filled"
            found.append(fact(f"Liquidated {name}", value, note))
    return found


def _show_result(shown: Preview, result: Tried, settings: Settings, market: Market, chart_timeframe: int) -> None:
    candles, capital = result.candles, settings.capital
    shown.period = f"{_day(int(candles.time[0]))} … {_day(int(candles.time[-1]))}"
    days = (int(candles.time[-1] - candles.time[0]) / 1000 + settings.timeframe) / 86_400
    found = annual.told(result.metrics, days)
    held, below, yearly = (formats.percent(found[name]) for name in ("buy_and_hold", "under_water", "annual_return"))
    shown.strip = [
        fact("Return", formats.percent_change(found["total_return"]), f"held: {held}"),
        fact("At worst", formats.percent_change(result.worst / capital - 1.0), "path inside the candles"),
        fact("At best", formats.percent_change(result.best / capital - 1.0), "path inside the candles"),
        fact("Drawdown", formats.percent(found["max_drawdown"]), f"under water for {below}"),
        fact("Trades", formats.number(found["trades"], 0), f"won {formats.percent(found['win_rate'])}"),
        fact("Fees", formats.money(found["fees"], market.quote), market.quote),
        fact("Sharpe", formats.number(found["sharpe"], 2), f"a year's pace {yearly}", annual.TOLD),
    ]
    shown.chart |= curves(candles, result.steps.equity, capital) | {
        "trades": marks(result.steps.trades, chart_timeframe),
        "digits": formats.money_digits(market.quote),
        "currency": market.quote,
    }
    shown.curve = _curve_rows(shown.chart, market)


def _curve_rows(chart: Mapping[str, Any], market: Market) -> list[tuple[str, str, str]]:
    """Some points of the chart as texts: time, equity, held; the last one first."""
    kept = np.unique(np.linspace(0, len(chart["time"]) - 1, CURVE_ROWS).astype(np.int64))[::-1].tolist()
    moments = [f"{datetime.fromtimestamp(chart['time'][at], UTC):%Y-%m-%d %H:%M}" for at in kept]
    worth, held = ([formats.money(chart[name][at], market.quote) for at in kept] for name in ("equity", "held"))
    return list(zip(moments, worth, held, strict=True))


def curves(candles: Candles, equity: Any, capital: float) -> dict[str, Any]:
    """Columns of the equity and of buying and holding: at most POINTS, with every extreme of the equity."""
    kept = charts.extremes(equity, POINTS)
    held = capital * candles.close[kept] / candles.open[0]
    rounded = (np.round(column, 4 if capital > 10 else 8).tolist() for column in (equity[kept], held))
    return {
        "base": capital,
        **dict(zip(("equity", "held"), rounded, strict=True)),
        "time": charts.seconds(candles.time[kept]),
    }


def marks(trades: Any, timeframe: int) -> dict[str, list[Any]]:
    """The last trades gathered per candle of a chart (seconds) and side, as charts.markers() has them."""
    last = trades[-MARKS:]
    candle = last["time"] // 1000 // timeframe * timeframe
    keys, place = np.unique(2 * candle + (last["side"] != BUY), return_inverse=True)
    amount = np.bincount(place, last["amount"], len(keys))
    return {
        "time": (keys // 2).tolist(),
        "side": ["sell" if key % 2 else "buy" for key in keys.tolist()],
        "price": (np.bincount(place, last["amount"] * last["price"], len(keys)) / amount).tolist(),
        "amount": amount.tolist(),
        "count": np.bincount(place, minlength=len(keys)).tolist(),
    }
