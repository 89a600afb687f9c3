"""The order book and the funding of a market as its page prints them: every figure is text already."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any, NamedTuple

from django.utils.html import format_html
from django.utils.safestring import SafeString

from dashboard import formats
from markets import funding
from markets.models import Market, Quotes
from markets.services.quotes import is_stale, quotes_of
from orchestrator import cache

SHOWN_LEVELS = 15
YEAR_HOURS = 365 * 24
HOUR_MS = 3_600_000
# Where nothing tells how far apart fundings are: nearly all exchanges settle every eight hours.
USUAL_HOURS = 8
MOST_HOURS = 24


def quoted(market: Market, now: datetime) -> dict[str, Any]:
    """What the market's page shows of its quotes; one query for a swap, none for a spot market."""
    settled = funding.latest(market.pk, 2) if market.type == "swap" else []
    return {"book": book_row(market, now), "funding": funding_row(market, settled, now)}


class LevelRow(NamedTuple):
    """depth: what this level and the better ones hold, in percent of the deeper side; width: of its bar, 0 to 100."""

    price: str
    amount: str
    total: str
    width: str


class BookRow(NamedTuple):
    """What is told of a book: levels of both sides, best first, and how old they are."""

    bids: list[LevelRow]
    asks: list[LevelRow]
    mid: str
    spread: str
    at: SafeString
    is_stale: bool
    error: str


def book_row(market: Market, now: datetime) -> BookRow | None:
    """None while the exchange has said nothing at all. The market comes with its exchange and quotes."""
    quotes = quotes_of(market)
    if quotes is None or not (quotes.book_at or quotes.book_error):
        return None
    bids, asks = quotes.bids[:SHOWN_LEVELS], quotes.asks[:SHOWN_LEVELS]
    deepest = max((sum(amount for _, amount in side) for side in (bids, asks)), default=0.0)
    mid, spread = _middle(market, quotes)
    return BookRow(
        bids=_levels(market, bids, deepest),
        asks=_levels(market, asks, deepest),
        mid=mid,
        spread=spread,
        at=formats.when(quotes.book_at, now),
        is_stale=is_stale(quotes.book_at, cache.ORDER_BOOK, now),
        error=quotes.book_error,
    )


def _levels(market: Market, side: Sequence[Sequence[float]], deepest: float) -> list[LevelRow]:
    totals = accumulate(amount for _, amount in side)
    return [
        LevelRow(
            formats.price(price, market.tick),
            formats.amount(amount, market.lot),
            formats.amount(total, market.lot),
            f"{100 * total / deepest:.1f}",
        )
        for (price, amount), total in zip(side, totals, strict=True)
    ]


def _middle(market: Market, quotes: Quotes) -> tuple[str, str]:
    """Mid price to half a tick, and the spread in quote money and basis points of the mid."""
    if not (quotes.bids and quotes.asks):
        return formats.NOTHING, formats.NOTHING
    bid, ask = quotes.bids[0][0], quotes.asks[0][0]
    mid = (bid + ask) / 2
    digits = formats.decimals(market.tick)
    return formats.number(mid, digits + 1), f"{formats.number(ask - bid, digits)} ({basis_points(ask - bid, mid)})"


def basis_points(spread: float, mid: float) -> str:
    """Hundredths of a percent; a spread of a tick on a dear coin needs more places."""
    points = 10_000 * spread / mid
    return f"{formats.number(points, 2 if points >= 0.1 else 4)}\u202fbps"


def spread(market: Market) -> str:
    """In basis points of the mid, where the best bid and ask are known."""
    quotes = quotes_of(market)
    if quotes is None or quotes.bid is None or quotes.ask is None:
        return formats.NOTHING
    return basis_points(quotes.ask - quotes.bid, (quotes.bid + quotes.ask) / 2)


def funding_now(market: Market) -> str:
    """The rate of a swap as it was told last."""
    quotes = quotes_of(market)
    return formats.NOTHING if quotes is None else rate(quotes.funding_rate)


class FundingRow(NamedTuple):
    pairs: list[tuple[str, Any]]
    at: SafeString
    is_stale: bool
    error: str


def funding_row(market: Market, settled: Sequence[tuple[int, float]], now: datetime) -> FundingRow | None:
    """Of a swap; None while nothing is known of its funding. settled: its last (time in ms UTC, rate), newest first."""
    quotes = quotes_of(market) or Quotes(market=market)
    if not (quotes.funding_at or quotes.funding_error or settled):
        return None
    hours = _interval(settled, quotes.funding_due)
    pairs = [
        ("Rate now", rate(quotes.funding_rate)),
        ("Annualised", _annualised(quotes.funding_rate, hours)),
        ("Next funding", formats.until(formats.from_ms(quotes.funding_due), now)),
        ("Settled last", _settled(settled, now)),
        ("Every", f"{hours:g} h"),
        ("Mark price", _price(quotes.mark_price, market)),
        ("Index price", _price(quotes.index_price, market)),
    ]
    return FundingRow(
        pairs=pairs,
        at=formats.when(quotes.funding_at, now),
        is_stale=is_stale(quotes.funding_at, cache.FUNDING, now),
        error=quotes.funding_error,
    )


def rate(ratio: float | None) -> str:
    """A funding rate to the hundredth of a basis point: "0.0100 %"."""
    return formats.NOTHING if ratio is None else f"{formats.number(100 * ratio, 4)}\u202f%"


def _price(value: float | None, market: Market) -> str:
    return formats.NOTHING if value is None else f"{formats.price(value, market.tick)} {market.quote}"


def _interval(settled: Sequence[tuple[int, float]], due: int | None) -> float:
    """Hours between fundings, off the last two moments of it that are known."""
    moments = ([] if due is None else [due]) + [time for time, _ in settled]
    if len(moments) > 1 and 0 < (hours := (moments[0] - moments[1]) / HOUR_MS) <= MOST_HOURS:
        return round(hours, 2)
    return USUAL_HOURS


def _annualised(ratio: float | None, hours: float) -> str:
    return formats.percent(None if ratio is None else ratio * YEAR_HOURS / hours)


def _settled(settled: Sequence[tuple[int, float]], now: datetime) -> SafeString:
    if not settled:
        return format_html("{}", formats.NOTHING)
    time, ratio = settled[0]
    return format_html("{}, {}", rate(ratio), formats.when(formats.from_ms(time), now))
