"""A bot tried on candles: what it would have done, between which bounds, and which orders it would begin with.

Pages and stored backtests ask; the engine answers, as it does on paper and live. Stores nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bots import funding, limits
from bots.bars import STORED, Bars
from bots.engine.run import Engine, Records
from bots.engine.simulate import NO_FUNDING, NOTHING_SEEN, Funding, Seen, Steps, step
from bots.engine.types import BEST, BUY, EXPECTED, LIMIT, SELL, WORST, Limits, Terms
from bots.kinds.contract import Kind
from bots.kinds.margin import liquidation_price
from bots.observations import observe
from bots.performance import Curve, Metrics, Trades, metrics
from markets.series import Candles


@dataclass(frozen=True, slots=True)
class Settings:
    """What a bot is set to, checked. params: the kind's Params; capital: quote; timeframe: seconds."""

    kind: Kind
    params: Any
    limits: Limits
    terms: Terms
    capital: float
    market_id: int
    timeframe: int

    def engine(self, path: int = EXPECTED) -> Engine:
        return Engine.new(self.kind, self.params, self.terms, self.capital, self.limits, path)


def settings_of(
    kind: Kind, raw: dict[str, Any], limited: dict[str, Any], terms: Terms, capital: float, key: tuple[int, int]
) -> Settings:
    """From JSON-like input; key: market id, timeframe in seconds. Raises ParamsError."""
    params = kind.validate(raw, terms, capital)
    chosen = limits.validate(limited, params, kind, terms, capital)
    return Settings(kind, params, limits.for_engine(chosen, capital), terms, capital, *key)


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of it. worst, best: equity at the end had every candle gone the worse, the better, of its two ways."""

    candles: Candles
    steps: Steps
    metrics: Metrics
    worst: float
    best: float


def tried(settings: Settings, candles: Candles, bars: Bars = STORED) -> Tried:
    """Lead a bot through candles, of which there is one at least. bars: what it is shown before the first.

    Raises ValueError: a rule that cannot be evaluated on this timeframe.
    """
    seen, paid = shown(settings, candles, bars)
    expected, worst, best = (step(settings.engine(path), candles, seen, paid) for path in (EXPECTED, WORST, BEST))
    curve = Curve.of(candles, expected.equity, settings.capital, settings.timeframe)
    ends = [float(one.equity[-1]) for one in (expected, worst, best)]
    return Tried(candles, expected, metrics(curve, executed(expected.trades)), min(ends), max(ends))


def shown(settings: Settings, candles: Candles, bars: Bars) -> tuple[Seen, Funding]:
    """What the kind sees in candles, and the funding that settles in them."""
    key = (settings.market_id, settings.timeframe)
    paid = funding.rates_of((*key, int(candles.time[0]) - 1), candles) if settings.terms.margin else NO_FUNDING
    return observe(settings.kind, settings.params, *key, candles, bars), paid


def executed(trades: Records) -> Trades:
    """The engine's trades as their figures need them."""
    cost = trades["price"] * trades["amount"]
    change = trades["side"] * trades["amount"]
    return Trades(trades["time"], change, cost, trades["fee"], trades["realized"], trades["sequence"])


@dataclass(frozen=True, slots=True)
class Opening:
    """How a bot begins at a price: orders that wait (ORDER), trades at once (TRADE), where it would be liquidated.

    notes: what it tells of its decisions (NOTE), refused orders among them.
    liquidation: below and above the price, once all waiting limit orders of a side are filled; None where never.
    """

    orders: Records
    trades: Records
    notes: Records
    liquidation: tuple[float | None, float | None]


def flat_candle(time: int, price: float) -> Candles:
    """A candle in which the price stands still; time: its open, ms UTC."""
    return Candles.from_rows([(time, price, price, price, price, 0.0)])


def unseen(kind: Kind) -> Seen:
    """Of one candle in which the kind finds nothing."""
    return Seen(np.zeros(1, np.int8), np.empty((1, 0))) if kind.observe else NOTHING_SEEN


def opening(settings: Settings, price: float, time: int = 0) -> Opening:
    """What a bot that starts at a price, quote, does before the price moves. time: ms UTC."""
    engine = settings.engine()
    steps = step(engine, flat_candle(time, price), unseen(settings.kind))
    wanted = engine.orders[engine.wanted()]
    below = _liquidation(engine, wanted, BUY, settings.terms)
    above = _liquidation(engine, wanted, SELL, settings.terms)
    liquidation = (below if below and below < price else None, above if above and above > price else None)
    return Opening(wanted, steps.trades, steps.notes, liquidation)


def _liquidation(engine: Engine, wanted: Records, side: int, terms: Terms) -> float | None:
    """Where the exchange liquidates once the waiting limit orders of a side are filled."""
    if not terms.margin:
        return None
    run, fee = engine.run[0], max(terms.maker, terms.taker)
    own = wanted[(wanted["type"] == LIMIT) & (wanted["side"] == side)]
    amount, value = float(own["amount"].sum()), float((own["amount"] * own["price"]).sum())
    cash = float(run["cash"]) - side * value - fee * value
    return liquidation_price(cash, float(run["position"]) + side * amount, terms.maintenance)
