"""A ccxt client behind the gateway's surface: metered, its clock measured, its answers checked."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

from markets import gateway_shapes as shapes
from markets.budget import Budget, Clock, Lane
from markets.gateway_errors import translated
from markets.gateway_loading import ccxt_errors
from markets.series import TIMEFRAME_NAMES, Row
from markets.surface import GatewayError, MarketInfo, MarkPrice, OrderBook, Rate, Ticker

logger = logging.getLogger(__name__)

# The last answer is kept, to tell one that is no JSON from one that holds nothing: ccxt takes both for empty.
_DEFAULTS = {"timeout": 10_000, "enableLastJsonResponse": True}
# Where the answers come from, hence who counts the requests.
_PLACES = ("proxyUrl", "httpProxy", "httpsProxy", "socksProxy")
TOO_MANY, BANNED, UNAVAILABLE = 429, 418, 503
# Left alone for so long where the answer does not say for how long: seconds.
_USUAL_HOLD = {TOO_MANY: 10.0, BANNED: 120.0}
_FARTHEST_MS = 86_400_000  # a clock that is further off tells something else, or another unit
_MEASURED_S, _UNMEASURED_S = 600.0, 60.0  # until the clock is measured again


class CcxtExchange:
    """One per thread: a ccxt client remembers its last answer. Raises GatewayError and nothing else."""

    def __init__(
        self, client_class: Any, config: dict[str, Any], clock: Clock, patience: float, credential: str = ""
    ) -> None:
        self.client = client_class({**_DEFAULTS, **config})
        self.name = str(self.client.name)
        self.requests = 0
        self.lane: Lane = "data"
        self.clock, self.patience = clock, patience
        self.budget = Budget(self.name, self._place(), float(self.client.rateLimit), credential, clock)
        self._offset, self._measure_at = 0, 0.0
        self._date_offset: int | None = None  # as of the last answer with a date
        self._told_off = False  # whether the last answer has been heeded
        # ccxt calls it before each request, with the weight that it knows of the endpoint.
        self.client.enableRateLimit = True
        self.client.throttle = self._throttle
        self.client.session.hooks["response"].append(self._heard)

    def _place(self) -> str:
        """The same for all who speak with the same servers from the same address."""
        told = [self.client.urls.get("api"), self.client.hostname, *(getattr(self.client, name) for name in _PLACES)]
        digest = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()
        return f"{self.client.id}:{digest[:12]}"

    def _throttle(self, cost: float | None = None) -> None:
        self.budget.take(1.0 if cost is None else float(cost), self.lane, self.patience)
        self.requests += 1

    def _heard(self, response: Any, **_: Any) -> None:
        """Every answer comes by here, whatever ccxt makes of it."""
        said = _moment(response.headers.get("Date", ""))
        if said is not None:
            self._date_offset = said - self.clock.now_ms()
        after = response.headers.get("Retry-After", "")
        status = response.status_code
        self._told_off = status in _USUAL_HOLD or (status == UNAVAILABLE and bool(after))
        if self._told_off:
            self.budget.hold(_seconds(after, self.clock) or _USUAL_HOLD.get(status, 1.0))

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        with translated(self.name, what):
            errors = ccxt_errors()
            try:
                yield
            except (errors.RateLimitExceeded, errors.DDoSProtection):
                # Some say so in an answer of status 200.
                if not self._told_off:
                    self.budget.hold(_USUAL_HOLD[TOO_MANY])
                raise

    def now_ms(self) -> int:
        moment = self.clock.monotonic()
        if moment >= self._measure_at:
            self._measure_at = moment + _UNMEASURED_S
            try:
                self._offset = self._measured()
                self._measure_at = moment + _MEASURED_S
            except GatewayError as error:
                # Whoever asks for more than the time is told what is wrong.
                logger.warning("the clock of %s is not measured: %s", self.name, error)
        return self.clock.now_ms() + self._offset

    def _measured(self) -> int:
        """How far the exchange's clock is ahead of ours, ms; at least so much, as its answer has travelled.

        So a candle never counts as closed, nor a request as made, before the exchange says so.
        """
        with self._asking("its time"):
            if self.client.has["fetchTime"]:
                ahead = int(self.client.fetch_time()) - self.clock.now_ms()
            else:
                if self._date_offset is None:
                    self.client.load_markets()
                ahead = self._date_offset or 0
            if abs(ahead) > _FARTHEST_MS:
                raise ValueError(f"it is {ahead / 86_400_000:+.0f} days from ours")
            return ahead

    def load(self) -> None:
        """Have ccxt know the exchange's markets; asks for them only once."""
        with self._asking("its list of markets"):
            self.client.load_markets()

    def fetch_markets(self) -> list[MarketInfo]:
        with self._asking("its list of markets"):
            listed = self.client.load_markets(True).values()
            return shapes.market_infos(listed, self.client.precisionMode)

    def fetch_ohlcv(self, symbol: str, timeframe: int, since: int, limit: int) -> list[Row]:
        name = self._timeframe(timeframe)
        now = self.now_ms()
        with self._asking(f"candles of {symbol}"):
            self.client.load_markets()
            most = self.client.feature_value(symbol, "fetchOHLCV", "limit") or limit
            answer = self.client.fetch_ohlcv(symbol, name, since, min(limit, int(most)))
            self._require_json()
            rows = shapes.rows_of(answer, timeframe)
        return [row for row in rows if row[0] >= since and row[0] + timeframe * 1000 <= now][:limit]

    def _timeframe(self, seconds: int) -> str:
        """As the exchange calls it."""
        known = self.client.timeframes or {}
        if not self.client.has["fetchOHLCV"] or not known:
            raise GatewayError(f"{self.name} gives no candles, as far as ccxt knows.", permanent=True)
        name = TIMEFRAME_NAMES[seconds]
        if name not in known:
            raise GatewayError(f"{self.name} has no candles of {name}, but of {', '.join(known)}.", permanent=True)
        return name

    def fetch_tickers(self, symbols: Sequence[str]) -> dict[str, Ticker]:
        found: dict[str, Ticker] = {}
        with self._asking("tickers"):
            for alike in self._by_type(symbols):
                answer = self.client.fetch_tickers(alike)
                self._require_json()
                found |= shapes.tickers(answer, alike, self.now_ms())
        return found

    def _by_type(self, symbols: Sequence[str]) -> list[list[str]]:
        """In lists of one type each, as ccxt asks; those that the exchange does not list any more are left out."""
        self.client.load_markets()
        types: dict[str, list[str]] = {}
        for symbol in symbols:
            if symbol in self.client.markets:
                types.setdefault(self.client.markets[symbol]["type"], []).append(symbol)
        return list(types.values())

    def fetch_funding_rates(self, symbol: str, since: int, limit: int) -> list[Rate]:
        with self._asking(f"funding rates of {symbol}"):
            answer = self.client.fetch_funding_rate_history(symbol, since, limit)
            self._require_json()
            found = [shapes.rate(entry) for entry in answer]
        now = self.now_ms()
        return sorted(rate for rate in found if since <= rate.time <= now)

    def fetch_mark_prices(self, symbols: Sequence[str]) -> dict[str, MarkPrice]:
        with self._asking("mark prices"):
            self.client.load_markets()
            # ccxt refuses all of them for one that is not listed any more.
            listed = [symbol for symbol in symbols if symbol in self.client.markets]
            if not listed:
                return {}
            fetch = self.client.fetch_funding_rates if self.client.has["fetchFundingRates"] else None
            answer = (fetch or self.client.fetch_mark_prices)(listed)
            self._require_json()
            return shapes.mark_prices(answer, symbols, self.now_ms())

    def fetch_order_book(self, symbol: str, limit: int) -> OrderBook:
        with self._asking(f"the order book of {symbol}"):
            answer = self.client.fetch_order_book(symbol, limit)
            self._require_json()
            return shapes.order_book(symbol, answer, limit, self.now_ms())

    def _require_json(self) -> None:
        if self.client.last_json_response is None:
            raise ValueError(f"no JSON: {str(self.client.last_http_response)[:60]!r}")


def _seconds(retry_after: str, clock: Clock) -> float:
    """A Retry-After header, seconds or a date (RFC 9110, 10.2.3), as seconds from now; 0 when it says nothing."""
    if retry_after.isdecimal():
        return float(retry_after[:9])
    till = _moment(retry_after)
    return 0.0 if till is None else max(till - clock.now_ms(), 0) / 1000


def _moment(header: str) -> int | None:
    """A date in a header, ms UTC."""
    try:
        return int(parsedate_to_datetime(header).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
