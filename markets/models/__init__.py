"""What exchanges are and say, one noun a module; what the simulated exchange keeps of its customers beside it."""

from __future__ import annotations

from markets.models.candle import Candle, CandleGap, HistoryBlock
from markets.models.exchange import FILE, Exchange, ExchangeQuerySet
from markets.models.feed import Feed, FeedNotice, FeedNoticeQuerySet, FeedQuerySet
from markets.models.fields import TIMEFRAME_CHOICES, price_field
from markets.models.funding import FundingRate
from markets.models.indicator import IndicatorSnapshot
from markets.models.market import Market
from markets.models.quotes import Quotes
from markets.models.simulated import (
    SimulatedBalance,
    SimulatedDesk,
    SimulatedExecution,
    SimulatedOrder,
    SimulatedTransfer,
)

__all__ = [
    "FILE",
    "TIMEFRAME_CHOICES",
    "Candle",
    "CandleGap",
    "Exchange",
    "ExchangeQuerySet",
    "Feed",
    "FeedNotice",
    "FeedNoticeQuerySet",
    "FeedQuerySet",
    "FundingRate",
    "HistoryBlock",
    "IndicatorSnapshot",
    "Market",
    "Quotes",
    "SimulatedBalance",
    "SimulatedDesk",
    "SimulatedExecution",
    "SimulatedOrder",
    "SimulatedTransfer",
    "price_field",
]
