"""What a run was worth: figures from its mark-to-market equity and its trades. Pure.

Rates are fractions: 0.05 is 5 %. Times are ms UTC. A figure that cannot be computed (no trades, no variation) is None,
never a made-up zero.
"""

from __future__ import annotations

from bots.performance.curve import Curve
from bots.performance.metrics import Metrics, annual_return, metrics
from bots.performance.returns import Returns, daily_returns, monthly_returns
from bots.performance.trades import Trades

__all__ = [
    "Curve",
    "Metrics",
    "Returns",
    "Trades",
    "annual_return",
    "daily_returns",
    "metrics",
    "monthly_returns",
]
