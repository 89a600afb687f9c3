"""Stored backtests: asked for by a person, worked on by whoever claims them, answered once.

Whose it is meanwhile, and what becomes of one whose worker dies, is in bots/backtest_claims.py. Cancelling changes its
state, which the worker meets at its next step.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from decimal import Decimal
from typing import Any, Final

import numpy as np
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from bots import backtest_claims, forecasting, funding, limits, trials
from bots.bars import STORED
from bots.engine.simulate import NO_FUNDING
from bots.engine.types import STATE_VERSION, TRADE, Terms
from bots.guards import Refused
from bots.history import DAY_MS, KnownBars, source_of
from bots.kinds import KINDS
from bots.models import Backtest
from bots.records import terms_of
from bots.sweep import Series, combinations, sweep
from markets import candles as store
from markets.models import Feed, Market
from markets.series import TIMEFRAME_NAMES, Candles, Column, resample

MOST_SETS: Final = 10_000
MOST_OPEN: Final = 50  # of an owner at a time: whoever asks next waits for all of them
CHECKED: Final = 100  # of them before a grid is stored
CHUNK: Final = 64  # parameter sets between two looks at whether it is wanted still
SPELL: Final = 60.0  # s in which a worker begins with another one
LONGEST: Final = 200.0  # s that one may take; both together are less than a task may
POINTS: Final = 2_000  # of a stored curve
State = Backtest.State
OPEN: Final = (State.QUEUED, State.RUNNING)


def candles_of(market_id: int, timeframe: int, begin: int | None, end: int | None) -> tuple[Candles, Candles]:
    """(older candles that kinds are shown, those of the period), from the feeds of a market; end is included."""
    feeds = dict(Feed.objects.filter(market=market_id).values_list("timeframe", "synced_to"))
    source = source_of(feeds, timeframe)
    if source is None:
        return Candles.empty(), Candles.empty()
    lead = None if begin is None else begin - 30 * DAY_MS - 1000 * timeframe * 1000
    before = None if end is None else end + timeframe * 1000
    whole = resample(store.load(market_id, source, lead, before), source, timeframe)
    at = 0 if begin is None else int(np.searchsorted(whole.time, begin))
    return whole[:at], whole[at:]


def ask(
    owner: Any,
    kind: str,
    params: dict[str, Any],
    limited: dict[str, Any],
    market: Market,
    timeframe: int,
    allocation: Decimal,
    days: int | None,
    grid: dict[str, list[Any]] | None = None,
) -> tuple[Backtest, bool]:
    """Queue a backtest over the last so many days (None: all there is): (it, whether it is new).

    The same question about the same candles is answered by the row that there is. Raises Refused, ParamsError.
    """
    terms, grid = terms_of(market), grid or {}
    _check(kind, params, limited, terms, allocation, grid)
    last = store.last_time(market.pk, timeframe)
    begin = None if days is None or last is None else last - days * DAY_MS + timeframe * 1000
    _, candles = candles_of(market.pk, timeframe, begin, None)
    if len(candles) < 2:
        name = TIMEFRAME_NAMES.get(timeframe, str(timeframe))
        raise Refused(f"{len(candles)} candles of {name} are stored for {market.symbol}; a backtest needs two.")
    asked = Backtest(
        owner=owner, market=market, kind=kind, timeframe=timeframe, params=params, limits=limited, grid=grid,
        allocation=allocation, terms=asdict(terms), begin=int(candles.time[0]), end=int(candles.time[-1]),
        bars=len(candles),
    )  # fmt: skip
    asked.digest = digest(asked, candles)
    return _stored_once(asked)


def _stored_once(asked: Backtest) -> tuple[Backtest, bool]:
    """Whoever asks the same at the same time waits here, and finds the other's."""
    own = Backtest.objects.owned_by(asked.owner).filter(digest=asked.digest, state__in=[*OPEN, State.DONE])
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))", [asked.digest, asked.owner_id])
        known = own.first()
        if known is not None:
            return known, False
        _require_room(asked.owner)
        asked.save()
    return asked, True


