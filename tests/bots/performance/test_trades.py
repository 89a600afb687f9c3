"""What orders locked in after fees, and how long a position was held."""

from __future__ import annotations

import numpy as np
import pytest

from bots.engine.types import BUY, SELL, TRADE
from bots.performance import Trades
from tests.bots.performance.conftest import FIRST, HOUR, executed, measured

END = 10 * HOUR
# Rows of (hour, change, price, fee, order); win rate, profit factor, expectancy, exposure of ten hours.
CASES = {
    "no trade": ([], (None, None, None, 0)),
    "bought and kept": ([(4, 1, 100, 1, 1)], (None, None, None, 0.6)),
    "a gain": ([(0, 1, 100, 1, 1), (5, -1, 110, 1, 2)], (1, None, 8, 0.5)),
    "a loss": ([(0, 1, 100, 1, 1), (5, -1, 90, 1, 2)], (0, 0, -12, 0.5)),
    "a gain that the fees eat": ([(0, 1, 100, 1, 1), (5, -1, 101, 1, 2)], (0, 0, -1, 0.5)),
    "neither": ([(0, 1, 100, 1, 1), (5, -1, 102, 1, 2)], (0, None, 0, 0.5)),
    "a short gain": ([(2, -1, 100, 1, 1), (5, 1, 90, 1, 2)], (1, None, 8, 0.3)),
    "through zero": (
        # 1 of the 2 closes the long: gains 10, pays its entry's 1 and half of 2. The short then loses 5, 1 and 1.
        [(0, 1, 100, 1, 1), (5, -2, 110, 2, 2), (6, 1, 115, 1, 3)],
        (0.5, 8 / 7, 0.5, 0.6),
    ),
    "an order in parts": (
        # Parts of order 2: 10 and -6 less 2 of fees: one gain.
        [(0, 2, 100, 0, 1), (1, -1, 110, 1, 2), (2, -1, 94, 1, 2)],
        (1, None, 2, 0.2),
    ),
    "orders whose parts cross": (
        [(0, 4, 100, 0, 1), (1, -1, 110, 0, 3), (1, -1, 90, 0, 2), (2, -1, 110, 0, 3), (3, -1, 90, 0, 2)],
        (0.5, 1, 0, 0.3),
    ),
    "in and out in an hour": ([(3, 1, 100, 0, 1), (3, -1, 101, 0, 2)], (1, None, 1, 0)),
    "dust of rounding": (
        [(0, 0.1, 100, 0, 1), (0, 0.2, 100, 0, 2), (1, -0.3, 100, 0, 3), (6, 0.1, 100, 0, 4), (7, -0.1, 110, 0, 5)],
        (0.5, None, 0.5, 0.2),  # order 3 breaks even
    ),
}


@pytest.mark.parametrize(("rows", "expected"), CASES.values(), ids=CASES)
def test_results_of_orders(rows, expected):
    found = measured([1000.0] * 10, [(FIRST + hour * HOUR, *rest) for hour, *rest in rows])
    names = ("win_rate", "profit_factor", "expectancy", "exposure")
    for name, value in zip(names, expected, strict=True):
        assert found[name] == (None if value is None else pytest.approx(value, abs=1e-12)), name


def test_a_trade_outside_the_curve_counts_for_the_time_inside():
    rows = [(FIRST - HOUR, 1, 100, 0, 1), (FIRST + 20 * HOUR, -1, 100, 0, 2)]
    assert measured([1000.0] * 10, rows)["exposure"] == 1


def test_the_engine_s_records_are_read():
    records = np.zeros(2, TRADE)
    for name, values in {
        "time": (FIRST, FIRST + HOUR), "side": (BUY, SELL), "price": (100, 110), "amount": (2, 2), "fee": (1, 1.1),
        "realized": (0, 20), "sequence": (4, 5),
    }.items():  # fmt: skip
        records[name] = values
    read, expected = Trades.of(records), executed([(FIRST, 2, 100, 1, 4), (FIRST + HOUR, -2, 110, 1.1, 5)])
    for name in ("time", "change", "cost", "fee", "realized", "order"):
        assert getattr(read, name).tolist() == getattr(expected, name).tolist(), name


def columns(**changed):
    of = {"time": [1, 2], "change": [1.0, -1.0], "cost": [5.0, 5.0], "fee": [0.0, 0.0], "realized": [0.0, 1.0]}
    return {name: np.array(values) for name, values in ({**of, "order": [1, 2], **changed}).items()}


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"fee": [0.0]}, "fee must have 2 values, one for each time, not 1."),
        ({"order": [1, 2, 3]}, "order must have 2 values, one for each time, not 3."),
        ({"cost": [1.0, np.nan]}, "cost must be finite, not nan at trade 1."),
        ({"realized": [np.inf, 0.0]}, "realized must be finite, not inf at trade 0."),
        ({"time": [2, 1]}, "time must not go back, not from 2 to 1 at trade 1."),
    ],
)
def test_trades_that_cannot_be_are_refused_in_a_sentence(changed, sentence):
    with pytest.raises(ValueError, match=sentence.replace(".", r"\.")):
        Trades(**columns(**changed))
