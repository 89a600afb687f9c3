"""Rules over prices and indicators that a trader can type: `sma(10) crosses above sma(50) and rsi(14) < 70`."""

from __future__ import annotations
