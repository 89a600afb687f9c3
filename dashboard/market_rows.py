"""Rows of the market pages as the templates print them: every figure is text already."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from django.utils.safestring import SafeString

from dashboard import formats
from markets.models import Feed, FeedNotice, Market
from markets.series import TIMEFRAME_NAMES, Candles


class MarketRow(NamedTuple):
    market: Market
    last: str
    change: SafeString
    volume: str
    at: SafeString
    feeds: str
    feed_error: str
    bots: int


def market_row(market: Any, now: datetime) -> MarketRow:
    """One market with its feeds prefetched and own_bots annotated."""
    feeds = [feed for feed in market.feeds.all() if feed.enabled]
    return MarketRow(
        market=market,
        last=formats.price(market.last, market.tick),
        change=formats.percent_change(market.change_24h),
        volume=formats.number(market.quote_volume_24h, 0),
        at=formats.when(market.last_at, now),
        feeds=", ".join(TIMEFRAME_NAMES.get(feed.timeframe, "") for feed in feeds) or formats.NOTHING,
        feed_error=next((feed.error for feed in feeds if feed.error), ""),
        bots=market.own_bots,
    )


class FeedRow(NamedTuple):
    timeframe: str
    state: str
    tone: str
    synced: SafeString
    checked: SafeString
    error: str
    notices: list[tuple[str, SafeString]]


def feed_row(feed: Feed, notices: Iterable[FeedNotice], now: datetime) -> FeedRow:
    """A feed with its state in a word: live, behind (no candle for three timeframes), failing, off, or new.

    notices: those of the market that last; the row has its own, each with the time of the last candle that showed it.
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
    )


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
