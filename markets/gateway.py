"""The way to an exchange: connect() gives an object with the gateway's surface. The only module that imports ccxt."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from django.conf import settings

from markets import series, simulated
from markets.models import Exchange, Market
from markets.series import TIMEFRAME_NAMES, Row
from markets.simulated import SimulatedExchange
from markets.surface import USUAL_LEVERAGE, Gateway, GatewayError, MarketInfo, Rate, Ticker, Trading, usual_maintenance
from markets.trading import SimulatedTrading

__all__ = ["FILE", "Gateway", "GatewayError", "Trading", "connect", "connect_trading"]

# ccxt_id of an exchange that is known from imported files alone.
FILE = "file"
# The last answer is kept, to tell one that is no JSON from one that holds nothing: ccxt takes both for empty.
_DEFAULTS = {"enableRateLimit": True, "timeout": 10_000, "enableLastJsonResponse": True}


def connect(exchange: Exchange) -> Gateway:
    """An object with the gateway's surface; one per process and configuration, as it keeps the rate limit.

    Raises GatewayError (permanent) when the exchange is from files alone, unknown, or wrongly configured.
    """
    if exchange.ccxt_id == FILE:
        raise GatewayError(f"{exchange.name} is known from imported files alone and has no connection.", permanent=True)
    if exchange.is_simulated:
        return _simulated(exchange)
    return _connected(exchange.ccxt_id, json.dumps(exchange.ccxt_config, sort_keys=True))


def connect_trading(market: Market, account: str, label: str, timeframe: int, since: int) -> Trading:
    """A market's exchange as an account trades on it.

    label: whose orders; timeframe in seconds and since, ms UTC: the candles they are led along, where an exchange is
    simulated. Raises GatewayError (permanent) where orders cannot be placed from here.
    """
    if not market.exchange.is_simulated:
        raise GatewayError(f"Orders cannot be placed on {market.exchange.name} yet.", permanent=True)
    return SimulatedTrading(market, account, label, timeframe, since)


def _simulated(exchange: Exchange) -> SimulatedExchange:
    config = exchange.ccxt_config
    created = int(exchange.created_at.timestamp() * 1000)
    try:
        seed, anchor = int(config.get("seed", 42)), int(config.get("anchor_ms", created))
    except (AttributeError, TypeError, ValueError):
        raise GatewayError(
            f"ccxt_config of {exchange.name} must hold whole numbers seed and anchor_ms, not {config}.", permanent=True
        ) from None
    return SimulatedExchange(seed, anchor, settings.SIMULATED_SPEED, simulated.real_ms)


@lru_cache(maxsize=32)
def _connected(ccxt_id: str, config: str) -> CcxtExchange:
    import ccxt  # 0.3 s and 50 MB: only for those who speak with a real exchange

    if ccxt_id not in ccxt.exchanges:
        raise GatewayError(f"There is no exchange {ccxt_id!r} in ccxt.", permanent=True)
    with _translated(ccxt_id):
        return CcxtExchange(getattr(ccxt, ccxt_id)({**_DEFAULTS, **json.loads(config)}))


@contextmanager
def _translated(name: str) -> Iterator[None]:
    """ccxt's errors, and those of answers that are not what they should be, as a GatewayError with a sentence."""
    import ccxt

    hopeless = (
        ccxt.AuthenticationError,
        ccxt.PermissionDenied,
        ccxt.BadRequest,
        ccxt.NotSupported,
        ccxt.ArgumentsRequired,
    )
    try:
        yield
    except (ccxt.RateLimitExceeded, ccxt.DDoSProtection) as error:
        raise GatewayError(f"{name} asks for fewer requests: {_short(error)}", permanent=False) from error
    except ccxt.NetworkError as error:
        raise GatewayError(f"{name} cannot be reached: {_short(error)}", permanent=False) from error
    except ccxt.BaseError as error:
        raise GatewayError(f"{name} refused: {_short(error)}", permanent=isinstance(error, hopeless)) from error
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, InvalidOperation) as error:
        raise GatewayError(f"{name} gave an answer that cannot be read: {_short(error)}", permanent=False) from error


def _short(error: Exception) -> str:
    text = " ".join(f"{type(error).__name__} {error}".split())
    return f"{text[:200]}." if len(text) <= 200 else f"{text[:199]}…"


