"""Stored backtests: asked for, followed, read, deleted. What is only tried, and not stored, is in trials.py."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from ninja import Query, Router, Status
from pydantic import Field

from bots import backtests as store
from bots import limits, services, tasks
from bots.kinds import KINDS
from bots.kinds.parameters import ParamsError
from bots.models import Backtest
from bots.sweep import combinations
from dashboard.api.authentication import READ, TRADE, owner
from dashboard.api.paging import Shown, page_of
from dashboard.api.rendering import choose
from dashboard.api.schema import Asked, Capital, Exact, Id, Page, Paged, Row, Sent, SentId, Text, Timeframe
from dashboard.keyset import Listing, equal
from markets.models import Market
from markets.series import TIMEFRAME_NAMES, TIMEFRAMES

router = Router(auth=READ, tags=["Backtests"])

MOST_SETS = 200
Value = bool | int | float | Text


class BacktestRow(Row):
    """Money in quote, rates as fractions, times in ms UTC; metrics and bounds are empty until it is done."""

    id: int
    market: int
    symbol: str
    kind: str
    timeframe: str
    params: dict[str, Any]
    limits: dict[str, Any]
    grid: dict[str, Any] = Field(description="Parameter -> its values; empty for a single run.")
    capital: Exact
    start: int
    end: int
    candles: int
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    progress: float = Field(description="1 is done.")
    reason: str
    metrics: dict[str, float | int | None]
    bounds: dict[str, float] = Field(description="Final equity on the worst and best path inside the candles.")
    created_at: datetime
    finished_at: datetime | None


class SetRow(Row):
    """One combination of a grid. params: what it has that is not the same in all."""

    params: dict[str, Any]
    trades: int
    final_equity: float
    max_drawdown: float


class BacktestDetail(BacktestRow):
    """Columns of at most 2,000 points, extremes kept; sets: the best 200 of a grid by final equity."""

    time: list[int]
    equity: list[float]
    close: list[float]
    drawdown: list[float]
    sets: list[SetRow]


COLUMNS = {
    "id": "id",
    "market": "market_id",
    "symbol": "market__symbol",
    "kind": "kind",
    "timeframe": "timeframe",
    "params": "params",
    "limits": "limits",
    "grid": "grid",
    "capital": "allocation",
    "start": "begin",
    "end": "end",
    "candles": "bars",
    "state": "state",
    "progress": "progress",
    "reason": "reason",
    "metrics": "metrics",
    "bounds": "bounds",
    "created_at": "created_at",
    "finished_at": "finished_at",
}
SHOWN = Shown(Backtest.objects.all, COLUMNS)


class BacktestsAsked(Paged):
    state: Literal["queued", "running", "done", "failed", "cancelled"] | None = None
    kind: Text | None = None
    market: Id | None = None


@router.get("", response=Page[BacktestRow], summary="Stored backtests, newest first")
def backtests(request: HttpRequest, asked: Query[BacktestsAsked]) -> Any:
    choose(request, asked.fields, BacktestRow)
    own = equal(owner_id=owner(request).pk, state=asked.state, kind=asked.kind, market_id=asked.market)
    page = page_of(SHOWN, Listing("bots_backtest", ("id",), own), asked)  # backtest_owner_latest
    return page | {"items": [_named(row) for row in page["items"]]}


def _named(row: dict[str, Any]) -> dict[str, Any]:
    """With the timeframe's name, and the end as the first moment that is not in it."""
    seconds = row["timeframe"]
    return row | {"timeframe": TIMEFRAME_NAMES.get(seconds, f"{seconds}s"), "end": row["end"] + seconds * 1000}


@router.get("/{int:backtest_id}", response=BacktestDetail, summary="One backtest, with its curve or its grid")
def backtest(request: HttpRequest, backtest_id: int, asked: Query[Asked]) -> Any:
    choose(request, asked.fields, BacktestDetail)
    return _detail(_own(request, backtest_id))


