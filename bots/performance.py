"""What a run was worth: figures from its mark-to-market equity and its trades. Pure.

Equity is in quote at each bar's close. Rates are fractions: 0.05 is 5 %. A figure that cannot be computed (no trades,
no variation) is None, never a made-up zero.
"""

from __future__ import annotations

import math
from typing import TypedDict

import numpy as np

from markets.series import Column, Times

DAY = 86_400_000
DAYS_A_YEAR = 365.0  # markets that never close
LARGEST_GROWTH = 700.0  # e^700 is about the largest float


class Metrics(TypedDict):
    total_return: float
    annual_return: float | None
    volatility: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    max_drawdown: float
    buy_and_hold: float
    exposure: float
    trades: int
    win_rate: float | None
    profit_factor: float | None
    fees: float
    turnover: float


def drawdowns(equity: Column, start: float) -> Column:
    """Fall from the highest equity so far, the starting capital included, as a fraction <= 0. Same shape."""
    peaks = np.maximum(np.maximum.accumulate(equity), start)
    return np.asarray(equity / peaks - 1.0)


def daily_returns(time: Times, equity: Column, start: float) -> Column:
    """Return of each UTC day, from the last equity of the day before; shape (days,)."""
    day = time // DAY
    last = np.append(np.flatnonzero(np.diff(day)), len(day) - 1)
    closes = np.concatenate([[start], equity[last]])
    return np.asarray(closes[1:] / closes[:-1] - 1.0)


def annual_return(total: float, span: int) -> float | None:
    """A total return over `span` ms at the pace of a year; None under a day, after a total loss and beyond floats."""
    if span < DAY or total <= -1.0:
        return None
    growth = math.log1p(total) * DAYS_A_YEAR * DAY / span
    return math.expm1(growth) if growth < LARGEST_GROWTH else None


def metrics(
    time: Times, close: Column, equity: Column, start: float, position: Column, realized: Column, fees: Column,
    cost: Column, order: Times,
) -> Metrics:  # fmt: skip
    """Figures of one run.

    time, close, equity, position: per bar; realized, fees, cost (price times amount): per trade, in quote; order:
    number of the order that a trade executed, so that an order filled in parts counts once.
    Sharpe: mean over standard deviation of the daily returns, times the root of 365 (Sharpe 1994, risk-free rate 0).
    Sortino: the same over the downside deviation against 0 (Sortino and Price 1994). Calmar: annual return over the
    deepest drawdown (Young 1991). Win rate: orders that locked in a gain, of
    those that locked in anything. Profit factor: locked-in gains over locked-in losses.
    """
    total = float(equity[-1] / start - 1.0)
    deepest = float(drawdowns(equity, start).min())
    days = daily_returns(time, equity, start)
    locked = np.bincount(order, realized)
    gains, losses = locked[locked > 0].sum(), -locked[locked < 0].sum()
    annual = annual_return(total, int(time[-1]) - int(time[0]))
    deviation = float(days.std(ddof=1)) if len(days) > 1 else 0.0
    downside = math.sqrt(float(np.mean(np.minimum(days, 0.0) ** 2)))
    return Metrics(
        total_return=total,
        annual_return=annual,
        volatility=deviation * math.sqrt(DAYS_A_YEAR) if deviation else None,
        sharpe=_over(float(days.mean()) * math.sqrt(DAYS_A_YEAR), deviation),
        sortino=_over(float(days.mean()) * math.sqrt(DAYS_A_YEAR), downside),
        calmar=_over(annual, -deepest),
        max_drawdown=deepest,
        buy_and_hold=float(close[-1] / close[0] - 1.0),
        exposure=float(np.count_nonzero(position) / len(position)),
        trades=len(fees),
        win_rate=_over(float(np.count_nonzero(locked > 0)), float(np.count_nonzero(locked))),
        profit_factor=_over(float(gains), float(losses)),
        fees=float(fees.sum()),
        turnover=float(cost.sum() / start),
    )


def _over(part: float | None, whole: float) -> float | None:
    """part / whole, None where it has no meaning."""
    return None if part is None or abs(whole) < 1e-15 else part / whole