class CcxtExchange:
    """A ccxt client behind the gateway's surface."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.name = str(client.name)

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def fetch_markets(self) -> list[MarketInfo]:
        with _translated(self.name):
            listed = self.client.load_markets(True).values()
            tradable = [market for market in listed if market["spot"] or (market["swap"] and market["linear"])]
            return [_market_info(market, self.client.precisionMode) for market in tradable if _has_steps(market)]

    def fetch_ohlcv(self, symbol: str, timeframe: int, since: int, limit: int) -> list[Row]:
        with _translated(self.name):
            answer = self.client.fetch_ohlcv(symbol, TIMEFRAME_NAMES[timeframe], since, limit)
            self._require_json()
            rows = [_row(row) for row in answer]
        previous = None
        for row in rows:
            fault = series.fault(row, timeframe, previous)
            if fault:
                raise GatewayError(f"{self.name} gave an impossible candle of {symbol}: {fault}", permanent=False)
            previous = row[0]
        now = self.now_ms()
        return [row for row in rows if row[0] >= since and row[0] + timeframe * 1000 <= now]

    def fetch_tickers(self, symbols: Sequence[str]) -> dict[str, Ticker]:
        with _translated(self.name):
            answer = self.client.fetch_tickers(list(symbols))
            self._require_json()
            found = [_ticker(answer[symbol], self.now_ms()) for symbol in symbols if symbol in answer]
        return {ticker.symbol: ticker for ticker in found if ticker.last > 0}

    def fetch_funding_rates(self, symbol: str, since: int, limit: int) -> list[Rate]:
        with _translated(self.name):
            answer = self.client.fetch_funding_rate_history(symbol, since, limit)
            self._require_json()
            found = [_rate(entry) for entry in answer]
        now = self.now_ms()
        return sorted(rate for rate in found if since <= rate.time <= now)

    def _require_json(self) -> None:
        if self.client.last_json_response is None:
            raise ValueError(f"no JSON: {str(self.client.last_http_response)[:60]!r}")


def _row(row: Sequence[Any]) -> Row:
    """A candle as numbers; a missing one becomes NaN, which the check then names."""
    if len(row) != 6 or row[0] is None:
        raise ValueError(f"candle {row!r} has not six columns")
    open_, high, low, close, volume = (math.nan if value is None else float(value) for value in row[1:])
    return int(row[0]), open_, high, low, close, volume


def _has_steps(market: dict[str, Any]) -> bool:
    return bool(market["precision"]["price"]) and market["precision"]["amount"] is not None


def _step(precision: Any, mode: int) -> Decimal:
    """Smallest step; ccxt gives it as such (mode 4, TICK_SIZE) or as a number of decimals."""
    number = Decimal(str(precision))
    return number if mode == 4 else Decimal(1).scaleb(-int(number))


def _market_info(market: dict[str, Any], mode: int) -> MarketInfo:
    # A contract is so many units of base; amounts here are always in base.
    contract = Decimal(str(market.get("contractSize") or 1))
    limits = market["limits"]
    leverage, maintenance = _margin(market)
    return MarketInfo(
        symbol=market["symbol"],
        base=market["base"],
        quote=market["quote"],
        type="swap" if market["swap"] else "spot",
        tick=_step(market["precision"]["price"], mode),
        lot=_step(market["precision"]["amount"], mode) * contract,
        min_amount=Decimal(str(limits["amount"]["min"] or 0)) * contract,
        min_cost=Decimal(str((limits.get("cost") or {}).get("min") or 0)),
        maker=Decimal(str(market.get("maker") or "0.001")),
        taker=Decimal(str(market.get("taker") or "0.001")),
        active=market.get("active") is not False,
        max_leverage=leverage,
        maintenance_rate=maintenance,
    )


def _margin(market: dict[str, Any]) -> tuple[Decimal, Decimal]:
    """(highest leverage, maintenance rate).

    ccxt tells the leverage of some exchanges, and the rate only to those who sign in.
    """
    if not market["swap"]:
        return Decimal(1), Decimal(0)
    told = (market["limits"].get("leverage") or {}).get("max")
    leverage = min(max(Decimal(str(told)), Decimal(1)), Decimal(1000)) if told else USUAL_LEVERAGE
    return leverage, usual_maintenance(leverage)


def _rate(entry: dict[str, Any]) -> Rate:
    rate = float(entry["fundingRate"])
    if not abs(rate) < 1:
        raise ValueError(f"funding rate {rate} is not a fraction")
    return Rate(int(entry["timestamp"]), rate)


def _ticker(ticker: dict[str, Any], now: int) -> Ticker:
    change, volume = ticker.get("percentage"), ticker.get("quoteVolume")
    return Ticker(
        symbol=ticker["symbol"],
        time=int(ticker["timestamp"] or now),
        last=float(ticker["last"] or 0),
        change_24h=None if change is None else float(change) / 100,
        quote_volume_24h=None if volume is None else float(volume),
    )
