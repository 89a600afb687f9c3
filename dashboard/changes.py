"""What was changed about a bot, and what a change would do, as the templates print it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.utils.safestring import SafeString

from bots.models import Bot, BotChange
from bots.services import Change
from bots.services.changing import OrderKey
from dashboard import formats, rows
from markets.models import Market
from markets.series import TIMEFRAME_NAMES


class ChangeRow(NamedTuple):
    time: SafeString
    by: str
    note: str
    changes: list[tuple[str, str, str]]  # setting, before, after


def change_rows(changes: Iterable[BotChange], now: datetime) -> list[ChangeRow]:
    return [ChangeRow(formats.when(one.time, now), one.by, one.note, told(one.changes)) for one in changes]


def told(changes: dict[str, list[Any]]) -> list[tuple[str, str, str]]:
    """(setting, before, after) in words."""
    return [(formats.words(name), *(_text(name, value) for value in pair)) for name, pair in changes.items()]  # type: ignore[misc]


def _text(name: str, value: Any) -> str:
    shown = TIMEFRAME_NAMES.get(value, value) if name == "timeframe" else value
    return "default" if shown is None else rows.details({name: shown})[0][1]


class OrderLine(NamedTuple):
    fate: str
    side: str
    type: str
    price: str
    amount: str


def order_lines(change: Change, market: Market) -> list[OrderLine]:
    """Every order that works before or after, dearest first."""
    parts = (("kept", change.kept), ("cancelled", change.canceled), ("placed", change.placed))
    keys = [(fate, key) for fate, part in parts for key in part]
    keys.sort(key=lambda pair: pair[1][2] or Decimal(0), reverse=True)
    return [_line(fate, key, market) for fate, key in keys]


def _line(fate: str, key: OrderKey, market: Market) -> OrderLine:
    side, kind, price, amount = key
    shown = "market" if price is None else formats.price(price, market.tick)
    return OrderLine(fate, side, kind, shown, formats.amount(amount, market.lot))


def consequences(change: Change, bot: Bot) -> list[str]:
    """What will happen to the orders, the position and the money, in sentences."""
    market = bot.market
    base, quote = market.base, market.quote

    def amount(value: Decimal) -> str:
        return f"{formats.amount(abs(value), market.lot)} {base}"

    counts = (len(change.kept), len(change.canceled), len(change.placed))
    found = ["Orders: {} kept, {} cancelled, {} placed.".format(*counts)]
    price = f"{formats.price(change.price, market.tick)} {quote}"
    if change.carried:
        found.append(f"Position: {amount(change.carried)} are taken over at {price}, without a trade or a fee.")
    if change.traded:
        verb = "bought" if change.traded > 0 else "sold"
        fee = f"{formats.number(change.fee, 4)} {quote}"
        found.append(f"{amount(change.traded)} are {verb} at about {price}, for a fee of {fee}.")
    if change.left:
        found.append(f"{amount(change.left)} are kept in the account: the new settings do not begin with them.")
    moved = change.returned - change.given
    verb = "comes back to" if moved > 0 else "is taken out of"
    money = f"{formats.money(change.returned, quote)} {quote} come back, {formats.money(change.given, quote)} {quote}"
    rest = f": {formats.money(abs(moved), quote)} {quote} {verb} the account {bot.account.name}" if moved else ""
    found.append(f"Funds: {money} are given to the new run{rest}.")
    return found
