"""The reads behind the pages: annotated querysets and the few sums that SQL does best. Nothing here writes.

A bot's profit or loss is the sum over its runs of (equity - allocation): what each run is or was worth at the end,
less what it was given. Money of different modes or currencies is never added up: a Book is one mode and currency.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeAlias

from django.db import connection
from django.db.models import (
    Avg,
    Case,
    Count,
    DecimalField,
    F,
    FloatField,
    Func,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Coalesce, Extract

from bots import why
from bots.models import Account, Bot, EquitySnapshot, Event, Halt, Mode, Order, Run, Trade
from markets.models import Market

Owner: TypeAlias = Any  # Django's user model is swappable, so its type is known at run time only.

ALIVE = ~Q(status=Run.Status.STOPPED)
CURVE_POINTS = 400
SPARKLINE_POINTS = 48
SPARKLINE_SPAN = timedelta(hours=24)
# Period switch of the equity curves: name -> days, None for all.
PERIODS: dict[str, int | None] = {"1d": 1, "7d": 7, "30d": 30, "all": None}


@dataclass(frozen=True, slots=True)
class Book:
    """Totals of one owner's runs in one mode and quote currency; all in that currency.

    pnl is since ever; day, week, month are the changes since midnight UTC, 7 and 30 days ago.
    """

    mode: str
    currency: str
    equity: float
    allocation: float
    pnl: float
    day: float
    week: float
    month: float

    @property
    def key(self) -> str:
        return f"{self.mode}:{self.currency}"


def books(owner: Owner, now: datetime) -> list[Book]:
    """The owner's books, live money first, then the larger equity first."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    runs = Run.objects.filter(bot__owner=owner).annotate(
        currency=F("market__quote"),
        pnl_of_run=Cast(F("equity") - F("allocation"), FloatField()),
        equity_of_run=Cast("equity", FloatField()),
        given=Cast("allocation", FloatField()),
        **{
            f"{name}_of_run": _change_since(time)
            for name, time in (
                ("day", midnight),
                ("week", now - timedelta(days=7)),
                ("month", now - timedelta(days=30)),
            )
        },
    )
    rows = (
        runs.order_by()
        .values("mode", "currency")
        .annotate(
            pnl=Sum("pnl_of_run"),
            equity_now=Coalesce(Sum("equity_of_run", filter=ALIVE), 0.0),
            allocation_now=Coalesce(Sum("given", filter=ALIVE), 0.0),
            day=Sum("day_of_run"),
            week=Sum("week_of_run"),
            month=Sum("month_of_run"),
        )
    )
    found = [
        Book(
            mode=row["mode"],
            currency=row["currency"],
            equity=row["equity_now"],
            allocation=row["allocation_now"],
            **{name: row[name] for name in ("pnl", "day", "week", "month")},
        )
        for row in rows
    ]
    return sorted(found, key=lambda book: (book.mode != "live", -book.equity, book.currency))


def _change_since(time: datetime) -> Combinable:
    """What a run gained since a time: its equity less the last one recorded by then, or less what it was given."""
    before = EquitySnapshot.objects.filter(run=OuterRef("pk"), time__lte=time).order_by("-time").values("equity")[:1]
    equity = Cast("equity", FloatField())
    return Case(
        When(stopped_at__lte=time, then=Value(0.0)),
        When(started_at__gt=time, then=equity - Cast("allocation", FloatField())),
        default=equity - Coalesce(Subquery(before), Cast("allocation", FloatField())),
        output_field=FloatField(),
    )


def with_figures(bots: QuerySet[Bot]) -> QuerySet[Bot]:
    """Bots with pnl, trades_count (all runs), and the equity, position and fees of the run that is alive."""
    alive = Q(runs__status__in=[Run.Status.RUNNING, Run.Status.PAUSED])
    return (
        why.with_halts(bots)
        .select_related("market__exchange", "account")
        .annotate(
            pnl=Sum(F("runs__equity") - F("runs__allocation"), output_field=DecimalField()),
            given=Sum("runs__allocation", filter=alive),
            equity_now=Sum("runs__equity", filter=alive),
            trades_count=Coalesce(Sum("runs__trades_count"), 0),
        )
    )


def facets(bots: QuerySet[Bot]) -> list[dict[str, Any]]:
    """How many bots there are of each status, kind and market: what the filters of the list offer."""
    rows = bots.order_by().values("status", "kind", "market_id", "market__symbol").annotate(count=Count("pk"))
    return [dict(row) for row in rows.order_by("market__symbol", "kind")]


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