def _own(request: HttpRequest, backtest_id: int) -> Backtest:
    return get_object_or_404(Backtest.objects.owned_by(owner(request)).select_related("market"), pk=backtest_id)


def _detail(found: Backtest) -> dict[str, Any]:
    row = {name: getattr(found, column) for name, column in COLUMNS.items() if "__" not in column}
    curve = store.unpacked(found)
    best = sorted(found.results, key=lambda one: -float(one[2]))[:MOST_SETS]
    return _named(row | {"symbol": found.market.symbol}) | {
        "time": [int(at) for at in curve["time"].tolist()],
        "equity": curve["equity"].tolist(),
        "close": curve["close"].tolist(),
        "drawdown": curve["fall"].tolist(),
        "sets": [dict(zip(SetRow.model_fields, one, strict=True)) for one in best],
    }


class BacktestNew(Sent):
    """params, limits: as of a bot. grid: values to try of a parameter, every combination is tried."""

    market: SentId
    kind: Text
    timeframe: Timeframe = "1m"
    params: dict[str, Any] = Field(default_factory=dict)
    limits: dict[str, Any] = Field(default_factory=dict)
    grid: dict[Text, Annotated[list[Value], Field(min_length=1, max_length=1_000)]] = Field(default_factory=dict)
    capital: Capital = Decimal(10_000)
    days: Annotated[int, Field(ge=1, le=3_650, strict=True)] | None = Field(
        None, description="Of the last stored candles; all there are when left out."
    )


@router.post(
    "",
    response={200: BacktestDetail, 201: BacktestDetail},
    auth=TRADE,
    summary="Queue a backtest; the same question about the same candles is answered by the one there is",
)
def create_backtest(request: HttpRequest, response: HttpResponse, new: BacktestNew) -> Any:
    market, seconds = get_object_or_404(Market, pk=new.market), TIMEFRAMES[new.timeframe]
    params, limited = _checked(new, market, seconds)
    found, is_new = store.ask(
        owner(request), new.kind, params, limited, market, seconds, new.capital, new.days, new.grid
    )
    if is_new:
        tasks.wake_for_backtests()
    response.headers["Location"] = reverse("api:backtest", args=[found.pk])
    return Status(201 if is_new else 200, _detail(found))


def _checked(new: BacktestNew, market: Market, seconds: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and limits as they are stored; of a grid the first combination is checked. Raises ParamsError."""
    kind = KINDS.get(new.kind)
    if kind is None:
        raise ParamsError({"kind": f"kind must be one of {', '.join(KINDS)}, not {new.kind!r}."})
    first = combinations(kind, new.params, {name: values[:1] for name, values in new.grid.items()})[0]
    services.validate(new.kind, first, market, seconds, new.capital, new.limits)
    names = {entry.name for entry in kind.parameters()}
    begun = {name: values[0] for name, values in new.grid.items() if name in names}
    return services.plain_params(kind, begun | new.params), limits.plain(new.limits)


@router.delete("/{int:backtest_id}", response={204: None}, auth=TRADE, summary="Delete it, whatever its state")
def delete_backtest(request: HttpRequest, backtest_id: int) -> Any:
    store.delete(_own(request, backtest_id))
    return Status(204, None)


@router.post("/{int:backtest_id}/cancel", response=BacktestDetail, auth=TRADE, summary="Cancel one not answered yet")
def cancel_backtest(request: HttpRequest, backtest_id: int) -> Any:
    found = _own(request, backtest_id)
    if not store.cancel(found):
        raise services.Refused(f"Backtest {found.pk} is {found.state}: there is nothing to cancel.")
    return _detail(_own(request, backtest_id))


@router.post("/{int:backtest_id}/again", response=BacktestDetail, auth=TRADE, summary="Queue one that was not answered")
def repeat_backtest(request: HttpRequest, backtest_id: int) -> Any:
    found = _own(request, backtest_id)
    if not store.again(found):
        raise services.Refused(f"Backtest {found.pk} is {found.state}: there is nothing to repeat.")
    tasks.wake_for_backtests()
    return _detail(_own(request, backtest_id))
