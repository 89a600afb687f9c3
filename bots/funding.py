"""What runs on swaps need to know of funding: the rates, and whether all are there.

A candle that opens when funding settles must not be seen before its rate is known, or the payment would be lost. So a
run waits at every full hour (no exchange settles more often) until the rates up to it were asked for, but not for ever:
an exchange that does not tell would hold up its stops.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from django.db.models import Exists, F, OuterRef, Q

from bots.engine.simulate import NO_FUNDING, Funding
from markets import funding as store
from markets.candles import Mark
from markets.models import Feed, Market
from markets.series import Candles
from orchestrator.prepared import Prepared, among

HOUR_MS = 3_600_000
# A run goes on when a candle is there that opened so much later: without the rate, and says so.
PATIENCE_MS = 600_000

_NEXT = F("bar_time") + F("timeframe") * 1000
_FAR_AHEAD = Feed.objects.filter(
    market=OuterRef("market"),
    timeframe=OuterRef("timeframe"),
    synced_to__gte=OuterRef("bar_time") + OuterRef("timeframe") * 1000 + PATIENCE_MS,
)
_HOUR = _NEXT - _NEXT % HOUR_MS
# Of runs: those that do not wait for a rate.
KNOWN = ~Q(market__type="swap") | Q(bar_time__gte=_HOUR) | Q(market__funding_to__gte=_HOUR) | Exists(_FAR_AHEAD)
_KNOWN_TO = Prepared(
    lambda: Market.objects.filter(among("markets_market.id", "markets")).order_by().values_list("pk", "funding_to")
)


def rates_of(mark: Mark, candles: Candles) -> Funding:
    """The funding that settles after a mark, up to the open of the last candle."""
    if not len(candles) or candles.time[-1] // HOUR_MS == mark[2] // HOUR_MS:
        return NO_FUNDING
    found = store.load(mark[0], mark[2], int(candles.time[-1]))
    return Funding(*found) if len(found[0]) else NO_FUNDING


def await_rates(new: Mapping[Mark, Candles], swaps: Collection[int]) -> tuple[dict[Mark, Candles], dict[Mark, int]]:
    """(the candles that may be seen, the first hour of those that are seen whose rate stays unknown, ms UTC).

    swaps: the numbers of the markets that have funding.
    """
    known: dict[int, int | None] = dict(_KNOWN_TO.rows(markets=list(swaps))) if swaps else {}
    seen, unknown = dict(new), {}
    for mark, candles in new.items():
        if mark[0] not in known or not len(candles):
            continue
        # An hour that the run has passed already asks for nothing.
        passed = max(known[mark[0]] or 0, mark[2])
        if candles.time[-1] - candles.time[-1] % HOUR_MS <= passed:
            continue
        hours = candles.time - candles.time % HOUR_MS
        late = np.flatnonzero(hours > passed)
        if candles.time[-1] - candles.time[late[0]] < PATIENCE_MS:
            seen[mark] = candles[: late[0]]
        else:
            unknown[mark] = int(hours[late[0]])
    return seen, unknown
