"""The reads behind the pages: annotated querysets and the few sums that SQL does best. Nothing here writes.

A bot's profit or loss is the sum over its runs of (equity - allocation): what each run is or was worth at the end,
less what it was given.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from itertools import accumulate
from operator import itemgetter
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Case, Count, DecimalField, F, IntegerField, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Abs, Coalesce

from bots import why
from bots.models import Account, Bot, Event, Halt, Mode, Order, Position, Run, Trade
from dashboard import row_columns
from dashboard.keyset import Listing
from dashboard.scope import Owner
from dashboard.watchlist import with_watched
from markets.models import Market
from orchestrator.prepared import Given, Prepared

# Rows of the overview, and among how many warnings its own are counted.
MOST_BOTS = 12
POSITIONS = 10
TRADES = 8
MOVERS = 6
ATTENTION = 6
WARNINGS = 2_000
SPARKLINE_HOURS = 7 * 24
LATELY_POINTS = 84  # on 96 pixels: each costs a look into an index
# Period switch of the equity curves: name -> days, None for all.
PERIODS: dict[str, int | None] = {"1d": 1, "7d": 7, "30d": 30, "all": None}


def its_book(runs: str, bot: str = "") -> Q:
    """The runs in the mode and currency that a bot has now: one that stands still may be given another account or
    market, and what it made on paper is no live money. runs, bot: how a query leads to them.
    """
    return Q(
        **{
            f"{runs}mode": F(f"{bot}account__mode"),
            f"{runs}market__quote": F(f"{bot}market__quote"),
        }
    )


def with_figures(bots: QuerySet[Bot]) -> QuerySet[Bot]:
    """Bots with pnl (runs of its_book()), trades_count (all runs), and what the run that is alive has and was given."""
    alive = Q(runs__status__in=[Run.Status.RUNNING, Run.Status.PAUSED])
    return (
        why.with_halts(bots)
        .select_related("market__exchange", "account")
        .annotate(
            pnl=Sum(F("runs__equity") - F("runs__allocation"), filter=its_book("runs__"), output_field=DecimalField()),
            given=Sum("runs__allocation", filter=alive),
            equity_now=Sum("runs__equity", filter=alive),
            trades_count=Coalesce(Sum("runs__trades_count"), 0),
        )
    )


class Facets(NamedTuple):
    """What the filters of the list offer. statuses: status -> bots; markets: (number, symbol), by symbol."""

    statuses: Counter[str]
    kinds: list[str]
    markets: list[tuple[int, str]]


def facets(owner: Owner) -> Facets:
    statuses, kinds, markets = Counter[str](), set[str](), dict[int, str]()
    for status, kind, market, symbol, count in _FACETS.rows(owner=owner.pk):
        statuses[status] += count
        kinds.add(kind)
        markets[market] = symbol
    return Facets(statuses, sorted(kinds), sorted(markets.items(), key=itemgetter(1, 0)))


def _facets() -> QuerySet[Any, tuple[Any, ...]]:
    bots = Bot.objects.owned_by(Given("owner")).order_by()
    return bots.values_list("status", "kind", "market_id", "market__symbol").annotate(count=Count("pk"))


_FACETS = Prepared(_facets)


def sorted_by(queryset: QuerySet[Any], columns: dict[str, str], sort: str) -> QuerySet[Any]:
    """Ordered by a sort name of the address ("-pnl"), what is not known last, and always in the same order."""
    column = F(columns[sort.lstrip("-")])
    order = column.desc(nulls_last=True) if sort.startswith("-") else column.asc(nulls_last=True)
    return queryset.order_by(order, "-pk")


def by_urgency(bots: QuerySet[Bot]) -> QuerySet[Bot]:
    """What failed first, then what works, then the rest."""
    order = [Bot.Status.FAILED, Bot.Status.RUNNING, Bot.Status.PAUSED, Bot.Status.DRAFT]
    ranks = [When(status=status, then=Value(rank)) for rank, status in enumerate(order)]
    rank = Case(*ranks, default=Value(len(order)), output_field=IntegerField())
    return bots.order_by(rank, "-created_at", "-pk")


def markets_with_bots(owner: Owner) -> QuerySet[Any]:
    """Markets with their exchange, quotes and feeds, own_bots (how many bots of the owner trade there), and watched."""
    own = Count("bots", filter=Q(bots__owner=owner))
    markets = Market.objects.select_related("exchange", "quotes").prefetch_related("feeds").annotate(own_bots=own)
    return with_watched(markets, owner)


class Lately(NamedTuple):
    """A bot's last run over SPARKLINE_HOURS at most: profit and loss, and the deepest fall from a peak in it.

    drawdown: a fraction of the equity at the peak, never above zero; None without two points.
    """

    pnl: list[float]
    drawdown: float | None


def lately(bot_ids: list[int], now: datetime) -> dict[int, Lately]:
    """Of each bot that has one, at LATELY_POINTS: each a look into an index, however many snapshots lie between."""
    if not bot_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_LATELY, {"bots": bot_ids, "now": now, "hours": SPARKLINE_HOURS, "points": LATELY_POINTS})
        return {bot: _lately(allocation, equity) for bot, allocation, equity in cursor.fetchall()}


def _lately(allocation: float, equity: list[float]) -> Lately:
    peaks = accumulate(equity, max)
    falls = [value / peak - 1.0 for value, peak in zip(equity, peaks, strict=True) if peak > 0]
    return Lately([value - allocation for value in equity], min(falls) if len(falls) > 1 else None)


_LATELY = """
WITH run AS (
  SELECT DISTINCT ON (bot_id) id, bot_id, allocation::float8 AS allocation, coalesce(stopped_at, %(now)s) AS until,
         greatest(started_at, coalesce(stopped_at, %(now)s) - make_interval(hours => %(hours)s)) AS since
  FROM bots_run WHERE bot_id = ANY(%(bots)s) ORDER BY bot_id, number DESC
)
SELECT bot_id, allocation, array_agg(coalesce(found.equity, allocation) ORDER BY n)
FROM run CROSS JOIN generate_series(0, %(points)s) AS n
LEFT JOIN LATERAL (
  SELECT equity FROM bots_equitysnapshot s
  WHERE s.run_id = run.id AND s.time <= since + (until - since) * (n / %(points)s::float8)
  ORDER BY s.time DESC LIMIT 1
) AS found ON true
GROUP BY bot_id, allocation
"""


def trades_between(
    bot: Bot, start: datetime | None, end: datetime | None, most: int
) -> QuerySet[Trade, tuple[Any, ...]]:
    """The bot's last trades in [start, end) as (time, side, price, amount), newest first; None is no bound."""
    rows = Trade.objects.filter(bot=bot).order_by("-time", "-id")
    if start is not None:
        rows = rows.filter(time__gte=start)
    if end is not None:
        rows = rows.filter(time__lt=end)
    return rows.values_list("time", "side", "price", "amount")[:most]


