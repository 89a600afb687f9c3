"""Returns of calendar periods of an equity curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bots.performance.curve import Curve
from markets.series import Column

DAY = 86_400_000


@dataclass(frozen=True, slots=True)
class Returns:
    """Returns of periods that have bars, ascending; both shape (periods,).

    dates: datetime64[D] for days, datetime64[M] for months, UTC. values: equity at the period's last close over the
    one at the period's before (the capital for the first), less 1; NaN after equity that was not above 0.
    """

    dates: NDArray[np.datetime64]
    values: Column

    def by_date(self) -> dict[str, float | None]:
        """Date as 2024-01-31 or 2024-01 -> return, None where it cannot be computed."""
        values = [None if value != value else value for value in self.values.tolist()]
        return dict(zip(map(str, self.dates), values, strict=True))


def daily_returns(curve: Curve) -> Returns:
    """Of each UTC day. A bar belongs to the day it opened in; the first and the last day may not be whole."""
    last, dates = _days(curve)
    return _returns(curve, last, dates)


def monthly_returns(curve: Curve) -> Returns:
    """Of each calendar month, UTC. The first and the last month may not be whole."""
    last, dates = _days(curve)
    months = dates.astype("datetime64[M]")
    ends = np.append(months[1:] != months[:-1], True)
    return _returns(curve, last[ends], months[ends])


def _days(curve: Curve) -> tuple[NDArray[np.int64], NDArray[np.datetime64]]:
    """Index of the last point of each day that has one, and its date."""
    # A search for each midnight: to divide every time would take longer than all other figures together.
    midnights = DAY * np.arange(curve.begin // DAY + 1, int(curve.time[-1]) // DAY + 1)
    last = np.append(np.searchsorted(curve.time, midnights), len(curve.time)) - 1
    last = last[np.diff(last, prepend=-1) > 0]
    return last, (curve.time[last] // DAY).astype("datetime64[D]")


def _returns(curve: Curve, last: NDArray[np.int64], dates: NDArray[np.datetime64]) -> Returns:
    """last: index of the last point of each period."""
    closes = np.concatenate([[curve.capital], curve.equity[last]])
    before, after = closes[:-1], closes[1:]
    values = np.full(len(last), np.nan)
    np.divide(after, before, out=values, where=before > 0)
    return Returns(dates, values - 1.0)
