"""Who fills the orders of a live run: an exchange, asked through the gateway's surface.

On paper and in backtests the engine itself is the broker (bots/engine/simulate.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from bots import limits, live_margin
from bots.kinds import KINDS
from bots.models import Order, Run
from markets.gateway import Trading, connect_trading
from markets.surface import Moment, OrderInfo, OrderRequest, Transfer, Watch

# What an exchange is asked for; a trailing stop lives with us, and what is sent when it is touched is a market order.
_SENT_AS = {"limit": "limit", "stop": "stop", "market": "market", "trailing": "market"}


class Broker(Protocol):
    """Every method raises GatewayError and nothing else. Asking again for the same changes nothing."""

    def place(self, row: Order, cost: Decimal, fresh: bool) -> OrderInfo:
        """Send an order. cost: quote money it is for in the place of an amount, or 0; fresh: it never was sent."""

    def cancel(self, row: Order) -> OrderInfo | None:
        """Withdraw an order; None when the exchange never heard of it."""

    def add_margin(self, run: Run) -> Transfer:
        """Move the allocation of a run on a swap out of its account."""

    def withdraw_margin(self, run: Run) -> Transfer:
        """Move what is left of it back."""

    def withdrawn(self, rows: Sequence[Order]) -> list[OrderInfo]:
        """Of open orders those that are on the book no more though nothing was filled of them that is not booked."""

    def go_on(self, after: int, watch: Watch) -> Moment | None:
        """What happened on the market after moment number `after`, executions included; None: nothing yet."""


@dataclass(frozen=True, slots=True)
class ExchangeBroker:
    trading: Trading

    @classmethod
    def of(cls, run: Run) -> ExchangeBroker:
        """Raises GatewayError when no orders can be placed there."""
        account = exchange_account(run.bot.account_id)
        # A run's bar_time moves on; only the exchange's first look at it counts.
        return cls(connect_trading(run.market, account, f"r{run.pk}", run.timeframe, run.bar_time, run_leverage(run)))

    def place(self, row: Order, cost: Decimal, fresh: bool) -> OrderInfo:
        if not fresh:
            # Whoever sent it may have been killed before the answer came.
            known = self.trading.fetch_order(row.client_id)
            if known:
                return known
        return self.trading.create_order(request_of(row, cost))

    def cancel(self, row: Order) -> OrderInfo | None:
        return self.trading.cancel_order(row.client_id)

    def add_margin(self, run: Run) -> Transfer:
        return self.trading.add_margin(live_margin.adding_id(run), run.allocation)

    def withdraw_margin(self, run: Run) -> Transfer:
        return self.trading.withdraw_margin(live_margin.returning_id(run))

    def withdrawn(self, rows: Sequence[Order]) -> list[OrderInfo]:
        on_book = {info.client_id for info in self.trading.fetch_open_orders()} if rows else set()
        missing = [row for row in rows if row.client_id not in on_book]
        found = [(row, self.trading.fetch_order(row.client_id)) for row in missing]
        return [info for row, info in found if info and info.status == "canceled" and info.filled == row.filled]

    def go_on(self, after: int, watch: Watch) -> Moment | None:
        return self.trading.go_on(after, watch)


def exchange_account(account_id: int) -> str:
    """Name of an account where its exchange is simulated."""
    return f"a{account_id}"


def run_leverage(run: Run) -> float:
    """What a run's position may be worth over its margin."""
    return limits.leverage_of(KINDS.get(run.kind), run.params)


def request_of(row: Order, cost: Decimal) -> OrderRequest:
    kind = _SENT_AS[row.type]
    price = None if kind == "market" else row.price
    return OrderRequest(
        row.client_id, kind, row.side, price, row.amount, cost, row.slot, reduce_only=row.tag == "close"
    )
