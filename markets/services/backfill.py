"""Candles of the past: what is missing between two moments is fetched, asked for once more, and then declared.

What is missing is read off the stored rows each time, so a backfill that was killed goes on where it was.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from django.db import transaction

from markets import candles as store
from markets import gaps, series
from markets.budget import CLOCK, Clock
from markets.gaps import Stretch
from markets.models import Feed, Market
from markets.series import Candles, Row
from markets.services import prices, quality
from markets.surface import Gateway, GatewayError
from orchestrator import notify

logger = logging.getLogger(__name__)

PAGE = 1000
# Two minutes in all, for a person waits for it.
DELAYS = (1, 2, 4, 8, 15, 30, 30, 30)
# A candle may be published late: a hole is not declared before the exchange has had so long.
LATE_MS = 600_000

Progress = Callable[[int, int], None]


@dataclass
class Backfilled:
    """rows: stored or changed; gaps: stretches that the exchange left out when it was asked for them first; of these
    repaired: given when asked again, declared: not given then either; requests: made of the exchange."""

    rows: int = 0
    gaps: int = 0
    repaired: int = 0
    declared: int = 0
    requests: int = 0


def backfill(
    market: Market,
    timeframe: int,
    since: int,
    until: int | None,
    source: Gateway,
    clock: Clock = CLOCK,
    progress: Progress = lambda done, of: None,
) -> Backfilled:
    """Store the closed candles with open time in [since, until), ms UTC; until now when None. timeframe: seconds.

    progress is told candles asked for, and of how many. Raises GatewayError when the exchange goes on failing; what
    was stored until then stays.
    """
    step = timeframe * 1000
    asked, now = source.requests, source.now_ms()
    since = -(-since // step) * step
    closed = series.open_time(now, timeframe)
    until = closed if until is None else min(-(-until // step) * step, closed)
    work = Work(market, timeframe, source, clock, since, DELAYS)
    wanted = gaps.missing(market.pk, timeframe, since, until)
    result = Backfilled(rows=work.fill(wanted, progress))
    left = gaps.missing(market.pk, timeframe, since, until)
    result.gaps = len(left)
    result.rows += work.fill(left)
    absent = gaps.missing(market.pk, timeframe, since, until)
    result.repaired = gaps.filled(left, absent)
    result.declared = declare(market, timeframe, absent, now)
    result.requests = source.requests - asked
    _advance(market, timeframe, since, until)
    return result


@dataclass
class Work:
    """Candles of one market, asked for and stored."""

    market: Market
    timeframe: int
    source: Gateway
    clock: Clock = CLOCK
    earliest: int = 0  # open time, ms UTC, before which nothing is wanted
    delays: Sequence[int] = ()  # seconds between tries of a request that failed for now

    def fill(self, stretches: Sequence[Stretch], progress: Progress = lambda done, of: None) -> int:
        """Ask once for all candles of ascending stretches; rows stored or changed. Raises GatewayError."""
        step = self.timeframe * 1000
        of = sum(end - start for start, end in stretches) // step
        rows, feed = 0, self._feed()
        for page, answered in self._pages(stretches):
            rows += self._keep(feed, Candles.from_rows(page))
            progress(of - sum(max(end - max(start, answered), 0) for start, end in stretches) // step, of)
        return rows

    def _feed(self) -> Feed:
        """The one that the candles are of, or as it would be."""
        known = Feed.objects.filter(market=self.market, timeframe=self.timeframe).first()
        return known or Feed(market=self.market, timeframe=self.timeframe)

    @transaction.atomic
    def _keep(self, feed: Feed, candles: Candles) -> int:
        written = store.upsert(self.market.pk, self.timeframe, candles)
        quality.inspect([(feed, candles)])
        return written

    def _pages(self, stretches: Sequence[Stretch]) -> Iterator[tuple[list[Row], int]]:
        """(candles, open time up to which the exchange has answered): short holes side by side in one request.

        Each is asked for with the candle before it, which may have been revised since it was given as the last one.
        """
        step, answered = self.timeframe * 1000, 0
        last = stretches[-1][1] if stretches else 0
        for start, end in stretches:
            while (cursor := max(start, answered)) < end:
                count = min(PAGE, (last - cursor) // step)
                page = self._ask(max(cursor - step, self.earliest), count + 1)
                fresh = [row[0] for row in page if row[0] >= cursor]
                # With nothing to give some exchanges look no further than the page.
                answered = fresh[-1] + step if fresh else cursor + count * step
                yield [row for row in page if row[0] < last], answered

    def _ask(self, since: int, limit: int) -> list[Row]:
        """Patiently. An empty answer is believed at last only, where it contradicts an earlier one."""
        known = store.extent(self.market.pk, self.timeframe, since, since + 1) is not None
        for delay in self.delays:
            try:
                page = self._fetch(since, limit)
                if page or not known:
                    return page
                reason = f"{self.market.symbol} has no candle at {since}, it says, and has given it before."
            except GatewayError as error:
                if error.permanent:
                    raise
                reason = str(error)
            logger.warning("%s Asked again in %d s.", reason, delay)
            self.clock.sleep(delay)
        return self._fetch(since, limit)

    def _fetch(self, since: int, limit: int) -> list[Row]:
        return self.source.fetch_ohlcv(self.market.symbol, self.timeframe, since, limit)


def declare(market: Market, timeframe: int, absent: Sequence[Stretch], now: int) -> int:
    """Note what an exchange did not give twice, but for what it may still publish; number of stretches noted."""
    settled = now - LATE_MS
    return gaps.declare(market.pk, timeframe, gaps.without(absent, [(settled - settled % (timeframe * 1000), now)]))


@transaction.atomic
def _advance(market: Market, timeframe: int, since: int, until: int) -> None:
    """The feed says how far it is. One made here is not followed, and forgets nothing."""
    Feed.objects.get_or_create(market=market, timeframe=timeframe, defaults={"enabled": False, "keep_days": 0})
    feed = Feed.objects.select_for_update().get(market=market, timeframe=timeframe)
    extent = store.extent(market.pk, timeframe, since, until)
    if extent is None:
        return
    step = timeframe * 1000
    # Beyond what it had only if there is nothing unknown between.
    if feed.synced_to is None or since - step <= feed.synced_to < extent[1]:
        feed.synced_to = extent[1]
        feed.save(update_fields=["synced_to"])
    prices.record_from_candles([feed])
    notify.changed([notify.market_topic(market.pk)])