def _require_room(owner: Any) -> None:
    """Raises Refused."""
    count = Backtest.objects.owned_by(owner).filter(state__in=OPEN).count()
    if count >= MOST_OPEN:
        raise Refused(f"{count} of your backtests are not answered yet, and at most {MOST_OPEN} may be: cancel some.")


def _check(
    kind: str, params: dict[str, Any], limited: dict[str, Any], terms: Terms, allocation: Decimal, grid: dict[str, Any]
) -> None:
    if kind not in KINDS:
        raise Refused(f"kind must be one of {', '.join(KINDS)}, not {kind!r}.")
    sets = combinations(KINDS[kind], params, grid, MOST_SETS) if grid else [params]
    # Of many sets some, from the first to the last: the others are checked by the worker, in whose time.
    for one in [*sets[:: max(1, len(sets) // CHECKED)], sets[-1]]:
        read = KINDS[kind].validate(one, terms, float(allocation))
    limits.validate(limited, read, KINDS[kind], terms, float(allocation))


def digest(asked: Backtest, candles: Candles) -> str:
    """Of everything that the answer depends on."""
    question = [
        STATE_VERSION, asked.kind, asked.params, asked.limits, asked.grid, f"{Decimal(asked.allocation).normalize():f}",
        asked.market_id, asked.timeframe, asked.terms,
    ]  # fmt: skip
    found = hashlib.sha256(json.dumps(question, sort_keys=True).encode())
    for name in ("time", "open", "high", "low", "close"):
        found.update(np.ascontiguousarray(getattr(candles, name)).data)
    return found.hexdigest()


def cancel(backtest: Backtest) -> bool:
    """Cancel one that is not answered yet; False when it is too late."""
    rows = Backtest.objects.filter(pk=backtest.pk, state__in=OPEN)
    return rows.update(state=State.CANCELED, finished_at=timezone.now(), reason="Cancelled.") == 1


def delete(backtest: Backtest) -> None:
    """Whatever its state: who works on it stops at its next sign of life."""
    Backtest.objects.filter(pk=backtest.pk).delete()


def again(backtest: Backtest) -> bool:
    """Queue one that failed or was cancelled once more; False when it did neither."""
    rows = Backtest.objects.filter(pk=backtest.pk, state__in=[State.FAILED, State.CANCELED])
    return rows.update(**backtest_claims.waiting_again()) == 1


def run_waiting() -> int:
    """Work until nothing waits, or for a minute; returns how many were worked on."""
    count, began = 0, time.monotonic()
    while time.monotonic() - began < SPELL and (found := backtest_claims.claim()) is not None:
        run(found)
        count += 1
    return count


def run(backtest: Backtest) -> None:
    """Answer a claimed backtest; what goes wrong is its reason."""
    try:
        with backtest_claims.kept_alive(backtest):
            found = _grid(backtest) if backtest.grid else _single(backtest)
        backtest_claims.answer(backtest, {"state": State.DONE, "progress": 1.0} | found)
    except backtest_claims.Lost:
        return
    except OperationalError:  # the database is away: it is claimed again
        raise
    except (ValueError, ArithmeticError, LookupError) as error:
        _fail(backtest, str(error))
    except Exception as error:
        # A fault of ours, for the log. Without an answer it would be claimed again and again, and fail each time.
        _fail(backtest, f"{type(error).__name__}: {error}")
        raise


def _fail(backtest: Backtest, reason: str) -> None:
    failed = {"state": State.FAILED, "progress": 1.0, "reason": reason.replace("\0", "")[:300]}
    with suppress(backtest_claims.Lost):
        backtest_claims.answer(backtest, failed)


def _loaded(backtest: Backtest) -> tuple[Candles, Candles]:
    """Raises ValueError when the candles are no longer those that were asked about."""
    older, candles = candles_of(backtest.market_id, backtest.timeframe, backtest.begin, backtest.end)
    if digest(backtest, candles) != backtest.digest:
        raise ValueError("The candles have changed since it was asked for: start it anew.")
    return older, candles


def _single(backtest: Backtest) -> dict[str, Any]:
    older, candles = _loaded(backtest)
    backtest_claims.show_progress(backtest, 0.2)
    key, terms = (backtest.market_id, backtest.timeframe), Terms(**backtest.terms)
    settings = trials.settings_of(
        KINDS[backtest.kind], backtest.params, backtest.limits, terms, float(backtest.allocation), key
    )
    result = trials.tried(settings, candles, KnownBars(Candles.joined([older, candles])))
    backtest_claims.show_progress(backtest, 0.9)
    return {
        "metrics": result.metrics,
        "bounds": {"worst": result.worst, "best": result.best},
        "curve": packed(candles, result.steps.equity, settings.capital),
        "trades": zlib.compress(result.steps.trades.tobytes()),
    }


def _grid(backtest: Backtest) -> dict[str, Any]:
    kind, terms, capital = KINDS[backtest.kind], Terms(**backtest.terms), float(backtest.allocation)
    sets = combinations(kind, backtest.params, backtest.grid)
    older, candles = _loaded(backtest)
    series = _series(backtest, [kind.read(one) for one in sets], older, candles)
    most = limits.for_engine(limits.read(backtest.limits), capital)
    found: list[list[Any]] = []
    began = time.monotonic()
    for at in range(0, len(sets), CHUNK):
        if time.monotonic() - began > LONGEST:
            raise ValueError(f"It takes longer than {LONGEST:.0f} s: {at:,} of {len(sets):,} were done. Ask for fewer.")
        backtest_claims.show_progress(backtest, at / len(sets))
        part = sweep(kind, sets[at : at + CHUNK], terms, capital, series, most)
        found += [[_chosen(one.params, backtest), one.trades, one.final_equity, one.max_drawdown] for one in part]
    return {"results": found}


def _chosen(params: Any, backtest: Backtest) -> dict[str, Any]:
    """What a set has that is not the same in all."""
    return {
        name: value for name, value in params.items() if backtest.params.get(name) != value or name in backtest.grid
    }


def _series(backtest: Backtest, every: Sequence[Any], older: Candles, candles: Candles) -> Series:
    kind, market_id, timeframe = KINDS[backtest.kind], backtest.market_id, backtest.timeframe
    lead_of: Callable[[Any, int], int] = kind.lead or (lambda params, timeframe: 0)
    count = max(lead_of(params, timeframe) for params in every)
    lead = older[max(0, len(older) - count) :]
    models = tuple(sorted({model for params in every for model in kind.columns(params)}))
    shown = Candles.joined([lead, candles])
    columns = forecasting.columns(models, market_id, timeframe, shown, STORED) if models else {}
    paid = funding.rates_of((market_id, timeframe, 0), candles) if backtest.terms["margin"] else NO_FUNDING
    return Series(candles, timeframe, columns, paid, lead)


def packed(candles: Candles, equity: Column, capital: float) -> bytes:
    """Time in ms UTC, equity, close and the fall from the peak, at most POINTS of each, extremes kept."""
    peak = np.maximum(np.maximum.accumulate(equity), capital)
    stretch = max(1, -(-len(equity) // (POINTS // 2)))
    starts = np.arange(0, len(equity), stretch)
    lows = [begin + int(equity[begin : begin + stretch].argmin()) for begin in starts.tolist()]
    highs = [begin + int(equity[begin : begin + stretch].argmax()) for begin in starts.tolist()]
    kept = np.unique([0, len(equity) - 1, *lows, *highs])
    file = io.BytesIO()
    columns = {"time": candles.time, "equity": equity, "close": candles.close, "fall": equity / peak - 1.0}
    np.savez_compressed(file, **{name: column[kept] for name, column in columns.items()})
    return file.getvalue()


def unpacked(backtest: Backtest) -> dict[str, Any]:
    """The columns of packed(); none of one without an answer."""
    if not backtest.curve:
        return {name: np.empty(0) for name in ("time", "equity", "close", "fall")}
    with np.load(io.BytesIO(bytes(backtest.curve)), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def trades_of(backtest: Backtest) -> np.ndarray[Any, Any]:
    """TRADE records."""
    return np.frombuffer(zlib.decompress(bytes(backtest.trades)) if backtest.trades else b"", TRADE)