def markets_with_bots(owner: Owner) -> QuerySet[Market]:
    """Markets with their exchange and feeds, and own_bots: how many bots of the owner trade there."""
    own = Count("bots", filter=Q(bots__owner=owner))
    return Market.objects.select_related("exchange").prefetch_related("feeds").annotate(own_bots=own)


def sparklines(bot_ids: list[int], now: datetime) -> dict[int, list[float]]:
    """Profit and loss of the last 24 hours for each of the bots, in half-hour means."""
    if not bot_ids:
        return {}
    width = int(SPARKLINE_SPAN.total_seconds()) // SPARKLINE_POINTS
    rows = (
        EquitySnapshot.objects.filter(bot__in=bot_ids, time__gt=now - SPARKLINE_SPAN)
        .order_by()
        .annotate(slot=Func(Extract("time", "epoch") / width, function="floor", output_field=IntegerField()))
        .values("bot_id", "slot")
        .annotate(pnl=Avg(F("equity") - Cast("run__allocation", FloatField()), output_field=FloatField()))
        .order_by("bot_id", "slot")
    )
    lines: dict[int, list[float]] = defaultdict(list)
    for row in rows.values_list("bot_id", "pnl"):
        lines[row[0]].append(row[1])
    return lines


def curve(
    owner: Owner, mode: str, currency: str, days: int | None, now: datetime
) -> tuple[list[int], list[float], list[float]]:
    """A book over time: (seconds UTC, equity of the runs alive then, pnl of all runs), CURVE_POINTS points at most.

    Each point takes every run's last snapshot before it through the index on (run, time), so the cost grows with
    points x runs and not with the snapshots there are.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _CURVE,
            {"owner": owner.pk, "mode": mode, "currency": currency, "now": now}
            | {"days": days, "points": CURVE_POINTS - 1},
        )
        rows = cursor.fetchall()
    time, equity, pnl = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    return time, equity, pnl


_CURVE = """
WITH run AS (
  SELECT r.id, r.allocation::float8 AS allocation, r.started_at, r.stopped_at
  FROM bots_run r JOIN bots_bot b ON b.id = r.bot_id JOIN markets_market m ON m.id = r.market_id
  WHERE b.owner_id = %(owner)s AND r.mode = %(mode)s AND m.quote = %(currency)s
), span AS (
  SELECT greatest(min(started_at), %(now)s - make_interval(days => %(days)s)) AS start FROM run
), point AS (
  -- Two points are a second apart at least, as the charts ask for.
  SELECT start + greatest((%(now)s - start) / %(points)s, interval '1 second') * n AS time
  FROM span, generate_series(0, %(points)s) AS n
  WHERE start < %(now)s AND start + interval '1 second' * n <= %(now)s
)
SELECT extract(epoch FROM point.time)::int8,
       coalesce(sum(last.equity) FILTER (WHERE run.stopped_at IS NULL OR run.stopped_at > point.time), 0),
       sum(last.equity - run.allocation)
FROM point JOIN run ON run.started_at <= point.time
CROSS JOIN LATERAL (
  SELECT coalesce((SELECT equity FROM bots_equitysnapshot s WHERE s.run_id = run.id AND s.time <= point.time
                   ORDER BY s.time DESC LIMIT 1), run.allocation) AS equity
) last
GROUP BY point.time ORDER BY point.time
"""


def bot_curve(bot: Bot, since: datetime | None) -> tuple[list[float], list[float]]:
    """A bot's equity snapshots as they are: (seconds UTC, equity)."""
    rows = EquitySnapshot.objects.filter(bot=bot)
    if since is not None:
        rows = rows.filter(time__gte=since)
    pairs = rows.order_by("time").annotate(at=Extract("time", "epoch")).values_list("at", "equity")
    columns = list(zip(*pairs, strict=True))
    return ([float(at) for at in columns[0]], list(columns[1])) if columns else ([], [])


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


def needing_attention(owner: Owner, since: datetime) -> QuerySet[Event]:
    return Event.objects.filter(
        owner=owner, level__in=[Event.Level.WARNING, Event.Level.ERROR], recorded_at__gte=since
    ).select_related("bot")


class HaltRow(NamedTuple):
    """A halt in force: of one account, or of all (account is "")."""

    account: str
    halted_at: datetime
    reason: str


def halts(owner: Owner) -> list[HaltRow]:
    """The halts that the owner's bots are under, that of all accounts first: one query."""
    everywhere = Halt.objects.annotate(account=Value("")).values_list("account", "halted_at", "reason")
    own = Account.objects.filter(owner=owner, halted_at__isnull=False).exclude(mode=Mode.REPLAY).order_by()
    rows = everywhere.union(own.values_list("name", "halted_at", "halted_reason")).order_by("account")
    return [HaltRow(*row) for row in rows]


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
