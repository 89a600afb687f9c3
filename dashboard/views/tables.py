from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from bots.kinds import KINDS
from bots.models import Event, Mode, Order, Position
from dashboard import exports, formats, listings, owner_rows, row_columns, rows
from dashboard.keyset import Listing, page
from dashboard.scope import Owner
from dashboard.views.fragments import varies, wants_fragment
from dashboard.views.kept import kept


class Table(NamedTuple):
    """One long table of an owner's. choices: filter -> (value, label) beside those that all tables have."""

    title: str
    noun: str
    queryset: Callable[[], QuerySet[Any]]
    listing: Callable[[QueryDict, Owner], tuple[Listing, int | None]]
    filters: Callable[[QueryDict], dict[str, Any]]
    rows: Callable[..., list[Any]]
    choices: dict[str, list[tuple[str, str]]]
    nothing: str


_SIDES = [("", "Buys and sells"), ("buy", "Buys"), ("sell", "Sells")]
TABLES = {
    "positions": Table(
        "Positions", "position", row_columns.positions, listings.positions,
        listings.position_filters, owner_rows.position_rows,
        {"state": [("open", "Open"), ("kept", "Kept by the account"), ("closed", "Closed"), ("dismissed", "Dismissed")],
         "side": [("", "Long and short"), ("long", "Long"), ("short", "Short")]},
        "No bot holds anything. A position opens with the first order that is filled.",
    ),
    "trades": Table(
        "Trades", "trade", row_columns.trades, listings.trades,
        listings.trade_filters, rows.trade_rows, {"side": _SIDES},
        "They appear here the moment an order is filled.",
    ),
    "orders": Table(
        "Orders", "order", row_columns.orders, listings.orders,
        listings.order_filters, owner_rows.order_rows,
        {"state": [(name, formats.words(name)) for name in listings.ORDER_STATES], "side": _SIDES},
        "No order rests at any exchange. A bot that is running places them.",
    ),
    "activity": Table(
        "Activity", "event", row_columns.events, listings.events,
        listings.event_filters, rows.event_rows,
        {"level": [("", "Any level"), *((name, formats.words(name)) for name in listings.LEVELS)]},
        "What bots and people do is told here.",
    ),
}  # fmt: skip
_MODES = [("", "Any mode"), *((mode, formats.words(mode)) for mode in Mode.values)]
_KINDS = [("", "Any kind"), *((kind.slug, kind.label) for kind in KINDS.values())]
SIZES = (25, 100, 250, 1000)
_ORDERS = [("", "Newest first"), ("oldest", "Oldest first")]


@require_GET
@varies
@kept()
def table(request: HttpRequest, name: str) -> HttpResponse:
    """One page of a table, as the address filters it: two queries, wherever the page lies."""
    now, chosen = timezone.now(), TABLES[name]
    listing, known = chosen.listing(request.GET, request.user)
    shown = page(request.GET, listing, chosen.queryset)
    filters = chosen.filters(request.GET)
    context: dict[str, Any] = {
        "nav": name,
        "name": name,
        "table": chosen,
        "page": shown,
        "rows": chosen.rows(shown.rows, now),
        "known": formats.number(known, 0) if known is not None else "",
        "one": known == 1,
        "filters": filters,
        "sizes": SIZES,
        "selects": _selects(chosen, filters, "" if shown.newest_first else "oldest"),
        "times": [("From", "from", _local(filters["from"])), ("Until", "to", _local(filters["to"]))],
        "filtered": any(request.GET.get(one) for one in filters),
        "moved": any(request.GET.get(one) for one in ("after", "before")),
        "simulated": any(_mode(row) == Mode.PAPER for row in shown.rows),
        "live_topics": f"user:{request.user.pk}",
    }
    return render(request, f"dashboard/{'_' if wants_fragment(request) else ''}table.html", context)


def _selects(chosen: Table, filters: dict[str, Any], order: str) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """(name, chosen value, options) of each list to choose from."""
    offered = {**chosen.choices, "kind": _KINDS, "mode": _MODES}
    return [*((name, filters[name], options) for name, options in offered.items()), ("order", order, _ORDERS)]


def _mode(row: Any) -> str:
    """paper or live, of a trade or of the account that an order or position is of; events tell of both."""
    if isinstance(row, Event):
        return ""
    return str(row.bot.account.mode if isinstance(row, Order | Position) else row.mode)


def _local(time: Any) -> str:
    """A time as the browser's field for it wants it."""
    return f"{time:%Y-%m-%dT%H:%M}" if time else ""


@require_GET
def export(request: HttpRequest, name: str, form: str) -> StreamingHttpResponse:
    """All rows of a table that the address asks for, as a file; a page's size and place do not matter."""
    listing, _ = TABLES[name].listing(request.GET, request.user)
    response = StreamingHttpResponse(exports.lines(name, listing, form), content_type=exports.FORMS[form])
    response["Content-Disposition"] = f'attachment; filename="{name}-{timezone.now():%Y-%m-%d}.{form}"'
    response["Cache-Control"] = "private, no-store"
    return response
