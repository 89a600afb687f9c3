from __future__ import annotations

from typing import Any, Literal

import numpy as np
from django.db.models import Count, F, FilteredRelation, Q, Sum
from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router
from pydantic import Field

from bots.models import Bot, Run
from dashboard import books as money
from dashboard.api.authentication import READ, owner
from dashboard.api.rendering import choose
from dashboard.api.schema import Asked, Book, Curve, Exact, Row
from dashboard.figures import PERIODS

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
    time, equity, pnl = _curve(owner(request), asked)
    return {"book": asked.book, "time": [1000 * at for at in time], "equity": equity, "pnl": pnl}


def _curve(owner: Any, asked: CurveAsked) -> tuple[list[int], list[float], list[float]]:
    found = money.curve(owner, asked.book, PERIODS[asked.period], timezone.now())
    # Without such a book it is another's curve.
    return (found.time, found.equity, found.pnl) if found.book == asked.book else ([], [], [])


class Share(Row):
    """What one kind on one market came to, over all runs there were. Money in quote."""

    kind: str
    market: int
    symbol: str
    runs: int
    trades: int
    pnl: Exact
    realized: Exact
    fees: Exact
    funding: Exact


class Performance(Row):
    """Of one book. max_fall: the deepest fall of pnl from a height before, in quote, at the points of the curve."""

    book: str
    trades: int
    pnl: Exact
    realized: Exact
    fees: Exact
    funding: Exact
    period_pnl: float
    max_fall: float
    shares: list[Share]


@router.get("/performance", response=Performance, summary="Where the profit of a book came from")
def performance(request: HttpRequest, asked: Query[CurveAsked]) -> Any:
    choose(request, asked.fields, Performance)
    shares = _shares(owner(request), asked.book)
    _, _, pnl = _curve(owner(request), asked)
    summed = {name: sum(share[name] for share in shares) for name in ("trades", "pnl", "realized", "fees", "funding")}
    return {
        "book": asked.book,
        **summed,
        "period_pnl": pnl[-1] - pnl[0] if pnl else 0.0,
        "max_fall": _fall(pnl),
        "shares": shares,
    }


def _shares(owner: Any, book: str) -> list[dict[str, Any]]:
    mode, _, currency = book.partition(":")
    runs = Run.objects.filter(bot__owner=owner, mode=mode, market__quote=currency).order_by()
    sums = [Count("pk"), Sum("trades_count"), Sum(F("equity") - F("allocation"))]
    sums += [Sum(name) for name in ("realized", "fees", "funding")]
    columns = {f"sum_{place}": one for place, one in enumerate(sums)}
    rows = runs.values_list("kind", "market", "market__symbol").annotate(**columns)
    shares = [dict(zip(Share.model_fields, row, strict=True)) for row in rows]
    return sorted(shares, key=lambda share: (-share["pnl"], share["kind"], share["market"]))


def _fall(pnl: list[float]) -> float:
    if not pnl:
        return 0.0
    values = np.asarray(pnl)
    return float((values - np.maximum.accumulate(values)).min())
