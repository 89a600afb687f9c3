"""Trading on the simulated exchange: its desks kept in tables of its own, so that it outlives our processes.

It trades on the candles that are stored of its markets. Every call is a transaction: what it answered, it knows, as a
real exchange does. So it must not be called within one of ours, which would take its memory back with our own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from django.db import DatabaseError, transaction

from markets import candles as store
from markets import funding
from markets import simulated_money as money
from markets.desk import OVER, Desk, Place, no_funding
from markets.desk_orders import Conditions, Faults, Resting
from markets.models import (
    Exchange,
    Market,
    SimulatedBalance,
    SimulatedDesk,
    SimulatedExecution,
    SimulatedOrder,
)
from markets.series import Candles, Row
from markets.surface import Execution, GatewayError, Moment, OrderInfo, OrderRequest, Transfer, Watch

HOUR_MS = 3_600_000  # no exchange settles funding more often
# Candles read ahead at a time.
_AHEAD = 500
# Earlier executions that a faulty exchange reports again.
_REPEATED = 3
_PLACE = ("time", "phase", "price", "since", "quiet", "number")


def faults_of(exchange: Exchange) -> Faults:
    """What is to go wrong. Raises GatewayError."""
    try:
        return Faults(**exchange.ccxt_config.get("faults", {}))
    except (AttributeError, TypeError) as error:
        raise GatewayError(f"faults in ccxt_config of {exchange.name}: {error}.", permanent=True) from None


class SimulatedTrading:
    """surface.Trading on one market for one customer. since: open time before the first candle it trades in, ms UTC.

    leverage: of a swap, whose margin is a wallet of its own.
    """

    def __init__(
        self,
        market: Market,
        account: str,
        label: str,
        timeframe: int,
        since: int,
        leverage: float = 1.0,
        slippage: float = 0.0,
    ) -> None:
        self.market, self.account, self.label = market, account, label
        self.timeframe, self.since = timeframe, since
        on_margin = market.type == "swap"
        self.wallet = money.wallet_of(account, label) if on_margin else account
        self.conditions = Conditions(
            base=market.base,
            quote=market.quote,
            tick=market.tick,
            lot=market.lot,
            min_amount=float(market.min_amount),
            min_cost=float(market.min_cost),
            maker=float(market.maker),
            taker=float(market.taker),
            slippage=slippage,
            leverage=leverage if on_margin else 0.0,
            maintenance=float(market.maintenance_rate),
            max_leverage=float(market.max_leverage),
        )
        self._ahead, self._read_from = Candles.empty(), 0

    def create_order(self, order: OrderRequest) -> OrderInfo:
        with self._open() as (row, faults):
            known = row.orders.filter(client_id=order.client_id).first()
            if known:
                return _info(known)
            desk = self._desk(row, faults)
            resting = desk.accept(order)
            SimulatedOrder.objects.create(desk=row, **_columns(resting))
            info = resting.info(self.market.lot)
        if faults.times_out(order.client_id):
            raise GatewayError("The simulated exchange did not answer in time.", permanent=False)
        return info

    def cancel_order(self, client_id: str) -> OrderInfo | None:
        with self._open() as (row, _):
            row.orders.filter(client_id=client_id, status="open").update(status="canceled")
            known = row.orders.filter(client_id=client_id).first()
            return _info(known) if known else None

    def fetch_order(self, client_id: str) -> OrderInfo | None:
        with self._open() as (row, _):
            known = row.orders.filter(client_id=client_id).first()
            return _info(known) if known else None

    def fetch_open_orders(self) -> list[OrderInfo]:
        with self._open() as (row, _):
            return [_info(order) for order in row.orders.filter(status="open").order_by("id")]

    def fetch_my_trades(self, after: int) -> list[Execution]:
        with self._open() as (row, _):
            return _executions(row.executions.filter(number__gt=after).order_by("number"))

    def fetch_balance(self) -> dict[str, Decimal]:
        self._reachable()
        return money.holdings(self.market.exchange, self.account)

    def add_margin(self, client_id: str, amount: Decimal) -> Transfer:
        def move(faults: Faults) -> Transfer:
            reason = "the exchange would not have it" if faults.rejects(client_id) else ""
            wanted = Transfer(client_id, amount, reason)
            return money.add_margin(self.market.exchange, self.account, self.label, wanted, self.market.quote)

        return self._moved(client_id, move)

    def withdraw_margin(self, client_id: str) -> Transfer:
        def move(_: Faults) -> Transfer:
            names = self.account, self.label, client_id, self.market.quote, self.market.base
            return money.withdraw_margin(self.market.exchange, *names)

        return self._moved(client_id, move)

    def fetch_transfer(self, client_id: str) -> Transfer | None:
        self._reachable()
        return money.fetch_transfer(self.market.exchange, self.account, client_id)

    def _moved(self, client_id: str, move: Callable[[Faults], Transfer]) -> Transfer:
        """Move money once, however often it is asked for."""
        if self.market.type != "swap":
            raise GatewayError(f"{self.market.symbol} is no swap and has no margin.", permanent=True)
        with self._open() as (_, faults):
            known = money.fetch_transfer(self.market.exchange, self.account, client_id)
            if known:
                return known
            done = move(faults)
        if faults.times_out(client_id):
            raise GatewayError("The simulated exchange did not answer in time.", permanent=False)
        return done

    def go_on(self, after: int, watch: Watch) -> Moment | None:
        with self._open() as (row, faults):
            if row.number > after:
                return self._again(row, faults)
            desk = self._desk(row, faults)
            before = dict(desk.balances)
            rates = self._rate_due if self.conditions.leverage else no_funding
            moment = desk.go_on(watch, self._next_candle, rates)
            self._keep(row, desk, moment, before)
            return self._again(row, faults) if moment else None

    @contextmanager
    def _open(self) -> Any:
        """(the desk's row, locked; what is to go wrong). Raises GatewayError."""
        try:
            faults = self._reachable()
            with transaction.atomic():
                place = {"timeframe": self.timeframe, "time": self.since, "phase": OVER}
                key = {"market": self.market, "account": self.account, "label": self.label}
                row, _ = SimulatedDesk.objects.select_for_update().get_or_create(**key, defaults=place)
                yield row, faults
        except DatabaseError as error:
            raise GatewayError(f"The simulated exchange failed: {error}", permanent=False) from error

    def _reachable(self) -> Faults:
        faults = faults_of(Exchange.objects.get(pk=self.market.exchange_id))
        if faults.down:
            raise GatewayError("The simulated exchange cannot be reached.", permanent=False)
        return faults

    def _desk(self, row: SimulatedDesk, faults: Faults) -> Desk:
        held = self._locked()
        if self.market.base not in held:
            # While this waited for the wallet's money, another desk may have bought the first of it.
            held = self._locked()
        orders = {order.client_id: _resting(order) for order in row.orders.filter(status="open")}
        place = Place(**{name: getattr(row, name) for name in _PLACE})
        return Desk(self.conditions, place, held, orders, last_id=row.last_id, faults=faults)

    def _locked(self) -> dict[str, Decimal]:
        rows = SimulatedBalance.objects.filter(exchange=self.market.exchange_id, account=self.wallet)
        return dict(rows.select_for_update().order_by("currency").values_list("currency", "amount"))

    def _keep(self, row: SimulatedDesk, desk: Desk, moment: Moment | None, before: dict[str, Decimal]) -> None:
        for name in _PLACE:
            setattr(row, name, getattr(desk.place, name))
        row.last_id = desk.last_id
        if moment:
            ended = moment.order.client_id if moment.order else ""
            row.told = {
                "kind": moment.kind, "time": moment.time, "price": moment.price, "rank": moment.rank,
                "quiet": moment.quiet, "ended": ended, "executions": len(moment.executions), "rate": moment.rate,
                "paid": str(moment.paid),
            }  # fmt: skip
        row.save()
        for execution in desk.executions:
            SimulatedExecution.objects.create(desk=row, number=execution.id, **_told(execution))
        touched = {execution.client_id for execution in desk.executions} & desk.orders.keys()
        # Those that are over: ended by the exchange, all of them when it took the position over.
        touched |= {client_id for client_id, order in desk.orders.items() if order.status != "open"}
        for client_id in touched:
            row.orders.filter(client_id=client_id).update(**_columns(desk.orders[client_id]))
        for currency in desk.balances:
            if desk.balances[currency] != before.get(currency):
                self._set_balance(currency, desk.balances[currency])

    def _set_balance(self, currency: str, amount: Decimal) -> None:
        SimulatedBalance.objects.update_or_create(
            exchange_id=self.market.exchange_id,
            account=self.wallet,
            currency=currency,
            defaults={"amount": amount},
        )

    def _again(self, row: SimulatedDesk, faults: Faults) -> Moment:
        """The last moment, as it is told to whoever asks."""
        told = row.told
        fresh = told["executions"]
        first = row.last_id - fresh - (_REPEATED if faults.repeat and fresh else 0)
        executions = _executions(row.executions.filter(number__gt=first).order_by("number")) if fresh else []
        if faults.repeat:
            executions += executions
        order = _info(row.orders.get(client_id=told["ended"])) if told["ended"] else None
        return Moment(
            row.number, told["kind"], told["time"], told["price"], told["rank"], told["quiet"], executions, order,
            # Moments of earlier versions have neither.
            told.get("rate", 0.0), Decimal(told.get("paid", "0")),
        )  # fmt: skip

    def _rate_due(self, after: int, until: int) -> float | None:
        """See desk.RateDue; asked for at the begin of every candle."""
        if after // HOUR_MS == until // HOUR_MS:
            return None
        _, rates = funding.load(self.market.pk, after, until)
        if not len(rates):
            return None
        due = 0.0
        for rate in rates.tolist():  # one after the other, as every sum() does but the newest
            due += rate
        return due

    def _next_candle(self, after: int) -> Row | None:
        """The first stored candle that opens after a time, ms UTC."""
        ahead = self._ahead
        index = int(ahead.time.searchsorted(after, side="right"))
        if index == len(ahead) or after < self._read_from:
            ahead, index = self._read(after), 0
        return ahead.row(index) if index < len(ahead) else None

    def _read(self, after: int) -> Candles:
        start = after + 1
        end = start + _AHEAD * self.timeframe * 1000
        ahead = store.load(self.market.pk, self.timeframe, start, end)
        if not len(ahead):
            # Beyond a hole that is longer than what is read ahead there may be more.
            ahead = store.load(self.market.pk, self.timeframe, start)[:_AHEAD]
        self._ahead, self._read_from = ahead, after
        return ahead


def _resting(row: SimulatedOrder) -> Resting:
    request = OrderRequest(row.client_id, row.type, row.side, row.price, row.amount, row.cost, row.rank)
    return Resting(request, float(row.price or 0), float(row.amount), row.taker, float(row.filled))


def _columns(order: Resting) -> dict[str, Any]:
    columns = order.request._asdict()
    del columns["reduce_only"]  # which counts as the order is accepted
    amount, filled = Decimal(repr(order.amount)), Decimal(repr(order.filled))
    state = {"taker": order.taker, "status": order.status, "reason": order.reason[:200]}
    return columns | state | {"amount": amount, "filled": filled}


def _info(row: SimulatedOrder) -> OrderInfo:
    return OrderInfo(row.client_id, row.status, row.amount, row.filled, row.reason)


def _told(execution: Execution) -> dict[str, Any]:
    columns = execution._asdict()
    del columns["id"]
    return columns


def _executions(rows: Iterable[SimulatedExecution]) -> list[Execution]:
    return [Execution(r.number, r.client_id, r.time, r.price, r.amount, r.fee, r.left) for r in rows]
