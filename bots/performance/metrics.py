"""The figures of a run."""

from __future__ import annotations

import math
from typing import TypedDict

import numpy as np

from bots.performance.curve import Curve, falls
from bots.performance.returns import DAY, daily_returns
from bots.performance.trades import Trades, closed
from markets.series import Column

DAYS_A_YEAR = 365.0  # markets that never close
LARGEST_GROWTH = 700.0  # e^700 is about the largest float
NO_VARIATION = 1e-15  # of returns: rounding, not risk


class Metrics(TypedDict):
    """Rates are fractions, moments ms UTC, lengths ms, money quote."""

    total_return: float
    annual_return: float | None
    buy_and_hold: float
    excess_return: float
    volatility: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    max_drawdown: float
    drawdown_peak: int | None
    drawdown_low: int | None
    drawdown_recovery: int | None
    drawdown_length: int | None
    under_water: float
    longest_under_water: int
    exposure: float
    trades: int
    win_rate: float | None
    profit_factor: float | None
    expectancy: float | None
    fees: float
    turnover: float


def metrics(curve: Curve, trades: Trades) -> Metrics:
    """Figures of one run. Raises ValueError for equity that is not finite.

    total_return: last equity over the capital, less 1. annual_return: at the same pace over 365 days, compounded.
    buy_and_hold: last close over first open, less 1, without fees; excess_return: total_return less that.
    volatility, sharpe, sortino: of the daily returns, see risk(). calmar: annual return over the depth of the deepest
    drawdown (Young 1991, "Calmar Ratio: A Smoother Tool", Futures 20).
    max_drawdown: lowest equity over the highest before it, the capital included, less 1 (Magdon-Ismail and Atiya
    2004, "Maximum drawdown", Risk 17). Its peak is the last moment there, its recovery the first moment back, its
    length from one to the other or to the end. under_water: bars that closed below an earlier peak, of all bars;
    longest_under_water: the longest time from a peak to its recovery or to the end.
    exposure: time with a position, of all time. Of orders that closed a position or a part of one, by what they
    locked in at average cost less the fees of both sides: win_rate: those with a gain; profit_factor: gains over
    losses; expectancy: the mean, in quote (Tharp 1998, "Trade Your Way to Financial Freedom", ch. 7; Pardo 2008, "The
    Evaluation and Optimization of Trading Strategies", ch. 14).
    turnover: price times amount of all trades, bought and sold, over the capital. fees: their sum, in quote.
    """
    fell, ended, span = falls(curve), closed(trades, curve.begin, curve.end), curve.end - curve.begin
    total, held = float(curve.equity[-1]) / curve.capital - 1.0, curve.closed / curve.opened - 1.0
    annual = annual_return(total, span)
    volatility, sharpe, sortino = risk(daily_returns(curve).values)
    depth, peak, low, until, recovered, below, longest = fell.item()
    in_position, orders, won, gains, losses = ended.item()
    return Metrics(
        total_return=total,
        annual_return=annual,
        buy_and_hold=held,
        excess_return=total - held,
        volatility=volatility,
        sharpe=sharpe,
        sortino=sortino,
        calmar=_over(annual, -depth),
        max_drawdown=depth,
        drawdown_peak=peak if depth else None,
        drawdown_low=low if depth else None,
        drawdown_recovery=until if recovered else None,
        drawdown_length=until - peak if depth else None,
        under_water=below / len(curve.equity),
        longest_under_water=longest,
        exposure=in_position / span,
        trades=len(trades),
        win_rate=won / orders if orders else None,
        profit_factor=gains / losses if losses else None,
        expectancy=(gains - losses) / orders if orders else None,
        fees=float(trades.fee.sum()),
        turnover=float(trades.cost.sum()) / curve.capital,
    )


def annual_return(total: float, span: int) -> float | None:
    """A total return over `span` ms at the pace of a year; None under a day, after a total loss and beyond floats."""
    if span < DAY or total <= -1.0:
        return None
    growth = math.log1p(total) * DAYS_A_YEAR * DAY / span
    return math.expm1(growth) if growth < LARGEST_GROWTH else None


def risk(days: Column) -> tuple[float | None, float | None, float | None]:
    """Volatility, Sharpe ratio, Sortino ratio of daily returns, a year of 365 days, risk-free rate 0.

    Volatility: standard deviation (n - 1) times the root of 365. Sharpe: mean over standard deviation, times the root
    of 365 (Sharpe 1994, "The Sharpe Ratio", Journal of Portfolio Management 21). Sortino: the mean over the root mean
    square of all days with gains taken as 0 (Sortino and Price 1994, "Performance Measurement in a Downside Risk
    Framework", Journal of Investing 3), times the same root. None where returns do not vary, and after a day that
    ended without equity.
    """
    if not np.isfinite(days).all():
        return None, None, None
    year = math.sqrt(DAYS_A_YEAR)
    mean = float(days.mean()) * year
    deviation = float(days.std(ddof=1)) if len(days) > 1 else 0.0
    downside = math.sqrt(float(np.mean(np.minimum(days, 0.0) ** 2)))
    return (deviation * year if deviation > NO_VARIATION else None), _over(mean, deviation), _over(mean, downside)


def _over(part: float | None, whole: float) -> float | None:
    """part / whole, None where it has no meaning."""
    return None if part is None or whole < NO_VARIATION else part / whole
