"""Rows of the market pages as the templates print them: every figure is text already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.utils.safestring import SafeString

from dashboard import formats, quote_rows
from markets.gaps import Declared
from markets.models import Feed, FeedNotice, Market
from markets.series import TIMEFRAME_NAMES, Candles

NO_FEED = timedelta(minutes=5)  # that a price nobody keeps up to date counts as fresh


class MarketRow(NamedTuple):
    market: Market
    last: str
    change: SafeString
    volume: str
    at: SafeString
    stale: str
    spread: str
    funding: str
    feeds: str
    feed_error: str
    bots: int


def market_row(market: Any, now: datetime) -> MarketRow:
    """One market with its quotes and feeds, and own_bots annotated."""
    feeds = [feed for feed in market.feeds.all() if feed.enabled]
    return MarketRow(
        market=market,
        last=formats.price(market.last, market.tick),
        change=formats.percent_change(market.change_24h),
        volume=formats.number(market.quote_volume_24h, 0),
        at=formats.when(market.last_at, now),
        stale=_stale(market.last_at, feeds, now),
        spread=quote_rows.spread(market),
        funding=quote_rows.funding_now(market),
        feeds=", ".join(TIMEFRAME_NAMES.get(feed.timeframe, "") for feed in feeds) or formats.NOTHING,
        feed_error=next((feed.error for feed in feeds if feed.error), ""),
        bots=market.own_bots,
    )


def _stale(last_at: datetime | None, feeds: Sequence[Feed], now: datetime) -> str:
    """Why a price is not to be relied on, in a sentence: older than its shortest feed's candles may be; or ""."""
    if last_at is None:
        return ""
    if not feeds:
        return "No feed keeps this price up to date." if now - last_at > NO_FEED else ""
    shortest = min(feeds, key=lambda feed: feed.timeframe)
    if now - last_at <= timedelta(seconds=4 * shortest.timeframe + 60):
        return ""
    return shortest.error or f"Nothing newer came with the {shortest.get_timeframe_display()} candles."


class FeedRow(NamedTuple):
    timeframe: str
    state: str
    tone: str
    synced: SafeString
    checked: SafeString
    error: str
    notices: list[tuple[str, SafeString]]
    gaps: str


def feed_row(feed: Feed, notices: Iterable[FeedNotice], declared: Declared | None, now: datetime) -> FeedRow:
    """A feed with its state in a word: live, behind (no candle for three timeframes), failing, off, or new.

    notices: those of the market that last; the row has its own, each with the time of the last candle that showed it.
    declared: its candles that the exchange has none of.
    """
    opened = formats.from_ms(feed.synced_to)
    if not feed.enabled:
        state, tone = "off", "secondary"
    elif feed.error:
        state, tone = "failing", "red"
    elif opened is None:
        state, tone = "new", "azure"
    else:
        state, tone = ("behind", "yellow") if feed.late(now) else ("live", "green")
    return FeedRow(
        timeframe=TIMEFRAME_NAMES.get(feed.timeframe, str(feed.timeframe)),
        state=state,
        tone=tone,
        synced=formats.when(opened, now),
        checked=formats.when(feed.checked_at, now),
        error=feed.error,
        notices=[
            (notice.sentence, formats.when(formats.from_ms(notice.last_time), now))
            for notice in notices
            if notice.timeframe == feed.timeframe
        ],
        gaps=gaps_told(declared),
    )


def gaps_told(declared: Declared | None) -> str:
    """The sentence about candles that an exchange, asked twice, did not have; "" without any."""
    if declared is None:
        return ""
    candles = f"{declared.candles:,} candle{'s' * (declared.candles != 1)}"
    places = "one gap" if declared.stretches == 1 else f"{declared.stretches:,} gaps"
    first = formats.from_ms(declared.last[0])
    since = f", the last from {first:%Y-%m-%d %H:%M} UTC" if first else ""
    return f"The exchange has no {candles} in {places}{since}."


def market_facts(market: Market) -> list[tuple[str, str]]:
    """The rules of trading there: steps, minimums, fees."""
    return [
        ("Type", market.type),
        ("Tick", formats.price(market.tick, market.tick) + f" {market.quote}"),
        ("Lot", formats.amount(market.lot, market.lot) + f" {market.base}"),
        ("Minimum amount", formats.amount(market.min_amount, market.lot) + f" {market.base}"),
        ("Minimum cost", formats.money(market.min_cost, market.quote) + f" {market.quote}"),
        ("Maker / taker fee", f"{formats.percent(market.maker)} / {formats.percent(market.taker)}"),
    ]


class CandleRow(NamedTuple):
    time: str
    open: str
    high: str
    low: str
    close: str
    change: SafeString
    volume: str


def candle_rows(candles: Candles, market: Market) -> list[CandleRow]:
    """Newest first; change is close against open."""
    digits, lot_digits = formats.decimals(market.tick), formats.decimals(market.lot)
    columns = (candles.time, candles.open, candles.high, candles.low, candles.close, candles.volume)
    return [
        CandleRow(
            f"{formats.from_ms(time):%Y-%m-%d %H:%M}",
            formats.number(open_, digits),
            formats.number(high, digits),
            formats.number(low, digits),
            formats.number(close, digits),
            formats.percent_change(close / open_ - 1),
            formats.number(volume, lot_digits),
        )
        for time, open_, high, low, close, volume in zip(*(column.tolist()[::-1] for column in columns), strict=True)
    ]
