from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from ninja import Query, Router
from ninja.errors import HttpError
from pydantic import AfterValidator, Field

from dashboard import candle_window, charts
from dashboard.api.authentication import READ
from dashboard.api.paging import Shown, page_of
from dashboard.api.rendering import choose
from dashboard.api.schema import Asked, Exact, Ms, Page, Paged, Row, Text, Timeframe
from dashboard.indicators import known
from dashboard.keyset import Listing, containing, equal
from markets.models import Market, Quotes
from markets.series import TIMEFRAMES
from markets.services import quotes
from orchestrator import cache

router = Router(auth=READ, tags=["Markets"])


class MarketRow(Row):
    """tick, min_cost and last in quote, lot and min_amount in base; maker, taker, change_24h: 0.01 is 1 %."""

    id: int
    exchange: str
    symbol: str
    base: str
    quote: str
    type: Literal["spot", "swap"]
    active: bool
    tick: Exact
    lot: Exact
    min_amount: Exact
    min_cost: Exact
    maker: Exact
    taker: Exact
    max_leverage: Exact
    maintenance_rate: Exact
    last: float | None
    last_at: datetime | None
    change_24h: float | None
    quote_volume_24h: float | None


COLUMNS = {name: "exchange__slug" if name == "exchange" else name for name in MarketRow.model_fields}
SHOWN = Shown(Market.objects.all, COLUMNS)


class MarketsAsked(Paged):
    exchange: Text | None = None
    q: Text | None = Field(None, description="Part of the symbol.")
    base: Text | None = None
    quote: Text | None = None
    type: Literal["spot", "swap"] | None = None
    active: bool | None = None


@router.get("", response=Page[MarketRow], summary="Markets, by symbol")
def markets(request: HttpRequest, asked: Query[MarketsAsked]) -> Any:
    choose(request, asked.fields, MarketRow)
    where = equal(base=asked.base, quote=asked.quote, type=asked.type, active=asked.active)
    if asked.exchange is not None:
        where.append(("t.exchange_id = (SELECT id FROM markets_exchange WHERE slug = %s)", (asked.exchange,)))
    if asked.q:
        where.append(containing("t.symbol", asked.q))
    return page_of(SHOWN, Listing("markets_market", ("symbol", "id"), where, alphabetic=True), asked)


@router.get("/{int:market_id}", response=MarketRow, summary="One market")
def market(request: HttpRequest, market_id: int, asked: Query[Asked]) -> Any:
    choose(request, asked.fields, MarketRow)
    return SHOWN.one(pk=market_id)


class Ticker(Row):
    """last in quote; change_24h: 0.01 is 1 %; null where the exchange has not told."""

    market: int
    symbol: str
    last: float | None
    last_at: datetime | None
    change_24h: float | None
    quote_volume_24h: float | None


TICKER = {"market": "pk"} | {name: name for name in Ticker.model_fields if name != "market"}
QUOTED = Shown(Market.objects.all, TICKER)


@router.get("/{int:market_id}/ticker", response=Ticker, summary="The last price")
def ticker(request: HttpRequest, market_id: int, asked: Query[Asked]) -> Any:
    choose(request, asked.fields, Ticker)
    return QUOTED.one(pk=market_id)


Level = Annotated[list[float], Field(min_length=2, max_length=2)]


class OrderBookAsked(Asked):
    limit: int = Field(20, ge=1, le=quotes.LEVELS)


class OrderBook(Row):
    """The best levels, best first, as [price in quote, amount in base], as the exchange told them last.

    time: when, ms UTC; stale: that is longer ago than it takes while somebody asks; error: why there is nothing newer.
    """

    market: int
    symbol: str
    time: int
    stale: bool
    error: str
    bids: list[Level]
    asks: list[Level]


@router.get("/{int:market_id}/orderbook", response=OrderBook, summary="The best bids and asks of the exchange")
def orderbook(request: HttpRequest, market_id: int, asked: Query[OrderBookAsked]) -> Any:
    choose(request, asked.fields, OrderBook)
    market = get_object_or_404(Market.objects.select_related("exchange", "quotes"), pk=market_id)
    if market.exchange.has_connection:
        quotes.ask(market.pk)  # a worker brings it up to date for whoever asks next
    known = quotes.quotes_of(market)
    if known is None or known.book_at is None:
        raise Untold(503, _untold(market, known))
    return {
        "market": market.pk,
        "symbol": market.symbol,
        "time": int(known.book_at.timestamp() * 1000),
        "stale": quotes.is_stale(known.book_at, cache.ORDER_BOOK, timezone.now()),
        "error": known.book_error,
        "bids": known.bids[: asked.limit],
        "asks": known.asks[: asked.limit],
    }


class Untold(HttpError):
    """No order book is known yet; a worker has been asked for it."""

    headers: ClassVar = {"Retry-After": "1"}


def _untold(market: Market, known: Quotes | None) -> str:
    if not market.exchange.has_connection:
        return f"{market.exchange.name} is known from imported files alone and has no connection."
    if known is not None and known.book_error:
        return known.book_error
    return f"The order book of {market.symbol} is being fetched: ask again in a moment."


class WindowAsked(Asked):
    timeframe: Timeframe = "1m"
    limit: int = Field(500, ge=1, le=2_000)
    before: Ms | None = None
    after: Ms | None = None


class CandleColumns(Row):
    """Closed candles, oldest first. time: open time, ms UTC; prices in quote, volume in base."""

    timeframe: str
    time: list[int]
    open: list[float | None]
    high: list[float | None]
    low: list[float | None]
    close: list[float | None]
    volume: list[float | None]


@router.get("/{int:market_id}/candles", response=CandleColumns, summary="The last candles of a window")
def candles(request: HttpRequest, market_id: int, asked: Query[WindowAsked]) -> Any:
    choose(request, asked.fields, CandleColumns)
    loaded, _ = _window(market_id, asked, [])
    columns = charts.candle_columns(loaded)
    return columns | {"timeframe": asked.timeframe, "time": loaded.time.tolist()}


def _names(text: str) -> str:
    for name in text.split(","):
        if name not in known():
            raise ValueError(f"names must be among {', '.join(known())}, not {name!r}.")
    return text


class IndicatorsAsked(WindowAsked):
    names: Annotated[str, AfterValidator(_names), Field(max_length=500)] = Field(
        description="Separated by commas: sma,rsi."
    )


class Indicators(Row):
    """indicators: name -> output -> values at each time (open time of a candle, ms UTC); null while warming up."""

    timeframe: str
    time: list[int]
    indicators: dict[str, dict[str, list[float | None]]]


@router.get("/{int:market_id}/indicators", response=Indicators, summary="Indicators over a window of candles")
def indicators(request: HttpRequest, market_id: int, asked: Query[IndicatorsAsked]) -> Any:
    choose(request, asked.fields, Indicators)
    loaded, found = _window(market_id, asked, list(dict.fromkeys(asked.names.split(","))))
    return {"timeframe": asked.timeframe, "time": loaded.time.tolist(), "indicators": found}


def _window(market_id: int, asked: WindowAsked, names: list[str]) -> Any:
    market = get_object_or_404(Market.objects.only("pk").prefetch_related("feeds"), pk=market_id)
    stored = [feed.timeframe for feed in market.feeds.all()]
    window = candle_window.Window(TIMEFRAMES[asked.timeframe], asked.limit, asked.before, asked.after)
    return candle_window.with_indicators(market, stored, window, names)
