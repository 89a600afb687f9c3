"""What a page follows from, read off in one query before anything is rendered.

PostgreSQL marks every version of a row with the transaction that wrote it (xmin) and where it lies (ctid). The marks of
all rows that a page shows, in one number, change with any write to any of them: whoever writes has nothing to tell,
nothing can be forgotten, and a replica answers for what it holds itself. The ids of the latest events are taken one by
one, as an id may become visible after a higher one.

What follows from the clock alone (ages, the start of a day, who is late) or from rows that no page counts on (what has
moved in markets where the owner has nothing) is as old as MINUTE at most.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connections, router

from bots.models import Bot

MINUTE = 60
_EVENTS = 20


def _marks(rows: str) -> str:
    """One number of the row versions of `rows`, "FROM … one …"."""
    return f"(SELECT bit_xor(hashtidextended(one.ctid, one.xmin::text::int8)) {rows})"


def _latest_events(column: str) -> str:
    return f"ARRAY(SELECT id FROM bots_event WHERE {column} ORDER BY id DESC LIMIT {_EVENTS})"


_OWN_BOTS = "SELECT id FROM bots_bot WHERE owner_id = %(owner)s"
_OWN_BOT = "SELECT id FROM bots_bot WHERE id = %(id)s AND owner_id = %(owner)s"
_BOT_MARKET = "SELECT market_id FROM bots_bot WHERE id = %(id)s AND owner_id = %(owner)s"
# Every change that the engine makes to trades, orders, positions and equity writes their run too, in one transaction.
_ALIVE = (
    "FROM bots_run one JOIN bots_bot b ON b.id = one.bot_id WHERE b.owner_id = %(owner)s AND one.status <> 'stopped'"
)
_LIVE_ORDERS = (
    "FROM bots_order one JOIN bots_run r ON r.id = one.run_id JOIN bots_bot b ON b.id = r.bot_id "
    "WHERE b.owner_id = %(owner)s AND r.mode = 'live' AND r.status <> 'stopped' AND one.status <> 'closed'"
)
_HALTS = _marks("FROM bots_halt one")
_ACCOUNTS = _marks("FROM bots_account one WHERE one.owner_id = %(owner)s")
_BOTS = _marks("FROM bots_bot one WHERE one.owner_id = %(owner)s")
_RUNS = _marks(_ALIVE)
_PRICES = _marks(
    "FROM markets_market one WHERE one.id IN (SELECT p.market_id FROM bots_position p "
    "WHERE p.owner_id = %(owner)s AND p.status = 'open')"
)
_WATCHED = _marks("FROM dashboard_watched one WHERE one.owner_id = %(owner)s")
_OWN_EVENTS = _latest_events("owner_id = %(owner)s")

# Page -> what its version is made of. Parameters: owner; id of the bot or market that a page is about.
_PARTS: dict[str, tuple[str, ...]] = {
    "overview": (_OWN_EVENTS, _BOTS, _RUNS, _PRICES, _ACCOUNTS, _HALTS),
    "bots": (_OWN_EVENTS, _BOTS, _RUNS, _ACCOUNTS, _HALTS),
    "positions": (_OWN_EVENTS, _BOTS, _RUNS, _PRICES, _ACCOUNTS),
    "trades": (_OWN_EVENTS, _BOTS, _RUNS),
    "orders": (_OWN_EVENTS, _BOTS, _RUNS, _marks(_LIVE_ORDERS)),
    "activity": (_OWN_EVENTS, _BOTS),
    "bot": (
        _latest_events(f"bot_id = ({_OWN_BOT})"),
        _marks(f"FROM bots_bot one WHERE one.id = ({_OWN_BOT})"),
        _marks(f"FROM bots_run one WHERE one.bot_id = ({_OWN_BOT})"),
        _marks(f"FROM bots_order one WHERE one.bot_id = ({_OWN_BOT}) AND one.status = 'open'"),
        _marks(f"FROM bots_position one WHERE one.bot_id = ({_OWN_BOT}) AND one.status = 'open'"),
        _marks(f"FROM bots_botchange one WHERE one.bot_id = ({_OWN_BOT})"),
        _marks(f"FROM markets_market one WHERE one.id = ({_BOT_MARKET})"),
        _marks(f"FROM markets_feed one WHERE one.market_id = ({_BOT_MARKET})"),
        _marks("FROM markets_exchange one"),
        _ACCOUNTS,
        _HALTS,
    ),
    "market": (
        _marks("FROM markets_market one WHERE one.id = %(id)s"),
        _marks("FROM markets_feed one WHERE one.market_id = %(id)s"),
        _marks("FROM markets_quotes one WHERE one.market_id = %(id)s"),
        _marks("FROM markets_candlegap one WHERE one.market_id = %(id)s"),
        _marks("FROM markets_feednotice one WHERE one.market_id = %(id)s AND one.resolved_at IS NULL"),
        _marks("FROM markets_exchange one"),
        _marks("FROM bots_bot one WHERE one.owner_id = %(owner)s AND one.market_id = %(id)s"),
        _marks(f"{_ALIVE} AND one.market_id = %(id)s"),
        _ACCOUNTS,
        _HALTS,
    ),
    "markets": (
        _marks("FROM markets_market one"),
        _marks("FROM markets_quotes one"),
        _marks("FROM markets_feed one"),
        _marks("FROM markets_exchange one"),
        _BOTS,
        _WATCHED,
    ),
    "backtests": (_marks("FROM bots_backtest one WHERE one.owner_id = %(owner)s"),),
}
PAGES = frozenset(_PARTS)
# The one market whose prices a page shows, where its address does not name it.
_MARKETS = {"bot": f"({_BOT_MARKET})"}


class Version(NamedTuple):
    """marks are the same as long as the page is, within MINUTE; market: id of the one market that the page is about."""

    marks: tuple[Any, ...]
    market: int | None


def version(page: str, owner: int, subject: int | None, now: datetime) -> Version:
    """One query. subject: id of the bot or market."""
    # Where the page itself will be read, so that what it shows is never older than its version.
    alias = router.db_for_read(Bot) or DEFAULT_DB_ALIAS
    with connections[alias].cursor() as cursor:
        columns = ", ".join((_MARKETS.get(page, "NULL"), *_PARTS[page]))
        cursor.execute(f"SELECT {columns}", {"owner": owner, "id": subject})
        market, *marks = cursor.fetchone()
    return Version((int(now.timestamp()) // MINUTE, *marks), subject if page == "market" else market)
