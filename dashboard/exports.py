"""Tables as files of any length: PostgreSQL writes the lines, and they pass through a few at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from django.db import connection

from dashboard.keyset import Listing

FORMS = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}
CHUNK = 65_536
# A text that begins so is a formula to a spreadsheet, in some languages with the wide signs too.
_FORMULA = r"'^[=+@\t\r\n＝＋－＠-]'"
# With these as quote and delimiter nothing is ever quoted: JSON writes control characters as escapes.
_BARE = r"DELIMITER E'\x02', QUOTE E'\x01', ESCAPE E'\x01'"


class Column(NamedTuple):
    """sql: an expression over t (the table), b (its bot), m (its market), x (the exchange).

    text: typed by people or told by an exchange. A number that is none is exact, as many digits as it has.
    """

    name: str
    sql: str
    text: bool = False


def time(name: str, column: str) -> Column:
    return Column(name, f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""")


def number(name: str, expression: str) -> Column:
    return Column(name, f"trim_scale({expression})::text")


_BOT = (
    Column("bot", "b.name", text=True),
    Column("market", "m.symbol", text=True),
    Column("exchange", "x.slug", text=True),
)
COLUMNS: dict[str, tuple[Column, ...]] = {
    "trades": (
        time("time", "t.time"), *_BOT, Column("mode", "t.mode"), Column("side", "t.side"),
        number("price", "t.price"), number("amount", "t.amount"), number("value", "t.price * t.amount"),
        Column("currency", "m.quote", text=True), number("fee", "t.fee"),
        Column("fee_currency", "t.fee_currency", text=True), number("realized", "t.realized - t.fee"),
        Column("tag", "t.tag", text=True), Column("order", "t.client_id"), Column("id", "t.id::text"),
    ),
    "orders": (
        time("created", "t.created_at"), time("updated", "t.updated_at"), *_BOT, Column("side", "t.side"),
        Column("type", "t.type"), Column("status", "t.status"), number("price", "t.price"),
        number("amount", "t.amount"), number("filled", "t.filled"), Column("currency", "m.quote", text=True),
        Column("tag", "t.tag", text=True), Column("order", "t.client_id"), Column("id", "t.id::text"),
    ),
    "positions": (
        time("opened", "t.opened_at"), time("closed", "t.closed_at"), *_BOT, Column("side", "t.side"),
        Column("status", "t.status"), number("amount", "t.amount"), number("average_price", "t.average_price"),
        Column("last_price", "m.last::text"), number("realized", "t.realized - t.fees"),
        number("fees", "t.fees"), Column("currency", "m.quote", text=True), Column("id", "t.id::text"),
    ),
    "activity": (
        time("recorded", "t.recorded_at"), time("time", "t.time"), Column("bot", "b.name", text=True),
        Column("level", "t.level"), Column("code", "t.code"), Column("message", "t.message", text=True),
        Column("id", "t.id::text"),
    ),
}  # fmt: skip


def lines(name: str, listing: Listing, form: str) -> Iterator[bytes]:
    """The file in chunks, rows in the table's order, newest first. Memory: one chunk, however many rows there are."""
    condition, values = listing.all()
    order = ", ".join(f"t.{column} DESC" for column in listing.key)
    options, selected = _csv(COLUMNS[name]) if form == "csv" else _ndjson(COLUMNS[name])
    statement = (
        f"COPY (SELECT {selected} FROM {listing.table} AS t {_joins(name)} WHERE {condition} ORDER BY {order}) "
        f"TO STDOUT (FORMAT CSV, {options})"
    )
    waiting = bytearray()
    with connection.cursor() as cursor, cursor.copy(statement, values) as copy:
        for line in copy:
            waiting += line
            if len(waiting) >= CHUNK:
                yield bytes(waiting)
                waiting.clear()
    yield bytes(waiting)


def _csv(columns: tuple[Column, ...]) -> tuple[str, str]:
    return "HEADER", ", ".join(f'{_harmless(column)} AS "{column.name}"' for column in columns)


def _ndjson(columns: tuple[Column, ...]) -> tuple[str, str]:
    """Numbers as texts: most readers of JSON would round them."""
    pairs = ", ".join(f"'{column.name}', {column.sql}" for column in columns)
    return _BARE, f"json_build_object({pairs})"


def _harmless(column: Column) -> str:
    """The column for a spreadsheet: a text that it would compute is marked as text."""
    if not column.text:
        return column.sql
    return f"CASE WHEN {column.sql} ~ {_FORMULA} THEN '''' || {column.sql} ELSE {column.sql} END"


def _joins(name: str) -> str:
    if name == "activity":
        return "LEFT JOIN bots_bot AS b ON b.id = t.bot_id"
    return (
        "JOIN bots_bot AS b ON b.id = t.bot_id JOIN markets_market AS m ON m.id = t.market_id "
        "JOIN markets_exchange AS x ON x.id = m.exchange_id"
    )
