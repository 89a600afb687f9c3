from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Router
from pydantic import Field

from bots import runs, services
from bots.kinds.parameters import ParamsError
from bots.performance import Curve, Trades, metrics
from dashboard import charts
from dashboard.api import rates
from dashboard.api.authentication import READ
from dashboard.api.schema import Capital, Exact, Moment, Row, Sent, SentId, Text, Timeframe
from markets import candles as store
from markets.models import Market
from markets.series import TIMEFRAMES, Candles

router = Router(auth=READ, tags=["Backtests"])

LONGEST = timedelta(days=366)
POINTS = 500
# Of the reads of a minute: one costs a core some hundredths of a second.
COST = 10


class Trial(Sent):
    market: SentId
    kind: Text
    timeframe: Timeframe = "1m"
    params: dict[str, Any] = Field(default_factory=dict)
    capital: Capital = Decimal(10_000)
    start: Moment | None = Field(None, description="First candle; a year before the end when left out.")
    end: Moment | None = Field(None, description="Candles before it; now when left out.")


class Result(Row):
    """Money in quote, rates as fractions, times in ms UTC, lengths in ms. equity: at most 500 points of it."""

    market: int
    kind: str
    timeframe: str
    start: int
    end: int
    candles: int
    trades: int
    final_equity: Exact
    fees: Exact
    metrics: dict[str, float | int | None]
    time: list[int]
    equity: list[float]


@router.post("", response=Result, summary="Run a kind over stored candles, at most a year of them; nothing is stored")
def try_backtest(request: HttpRequest, new: Trial) -> Any:
    rates.take(request, "reads", f"user {request.user.pk}", COST - 1)
    market = get_object_or_404(Market, pk=new.market)
    seconds = TIMEFRAMES[new.timeframe]
    services.validate(new.kind, new.params, market, seconds, new.capital)
    loaded = _candles(market, seconds, new)
    result = runs.backtest(new.kind, new.params, market, seconds, new.capital, loaded)
    capital = float(new.capital)
    found = metrics(Curve.of(loaded, result.steps.equity, capital, seconds), Trades.of(result.steps.trades))
    time, equity = charts.downsample(loaded.time.tolist(), result.steps.equity.tolist(), POINTS)
    return {
        "market": market.pk,
        "kind": new.kind,
        "timeframe": new.timeframe,
        "start": int(loaded.time[0]),
        "end": int(loaded.time[-1]) + seconds * 1000,
        "candles": len(loaded),
        "trades": len(result.trades),
        "final_equity": result.book.equity(Decimal(repr(float(loaded.close[-1])))),
        "fees": result.book.fees,
        "metrics": found,
        "time": [int(at) for at in time],
        "equity": equity,
    }


def _candles(market: Market, seconds: int, new: Trial) -> Candles:
    """Raises ParamsError."""
    end = new.end or datetime.now(UTC)
    start = new.start or end - LONGEST
    if start >= end:
        raise ParamsError({"start": f"start must be before end, {end:%Y-%m-%d %H:%M}, not {start:%Y-%m-%d %H:%M}."})
    if end - start > LONGEST:
        raise ParamsError({"start": f"start must be at most {LONGEST.days} days before end, not {(end - start).days}."})
    loaded = store.load(market.pk, seconds, _ms(start), _ms(end))
    if not len(loaded):
        raise ParamsError({"start": f"no {new.timeframe} candles of {market.symbol} are stored from {start:%Y-%m-%d}."})
    return loaded


def _ms(time: datetime) -> int:
    return max(int(time.timestamp() * 1000), 0)
