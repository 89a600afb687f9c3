"""Trades, orders, positions and events of one owner: which rows the address asks for, and what index serves them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.http import QueryDict

from bots.models import Event, Mode, Order, Position, Side
from dashboard import parameters
from dashboard.keyset import Listing, Where, between, equal
from dashboard.scope import Owner, Scope, chosen, scope

# So many rows are read and sorted faster than anybody notices; more are read in the order of an index.
FEW_TRADES = 20_000
# So many bots are merged, each through its own stretch of an index.
FEW_BOTS = 100
ORDER_STATES: dict[str, list[str]] = {
    "working": [Order.Status.OPEN, Order.Status.PENDING, Order.Status.CANCELING, Order.Status.WAITING],
    "closed": [Order.Status.CLOSED],
    "canceled": [Order.Status.CANCELED],
    "rejected": [Order.Status.REJECTED],
    "all": list(Order.Status.values),
}
LEVELS: dict[str, list[str]] = {
    "attention": [Event.Level.WARNING, Event.Level.ERROR],
    "error": [Event.Level.ERROR],
    "warning": [Event.Level.WARNING],
    "info": [Event.Level.INFO],
}
# An event is recorded before its transaction is committed: ids and times may be that far out of step.
_OUT_OF_STEP = "interval '10 minutes'"


def trade_filters(query: QueryDict) -> dict[str, Any]:
    return chosen(query) | {"side": parameters.choice(query, "side", Side.values, "")} | _times(query)


def order_filters(query: QueryDict) -> dict[str, Any]:
    return trade_filters(query) | {"state": parameters.choice(query, "state", ORDER_STATES, "working")}


def position_filters(query: QueryDict) -> dict[str, Any]:
    side = parameters.choice(query, "side", ("long", "short"), "")
    state = parameters.choice(query, "state", Position.Status.values, Position.Status.OPEN)
    return chosen(query) | {"side": side, "state": state} | _times(query)


def event_filters(query: QueryDict) -> dict[str, Any]:
    level = parameters.choice(query, "level", LEVELS, "")
    return chosen(query) | {"level": level, "code": parameters.text(query, "code", 40)} | _times(query)


def trades(query: QueryDict, owner: Owner) -> tuple[Listing, int | None]:
    """The listing, and how many rows it has where that is known without counting them."""
    wanted, found = trade_filters(query), scope(query, owner)
    where = [*_own(owner, wanted), *between("t.time", wanted["from"], wanted["to"])]
    branches: Mapping[str, Sequence[Any]] = {"mode": Mode.values}  # trade_owner_mode_time
    if found.runs is not None:
        where.append(("t.run_id = ANY(%s)", (found.runs,)))
        if found.trades <= FEW_TRADES:
            branches = {}  # trade_number_once
        elif len(found.bots) <= FEW_BOTS:
            branches = {"bot_id": found.bots}  # trade_bot_time
    known = None if wanted["side"] or wanted["from"] or wanted["to"] else found.trades
    return Listing("bots_trade", ("time", "id"), tuple(where), branches), known


def orders(query: QueryDict, owner: Owner) -> tuple[Listing, None]:
    wanted, found = order_filters(query), scope(query, owner)
    where = [*_own(owner, wanted), *between("t.created_at", wanted["from"], wanted["to"])]
    # order_owner_status, order_bot_status
    branches: dict[str, Sequence[Any]] = {**_few_bots(found), "status": ORDER_STATES[wanted["state"]]}
    if found.runs is not None:
        where.append(("t.run_id = ANY(%s)", (found.runs,)))
    return Listing("bots_order", ("created_at", "id"), tuple(where), branches), None


def positions(query: QueryDict, owner: Owner) -> tuple[Listing, None]:
    wanted, found = position_filters(query), scope(query, owner)
    where = [*_own(owner, wanted), *between("t.opened_at", wanted["from"], wanted["to"])]
    where.append(("t.status = %s", (wanted["state"],)))  # position_owner_opened, position_bot_status
    if found.runs is not None:
        where.append(("t.run_id = ANY(%s)", (found.runs,)))
    return Listing("bots_position", ("opened_at", "id"), tuple(where), _few_bots(found)), None


def events(query: QueryDict, owner: Owner) -> tuple[Listing, None]:
    """Newest recorded first. Those of no bot, as deposits are, belong to no run: a filter on runs leaves them out."""
    wanted, found = event_filters(query), scope(query, owner)
    where = [*_own(owner, wanted), *between("t.recorded_at", wanted["from"], wanted["to"]), *_ids_between(wanted)]
    if wanted["level"]:
        # event_owner_attention; written as the index has it, or the planner does not see that it serves.
        levels = ", ".join(f"'{level}'" for level in LEVELS[wanted["level"]])
        where.append((f"t.level IN ({levels})", ()))
    if wanted["code"]:
        where.append(("t.code = %s", (wanted["code"],)))  # event_owner_code
    if found.runs is not None and not _few_bots(found):
        where.append(("t.bot_id = ANY(%s)", (found.bots,)))
    return Listing("bots_event", ("id",), tuple(where), _few_bots(found)), None  # event_owner_id, event_bot_id


def of_mode(mode: str | None) -> list[Where]:
    """Of rows that belong to runs and do not say their mode themselves."""
    return [("t.run_id IN (SELECT id FROM bots_run WHERE mode = %s)", (mode,))] if mode else []


def _own(owner: Owner, wanted: dict[str, Any]) -> list[Where]:
    return equal(owner_id=owner.pk, side=wanted.get("side") or None)


def _few_bots(found: Scope) -> dict[str, Sequence[Any]]:
    return {"bot_id": found.bots} if found.runs is not None and 0 < len(found.bots) <= FEW_BOTS else {}


def _times(query: QueryDict) -> dict[str, datetime | None]:
    return {"from": parameters.time(query, "from"), "to": parameters.time(query, "to")}


def _ids_between(wanted: dict[str, Any]) -> list[Where]:
    """Bounds of ids for bounds of time, through event_recorded: without them a page would read up to the range."""
    nearest = "(SELECT e.id FROM bots_event AS e WHERE e.recorded_at {} ORDER BY e.recorded_at {} LIMIT 1)"
    since = nearest.format(f">= %s - {_OUT_OF_STEP}", "ASC")
    until = nearest.format(f"<= %s + {_OUT_OF_STEP}", "DESC")
    found: list[Where] = []
    if wanted["from"]:
        found.append((f"t.id >= {since}", (wanted["from"],)))
    if wanted["to"]:
        found.append((f"t.id <= {until}", (wanted["to"],)))
    return found