def _first() -> QuerySet[Bot]:
    first = by_urgency(Bot.objects.owned_by(Given("owner"))).values("pk")[:MOST_BOTS]
    return by_urgency(with_figures(Bot.objects.filter(pk__in=first)))


def _open_positions() -> QuerySet[Position]:
    found = row_columns.positions().filter(owner=Given("owner"), status=Position.Status.OPEN)
    return found.order_by("-opened_at", "-id")[:POSITIONS]


def _latest_trades() -> QuerySet[Trade, Any]:
    latest = Listing("bots_trade", ("time", "id"), (("t.owner_id = %s", (Given("owner"),)),), {"mode": Mode.values})
    ids = latest.ids(TRADES, None, descending=True)
    return row_columns.trades().filter(pk__in=ids).order_by("-time", "-id")


def _movers() -> QuerySet[Market]:
    seen = Market.objects.filter(active=True, last_at__gte=Given("since"), change_24h__isnull=False)
    return seen.select_related("exchange").order_by(Abs("change_24h").desc(), "pk")[:MOVERS]


_FIRST = Prepared(_first)
_OPEN_POSITIONS = Prepared(_open_positions)
_LATEST_TRADES = Prepared(_latest_trades)
_MOVERS = Prepared(_movers)


def first(owner: Owner) -> list[Bot]:
    """The first bots by urgency; the figures are added up for these alone."""
    return _FIRST.rows(owner=owner.pk)


