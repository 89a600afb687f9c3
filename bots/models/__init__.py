"""What is decided and what happened. Rows are written in bots/services/ and bots/runs.py, nowhere else."""

from __future__ import annotations

from bots.models.account import Account, Balance, Mode
from bots.models.backtest import Backtest
from bots.models.bot import Bot, BotQuerySet
from bots.models.change import BotChange
from bots.models.channel import Channel, EventHorizon
from bots.models.event import Event
from bots.models.funding import FundingPayment
from bots.models.halt import Halt
from bots.models.late_feed import LateFeed
from bots.models.order import Order, Side
from bots.models.position import BookSnapshot, EquitySnapshot, Position
from bots.models.prediction import Prediction
from bots.models.run import Run
from bots.models.session import LiveSession
from bots.models.trade import Trade
from bots.models.trade_day import TradeDay

__all__ = [
    "Account",
    "Backtest",
    "Balance",
    "BookSnapshot",
    "Bot",
    "BotChange",
    "BotQuerySet",
    "Channel",
    "EquitySnapshot",
    "Event",
    "EventHorizon",
    "FundingPayment",
    "Halt",
    "LateFeed",
    "LiveSession",
    "Mode",
    "Order",
    "Position",
    "Prediction",
    "Run",
    "Side",
    "Trade",
    "TradeDay",
]
