from __future__ import annotations

from datetime import date
from typing import Any, Final, Literal

from django.db.models import Count, DecimalField, F, FilteredRelation, Q, Sum
from django.db.models.functions import Abs, Cast, Coalesce
from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router
from pydantic import Field

from bots.models import Bot, Run
from dashboard import books as money
from dashboard import performance as performances
from dashboard.api.authentication import READ, owner
from dashboard.api.rendering import choose
from dashboard.api.schema import Asked, Book, Curve, Exact, Row
from dashboard.figures import PERIODS

_EXACT: Final = DecimalField(max_digits=38, decimal_places=18)
router = Router(auth=READ, tags=["Figures"])


class BookRow(Row):
    """Totals of one mode and quote currency, in that currency; day, week, month: change since midnight UTC, 7, 30 d."""

    book: str
    mode: str
    currency: str
    equity: float
    allocation: float
    pnl: float
    day: float
    week: float
    month: float


class Stats(Row):
    books: list[BookRow]
    bots: dict[str, int] = Field(description="Status -> bots.")
    open_positions: int


@router.get("/stats", response=Stats, summary="What everything comes to, book by book")
def stats(request: HttpRequest, asked: Query[Asked]) -> Any:
    choose(request, asked.fields, Stats)
    books = money.books(owner(request), timezone.now())
    names = [name for name in BookRow.model_fields if name != "book"]
    counted = _counted(owner(request))
    return {
        "books": [{"book": book.key, **{name: getattr(book, name) for name in names}} for book in books],
        "open_positions": counted.pop("positions"),
        "bots": counted,
    }


def _counted(owner: Any) -> dict[str, int]:
    """Bots of each status, and positions, in one query: a bot has one run that is alive, and that one position."""
    alive = FilteredRelation("runs", condition=~Q(runs__status=Run.Status.STOPPED))
    statuses = {status: Count("pk", filter=Q(status=status)) for status in Bot.Status.values}
    holding = Count("alive__pk", filter=~Q(alive__position=0))
    return Bot.objects.owned_by(owner).annotate(alive=alive).aggregate(**statuses, positions=holding)


class CurveAsked(Asked):
    book: Book
    period: Literal["1d", "7d", "30d", "all"] = "7d"


@router.get("/equity-curve", response=Curve, summary="A book over time")
def equity_curve(request: HttpRequest, asked: Query[CurveAsked]) -> Any:
    choose(request, asked.fields, Curve)
    found = money.curve(owner(request), asked.book, PERIODS[asked.period], timezone.now())
    if found.book != asked.book:
        # Without such a book it is another's curve.
        return {"book": asked.book, "base": 0.0, "time": [], "equity": [], "pnl": []}
    time = [1000 * at for at in found.time]
    return {"book": found.book, "base": found.base, "time": time, "equity": found.equity, "pnl": found.pnl}


class Share(Row):
    """What one kind on one market came to, over all runs there were. Money in quote; realized is less fees."""

    kind: str
    market: int
    symbol: str
    runs: int
    trades: int
    pnl: Exact
    realized: Exact
    fees: Exact
    funding: Exact


class Figures(Row):
    """Rates are fractions, moments ms UTC, lengths ms, money in the currency; null where there is none to be told."""

    gained: float = Field(description="In the period.")
    total_return: float | None = Field(description="Time-weighted: money given to bots or taken back is no gain.")
    annual_return: float | None
    volatility: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    max_drawdown: float | None = Field(description="Of the time-weighted return.")
    max_fall: float = Field(description="The deepest fall of pnl from a height before.")
    drawdown_peak: int | None
    drawdown_low: int | None
    drawdown_recovery: int | None
    drawdown_length: int | None
    under_water: float | None
    longest_under_water: int | None
    days: float = Field(description="That these figures are of.")
    trades: int
    orders: int = Field(description="That closed a position or a part of one.")
    fees: float
    win_rate: float | None
    profit_factor: float | None
    expectancy: float | None
    turnover: float | None = Field(description="Bought and sold, over the mean equity.")
    exposure: float | None = Field(description="What positions are worth now, of the equity.")


class DayRow(Row):
    day: date
    gained: float
    rate: float
    equity: float


class MonthRow(Row):
    """month: its first day."""

    month: date
    gained: float
    rate: float


class Performance(Row):
    """Of one book. Its sums and shares are of all time; figures and days of the period; months all there were.

    realized: locked in at average cost, less fees; funding is apart.
    """

    book: str
    trades: int
    pnl: Exact
    realized: Exact
    fees: Exact
    funding: Exact
    figures: Figures
    days: list[DayRow]
    months: list[MonthRow]
    shares: list[Share]


class PerformanceAsked(Asked):
    book: Book
    period: Literal["7d", "30d", "90d", "1y", "all"] = Field("30d", description="Whole days, UTC, and today.")


@router.get("/performance", response=Performance, summary="How a book did, and where its profit came from")
def performance(request: HttpRequest, asked: Query[PerformanceAsked]) -> Any:
    choose(request, asked.fields, Performance)
    shares, standing = _shares(owner(request), asked.book)
    summed = {name: sum(share[name] for share in shares) for name in ("trades", "pnl", "realized", "fees", "funding")}
    # A book without a run has no days.
    did = performances.performance(owner(request), asked.book, asked.period, standing, timezone.now())
    return {
        "book": asked.book,
        **summed,
        "figures": did.figures,
        "days": [dict(zip(DayRow.model_fields, one, strict=False)) for one in did.shown] if shares else [],
        "months": [one._asdict() for one in did.months] if shares else [],
        "shares": shares,
    }


def _shares(owner: Any, book: str) -> tuple[list[dict[str, Any]], performances.Now]:
    """By kind and market, what gained most first, and the book as it stands: one query."""
    mode, currency = performances.book_of(book)
    runs = Run.objects.filter(bot__owner=owner, mode=mode, market__quote=currency).order_by()
    sums: list[Any] = [Count("pk"), Sum("trades_count"), Sum(F("equity") - F("allocation"))]
    sums += [Sum(F("realized") - F("fees")), Sum("fees"), Sum("funding")]
    alive = ~Q(status=Run.Status.STOPPED)
    value = Abs(F("position")) * Cast(Coalesce("market__last", "last_price", 0.0), _EXACT)
    sums += [Sum("equity", filter=alive), Sum(value, filter=alive, output_field=_EXACT)]
    columns = {f"sum_{place}": one for place, one in enumerate(sums)}
    rows = [list(row) for row in runs.values_list("kind", "market", "market__symbol").annotate(**columns)]
    equity, worth = (float(sum(row[place] or 0 for row in rows)) for place in (-2, -1))
    shares = [dict(zip(Share.model_fields, row[:-2], strict=True)) for row in rows]
    pnl = float(sum(share["pnl"] for share in shares))
    shares.sort(key=lambda share: (-share["pnl"], share["kind"], share["market"]))
    return shares, performances.Now(equity, pnl, worth)
