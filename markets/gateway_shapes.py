"""ccxt's answers as the shapes of markets/surface.py.

An answer that is not what it should be raises whatever Python raises at it (TypeError, ValueError, KeyError, …); the
gateway makes a GatewayError of that. Nothing is guessed for a number that is missing.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from markets import series
from markets.series import Row
from markets.surface import (
    USUAL_LEVERAGE,
    MarketInfo,
    MarkPrice,
    OrderBook,
    Rate,
    Ticker,
    usual_maintenance,
)

logger = logging.getLogger(__name__)
T = TypeVar("T")

MINUTE_MS = 60_000
USUAL_FEE = "0.001"  # of exchanges that do not say
_LARGEST = Decimal(10) ** 20 - 1
_BOUNDS = (
    ("tick", Decimal("1e-18"), _LARGEST),
    ("lot", Decimal("1e-18"), _LARGEST),
    ("min_amount", Decimal(0), _LARGEST),
    ("min_cost", Decimal(0), _LARGEST),
    ("maker", Decimal("-0.01"), Decimal("0.1")),
    ("taker", Decimal(0), Decimal("0.1")),
)


def rows_of(answer: Iterable[Sequence[Any]], timeframe: int) -> list[Row]:
    """Candles in the order of their time, each once: some exchanges repeat the last one, or give the newest first.

    Raises ValueError with a sentence for one that cannot be true, two that contradict each other included.
    """
    rows = sorted({row(entry) for entry in answer}, key=lambda candle: candle[0])
    previous = None
    for candle in rows:
        fault = series.fault(candle, timeframe, previous)
        if fault:
            raise ValueError(fault)
        previous = candle[0]
    return rows


def row(entry: Sequence[Any]) -> Row:
    """A candle as numbers; a missing one becomes NaN, which the check then names."""
    if len(entry) != 6 or entry[0] is None:
        raise ValueError(f"candle {entry!r} has not six columns")
    open_, high, low, close, volume = (math.nan if value is None else float(value) for value in entry[1:])
    return int(entry[0]), open_, high, low, close, volume


def market_infos(listed: Iterable[dict[str, Any]], mode: int) -> list[MarketInfo]:
    """Those of the listed markets that can be traded and kept: one odd entry must not cost the others.

    Raises ValueError when there is none.
    """
    found, told = [], 0
    for market in listed:
        told += 1
        if market["spot"] or (market["swap"] and market["linear"]):
            try:
                info = market_info(market, mode)
                _check_bounds(info)
            except (TypeError, ValueError, KeyError, AttributeError, InvalidOperation) as error:
                logger.warning("market %.60r is left out: %s", market.get("symbol"), error)
            else:
                found.append(info)
    if not found:
        raise ValueError(f"no market can be used of {told} listed")
    return found


def _check_bounds(info: MarketInfo) -> None:
    """What models.Market can hold."""
    lengths = {"symbol": 60, "base": 20, "quote": 20}
    for name, longest in lengths.items():
        if not 0 < len(getattr(info, name)) <= longest:
            raise ValueError(f"{name} must have 1 to {longest} characters")
        if not getattr(info, name).isprintable():
            raise ValueError(f"{name} must be text that can be seen")
    for name, least, most in _BOUNDS:
        if not least <= getattr(info, name) <= most:
            raise ValueError(f"{name} must be from {least} to {most}, not {getattr(info, name)}")


def step(precision: Any, mode: int) -> Decimal:
    """Smallest step; ccxt gives it as such (mode 4, TICK_SIZE) or as a number of decimals."""
    number = Decimal(str(precision))
    return number if mode == 4 else Decimal(1).scaleb(-int(number))


def market_info(market: dict[str, Any], mode: int) -> MarketInfo:
    # A contract is so many units of base; amounts here are always in base.
    contract = Decimal(str(market.get("contractSize") or 1))
    limits = market["limits"]
    leverage, maintenance = margin(market)
    return MarketInfo(
        symbol=market["symbol"],
        base=market["base"],
        quote=market["quote"],
        type="swap" if market["swap"] else "spot",
        tick=step(market["precision"]["price"], mode),
        lot=step(market["precision"]["amount"], mode) * contract,
        min_amount=Decimal(str((limits.get("amount") or {}).get("min") or 0)) * contract,
        min_cost=Decimal(str((limits.get("cost") or {}).get("min") or 0)),
        maker=fee(market, "maker"),
        taker=fee(market, "taker"),
        active=market.get("active") is not False,
        max_leverage=leverage,
        maintenance_rate=maintenance,
    )


def fee(market: dict[str, Any], name: str) -> Decimal:
    told = market.get(name)
    return Decimal(USUAL_FEE if told is None else str(told))


def margin(market: dict[str, Any]) -> tuple[Decimal, Decimal]:
    """(highest leverage, maintenance rate).

    ccxt tells the leverage of some exchanges, and the rate only to those who sign in.
    """
    if not market["swap"]:
        return Decimal(1), Decimal(0)
    told = (market["limits"].get("leverage") or {}).get("max")
    leverage = min(max(Decimal(str(told)), Decimal(1)), Decimal(1000)) if told else USUAL_LEVERAGE
    return leverage, usual_maintenance(leverage)


def rate(entry: dict[str, Any]) -> Rate:
    return Rate(int(entry["timestamp"]), fraction(entry["fundingRate"]))


def tickers(answer: dict[str, Any], symbols: Sequence[str], now: int) -> dict[str, Ticker]:
    """Those with a price; markets without trades have none. Raises ValueError when none has one."""
    told = {symbol: answer[symbol] for symbol in symbols if symbol in answer and answer[symbol]["last"]}
    if not told:
        raise ValueError(f"none of {len(symbols)} has a price")
    # They are asked for every few seconds, and one that is odd stays so.
    return _readable("ticker", told, lambda entry: ticker(entry, now), logging.DEBUG)


def _readable(
    what: str, told: Mapping[str, Any], read: Callable[[Any], T], level: int = logging.WARNING
) -> dict[str, T]:
    """Those that can be read: one odd entry must not cost the others. Raises what reading raised when none can."""
    found: dict[str, T] = {}
    fault: Exception | None = None
    for symbol, entry in told.items():
        try:
            found[symbol] = read(entry)
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
            logger.log(level, "%s of %.60r is left out: %s", what, symbol, error)
            fault = error
    if fault is not None and not found:
        raise fault
    return found


def ticker(entry: dict[str, Any], now: int) -> Ticker:
    change, volume = finite(entry.get("percentage")), finite(entry.get("quoteVolume"))
    return Ticker(
        symbol=entry["symbol"],
        time=_told_at(entry["timestamp"], now),
        last=above_zero("last price", entry["last"]),
        change_24h=None if change is None else change / 100,
        quote_volume_24h=volume,
        **_best(finite(entry.get("bid")), finite(entry.get("ask"))),
    )


def _told_at(timestamp: Any, now: int) -> int:
    """When it was told, ms UTC: now where that is not said, or cannot be. Clocks may differ by some seconds."""
    moment = int(timestamp or 0)
    return moment if 0 < moment <= now + MINUTE_MS else now


def _best(bid: float | None, ask: float | None) -> dict[str, float]:
    """Both sides of the order book, where they can be: what some exchanges tell of it is old, or nothing."""
    return {"bid": bid, "ask": ask} if bid and ask and 0 < bid < ask else {}


def finite(value: Any) -> float | None:
    """A number that may be missing."""
    number = math.nan if value is None else float(value)
    return number if math.isfinite(number) else None


def mark_prices(answer: dict[str, Any], symbols: Sequence[str], now: int) -> dict[str, MarkPrice]:
    """Those that can be read: a swap that is being closed must not cost the others. Raises ValueError when none can."""
    told = {symbol: answer[symbol] for symbol in symbols if symbol in answer}
    return _readable("mark price", told, lambda entry: mark_price(entry, now))


def mark_price(entry: dict[str, Any], now: int) -> MarkPrice:
    """Of a funding rate structure, or of a ticker that has nothing but the price."""
    index, rate, due = entry.get("indexPrice"), entry.get("fundingRate"), entry.get("fundingTimestamp")
    return MarkPrice(
        symbol=entry["symbol"],
        time=int(entry.get("timestamp") or now),
        mark_price=above_zero("mark price", entry["markPrice"]),
        index_price=None if index is None else above_zero("index price", index),
        rate=None if rate is None else fraction(rate),
        due=None if due is None else int(due),
    )


def order_book(symbol: str, answer: dict[str, Any], limit: int, now: int) -> OrderBook:
    bids, asks = ([level(entry) for entry in answer[side][:limit]] for side in ("bids", "asks"))
    if bids and asks and bids[0][0] >= asks[0][0]:
        raise ValueError(f"its best bid {bids[0][0]} is not below its best ask {asks[0][0]}")
    return OrderBook(symbol, int(answer.get("timestamp") or now), bids, asks)


def level(entry: Sequence[Any]) -> tuple[float, float]:
    return above_zero("price", entry[0]), above_zero("amount", entry[1])


def above_zero(name: str, value: Any) -> float:
    number = float(value)
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"{name} must be above 0, not {value!r}")
    return number


def fraction(value: Any) -> float:
    number = float(value)
    if not abs(number) < 1:
        raise ValueError(f"funding rate {number} is not a fraction")
    return number
