"""What backtest and paper_replay share: the same arguments, the same candles, the same document."""

from __future__ import annotations

import json
import time
from argparse import ArgumentTypeError
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy as np
from django.core.management.base import CommandParser

from bots import services
from bots.book import Book
from bots.kinds import KINDS
from bots.management.commands._report import figures, lines
from bots.models import FundingPayment, Side
from bots.performance import Curve, Trades
from bots.records import ExactPayment, ExactTrade, in_order, write_trades
from markets import candles as store
from markets.models import Market
from markets.series import TIMEFRAME_NAMES, Candles, timeframe_seconds
from orchestrator.commands import SentenceCommand, bad_input


def kind(text: str) -> str:
    if text not in KINDS:
        raise ArgumentTypeError(f"must be one of {', '.join(KINDS)}, not {text!r}.")
    return text


def timeframe(text: str) -> int:
    """Name of a timeframe -> seconds."""
    try:
        return timeframe_seconds(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error).removeprefix("timeframe ")) from None


def moment(text: str) -> int:
    """ISO date or time, UTC when it names no zone -> ms UTC."""
    try:
        parsed = datetime.fromisoformat(text)
        in_utc = parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # the latter beyond the years 1 and 9999
        raise ArgumentTypeError(
            f"must be a date or time such as 2024-08-01 or 2024-08-01T12:00, not {text!r}."
        ) from None
    return int(in_utc.timestamp() * 1000)


def iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="minutes")