def open_positions(owner: Owner) -> list[Position]:
    """Those opened last."""
    return _OPEN_POSITIONS.rows(owner=owner.pk)


def latest_trades(owner: Owner) -> list[Any]:
    return _LATEST_TRADES.rows(owner=owner.pk)


class Told(NamedTuple):
    """An event, and how often one like it was told: of the same bot and code."""

    event: Event
    times: int


def needing_attention(owner: Owner, since: datetime) -> list[Told]:
    """The newest of each kind of warning and error recorded since then, newest first: one query.

    Counted are the last WARNINGS. A bot comes with its name alone.
    """
    values = {"owner": owner.pk, "since": since, "most": WARNINGS, "rows": ATTENTION}
    return [_told(row) for row in Event.objects.raw(_NEEDING_ATTENTION, values)]


def _told(row: Any) -> Told:
    row.bot = Bot(pk=row.bot_id, name=row.bot_name) if row.bot_id else None
    return Told(row, row.times)


# Older warnings are not even looked at; ids and times may be minutes out of step. All that is counted is in
# event_owner_attention; times compared before the limit would have the planner read all events of the week instead.
_NEEDING_ATTENTION = """
WITH recent AS (
  SELECT id, bot_id, code, recorded_at FROM bots_event
  WHERE owner_id = %(owner)s AND level IN ('warning', 'error') AND id >= (
    SELECT id FROM bots_event WHERE recorded_at >= %(since)s - interval '10 min' ORDER BY recorded_at LIMIT 1
  )
  ORDER BY id DESC LIMIT %(most)s
), told AS (
  SELECT max(id) AS id, count(*) AS times FROM recent WHERE recorded_at >= %(since)s
  GROUP BY bot_id, code ORDER BY 1 DESC LIMIT %(rows)s
)
SELECT e.id, e.bot_id, e.level, e.code, e.message, e.time, e.data, b.name AS bot_name, told.times
FROM told JOIN bots_event AS e USING (id) LEFT JOIN bots_bot AS b ON b.id = e.bot_id ORDER BY e.id DESC
"""


def movers(since: datetime) -> list[Market]:
    """Markets that moved most within a day, up or down, of those whose price was seen since then."""
    return _MOVERS.rows(since=since)


class HaltRow(NamedTuple):
    """A halt in force: of one account, or of all (account is "")."""

    account: str
    halted_at: datetime
    reason: str


def halts(owner: Owner) -> list[HaltRow]:
    """The halts that the owner's bots are under, that of all accounts first: one query."""
    return [HaltRow(*row) for row in _HALTS.rows(owner=owner.pk)]


def _halts() -> QuerySet[Any, tuple[Any, ...]]:
    everywhere = Halt.objects.annotate(account=Value("")).values_list("account", "halted_at", "reason")
    own = Account.objects.filter(owner=Given("owner"), halted_at__isnull=False).exclude(mode=Mode.REPLAY).order_by()
    return everywhere.union(own.values_list("name", "halted_at", "halted_reason")).order_by("account")


_HALTS = Prepared(_halts)


def at_stake(accounts: QuerySet[Account]) -> dict[str, int]:
    """What a halt of these accounts would end: accounts, running and paused bots, open orders, open positions."""
    runs = Run.objects.filter(bot__account__in=accounts).exclude(status=Run.Status.STOPPED)
    found = runs.aggregate(
        running=Count("pk", filter=Q(status=Run.Status.RUNNING)),
        paused=Count("pk", filter=Q(status=Run.Status.PAUSED)),
        positions=Count("pk", filter=~Q(position=0)),
    )
    orders = Order.objects.filter(run__in=runs, status=Order.Status.OPEN).count()
    return {"accounts": accounts.count(), "orders": orders, **found}
