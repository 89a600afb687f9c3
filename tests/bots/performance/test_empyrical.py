"""Figures against empyrical-reloaded, a library of others, where it has them."""

from __future__ import annotations

import empyrical
import numpy as np
import pandas as pd
import pytest

from bots.performance import daily_returns, metrics, monthly_returns
from tests.bots.performance.conftest import CAPITAL, DAY, curve, executed
from tests.markets.conftest import real_candles

YEAR = {"annualization": 365}


def walked(seed):
    random = np.random.default_rng(seed)
    return curve(CAPITAL * np.exp(np.cumsum(random.normal(0.0005, 0.02, 500))), step=DAY)


def held(file):
    """One coin held through a year of real hourly candles."""
    candles = real_candles(file)[: 365 * 24]
    equity = CAPITAL * candles.close / candles.open[0]
    return curve(equity, first=int(candles.time[0]), opened=candles.open[0], closed=candles.close[-1])


CURVES = {f"walk {seed}": walked(seed) for seed in range(5)} | {
    name: held(f"binance_{name}USDT_1h_2024.csv.gz") for name in ("BTC", "ETH")
}


@pytest.fixture(params=CURVES.values(), ids=CURVES)
def found(request):
    return request.param


@pytest.fixture
def series(found):
    """Daily returns by pandas: the last equity of each calendar day over the one before."""
    index = pd.to_datetime(found.time, unit="ms", utc=True)
    closes = pd.Series(found.equity, index).resample("D").last()
    return closes.pct_change().fillna(closes.iloc[0] / CAPITAL - 1)


def test_days_are_pandas_days(found, series):
    days = daily_returns(found)
    assert days.values == pytest.approx(series.to_numpy())
    assert list(days.by_date()) == [f"{date:%Y-%m-%d}" for date in series.index]


def test_months_are_empyrical_s_months(found, series):
    months = empyrical.aggregate_returns(series, "monthly")
    ours = monthly_returns(found)
    assert ours.values == pytest.approx(months.to_numpy())
    assert list(ours.by_date()) == [f"{year}-{month:02}" for year, month in months.index]


def test_rates_are_empyrical_s_rates(found, series):
    ours = metrics(found, executed([]))
    expected = {
        "total_return": empyrical.cum_returns_final(series),
        "annual_return": empyrical.annual_return(series, **YEAR),
        "volatility": empyrical.annual_volatility(series, **YEAR),
        "sharpe": empyrical.sharpe_ratio(series, **YEAR),
        "sortino": empyrical.sortino_ratio(series, **YEAR),
    }
    for name, value in expected.items():
        assert ours[name] == pytest.approx(value, rel=1e-9), name


def test_drawdown_is_empyrical_s_drawdown(found):
    """At every point of the curve, not the days'."""
    points = np.concatenate([[CAPITAL], found.equity])
    returns = pd.Series(points).pct_change().dropna()
    ours = metrics(found, executed([]))
    assert ours["max_drawdown"] == pytest.approx(empyrical.max_drawdown(returns), rel=1e-9)
    assert ours["calmar"] == pytest.approx(ours["annual_return"] / -empyrical.max_drawdown(returns), rel=1e-9)


def test_spells_under_water_are_pandas_spells(found):
    points = pd.Series(np.concatenate([[CAPITAL], found.equity]))
    moments = np.append(found.time, found.end)
    depth = points / points.cummax() - 1
    low = int(depth.idxmin())
    flat = depth.index[depth == 0]
    peak, after = flat[flat < low][-1], flat[flat > low]
    ours = metrics(found, executed([]))
    assert ours["under_water"] == pytest.approx((depth < 0).sum() / len(found.equity))
    assert (ours["drawdown_peak"], ours["drawdown_low"]) == (moments[peak], moments[low])
    assert ours["drawdown_recovery"] == (moments[after[0]] if len(after) else None)
    assert ours["longest_under_water"] == np.diff(moments[np.append(flat, len(points) - 1)]).max()