def money(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise ArgumentTypeError(f"must be a number above 0, not {text!r}.") from None
    if not amount.is_finite() or not 0 < amount < Decimal("1e15"):
        raise ArgumentTypeError(f"must be above 0 and below 1e15, not {text}.")
    return amount


def parameters(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:  # also numbers of thousands of digits, and endless brackets
        raise ArgumentTypeError(f"must be JSON such as '{{\"lower\": 100}}': {error}.") from None
    if not isinstance(found, dict):
        raise ArgumentTypeError(f"must be a JSON object such as '{{\"lower\": 100}}', not {text}.")
    return found


def stored_market(exchange: str, symbol: str) -> Market:
    """Raises CommandError."""
    market = Market.objects.filter(exchange__slug=exchange, symbol=symbol).first()
    if market is None:
        raise bad_input(f"market must be one that is stored, not {symbol} on {exchange}: import or sync it first.")
    return market


@dataclass(frozen=True, slots=True)
class Asked:
    """The arguments, looked up."""

    kind: str
    params: dict[str, Any]
    market: Market
    timeframe: int
    capital: Decimal
    candles: Candles
    seconds_load: float

    def check(self, params: dict[str, Any] | None = None) -> None:
        """Parameters, its own unless others are given. Raises ParamsError."""
        lowest, chosen = float(self.candles.low.min()), self.params if params is None else params
        services.validate(self.kind, chosen, self.market, self.timeframe, self.capital, lowest=lowest)


class SeriesCommand(SentenceCommand):
    """A command that runs a kind over stored candles."""

    writes_trades = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", type=kind, metavar="KIND", help=f"One of {', '.join(KINDS)}.")
        parser.add_argument("--exchange", required=True, metavar="SLUG")
        parser.add_argument("--market", required=True, metavar="SYMBOL", help="For example BTC/USDT.")
        parser.add_argument("--timeframe", required=True, type=timeframe, metavar="TF", help="1m, 5m … 1d.")
        parser.add_argument("--start", type=moment, metavar="ISO", help="First candle; default: the first stored.")
        parser.add_argument("--end", type=moment, metavar="ISO", help="Before this time; default: the last stored.")
        parser.add_argument("--params", type=parameters, default={}, metavar="JSON")
        parser.add_argument("--capital", type=money, default=Decimal(10_000), metavar="AMOUNT", help="In quote.")
        if self.writes_trades:
            parser.add_argument("--trades", type=Path, metavar="FILE.csv", help="Write the trades there.")
        parser.add_argument("--json", action="store_true", help="Print one JSON document.")

    def asked(self, options: dict[str, Any]) -> Asked:
        """Raises CommandError."""
        began = time.perf_counter()
        market = stored_market(options["exchange"], options["market"])
        candles = self._candles(market, options["timeframe"], options["start"], options["end"])
        if options.get("trades") and not options["trades"].absolute().parent.is_dir():
            # Said before the work, not after it.
            raise bad_input(f"trades must be a file in a folder that exists, not {options['trades']}.")
        seconds = time.perf_counter() - began
        return Asked(
            options["kind"], options["params"], market, options["timeframe"], options["capital"], candles, seconds
        )

    def _candles(self, market: Market, seconds: int, start: int | None, end: int | None) -> Candles:
        if start is not None and end is not None and start >= end:
            raise bad_input(f"start must be before end, not {iso(start)} with end {iso(end)}.")
        candles = store.load(market.pk, seconds, start, end)
        if not len(candles):
            raise bad_input(
                f"no {TIMEFRAME_NAMES[seconds]} candles of {market.symbol} are stored in that range: "
                "import or sync them."
            )
        return candles

    def report(
        self,
        asked: Asked,
        options: dict[str, Any],
        trades: list[Any],
        payments: list[Any],
        engine: float,
        began: float,
        bounds: dict[str, float] | None = None,
    ) -> None:
        """Write the trades file and print the document.

        trades: ExactTrade or Trade rows, oldest first; payments: ExactPayment or FundingPayment rows; bounds: of the
        final equity, by name.
        """
        if options["trades"]:
            self._write_file(options["trades"], trades, asked.market)
        book, found = _figures(asked, trades, payments)
        document = {
            "bars": len(asked.candles),
            "trades": len(trades),
            "final_equity": float(book.equity(Decimal(repr(float(asked.candles.close[-1]))))),
            **(bounds or {}),
            "metrics": found,
            "seconds_load": round(asked.seconds_load, 6),
            "seconds_engine": round(engine, 6),
            "seconds_total": round(time.perf_counter() - began, 6),
        }
        if options["json"]:
            self.stdout.write(json.dumps(document, allow_nan=False))
        else:
            self.stdout.write("\n".join(lines(document, asked.market.quote)))

    def _write_file(self, path: Path, trades: Iterable[Any], market: Market) -> None:
        try:
            with path.open("w", newline="") as file:
                write_trades(file, trades, market)
        except OSError as error:
            raise bad_input(f"trades cannot be written to {path}: {error.strerror}.") from None


def _figures(asked: Asked, trades: list[Any], payments: list[Any]) -> tuple[Book, dict[str, Any]]:
    """The book and the metrics, from exact rows, so that both commands compute them from the same figures."""
    candles, book, realized, cash, position = asked.candles, Book(asked.capital), [], [asked.capital], [Decimal(0)]
    steps = in_order(trades, payments)
    for step in steps:
        if isinstance(step, ExactPayment | FundingPayment):
            book.pay(step.paid)
        else:
            realized.append(float(book.apply(_sign(step), step.price, step.amount, step.fee)))
        cash.append(book.cash)
        position.append(book.position)
    seen = np.searchsorted(_times(steps), candles.time, side="right")
    equity = np.array(cash, np.float64)[seen] + np.array(position, np.float64)[seen] * candles.close
    executed = Trades(
        time=_times(trades),
        change=np.array([float(_sign(trade) * trade.amount) for trade in trades]),
        cost=np.array([float(trade.price * trade.amount) for trade in trades]),
        fee=np.array([float(trade.fee) for trade in trades]),
        realized=np.array(realized),
        order=np.unique([_order_of(trade) for trade in trades], return_inverse=True)[1],
    )
    found = figures(Curve.of(candles, equity, float(asked.capital), asked.timeframe), executed)
    return book, found | {"funding": float(book.funding)}


def _times(rows: list[Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array([int(row.time.timestamp() * 1000) for row in rows], np.int64)


def _sign(trade: Any) -> int:
    return 1 if trade.side == Side.BUY else -1


def _order_of(trade: Any) -> str:
    """Identity of the order that a trade executed."""
    return str(trade.sequence) if isinstance(trade, ExactTrade) else str(trade.client_id)
