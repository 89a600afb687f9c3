"""Follows the exchanges' streams: closed candles are stored and followed up at once, by the clock where none is told.

All that touches the database happens in one thread; streams tell theirs through a queue. Nothing here is the truth:
what is not heard is asked for by the ordinary sync, and whatever both of them do is decided by the rows' locks.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError

from markets import gateway
from markets.budget import CLOCK
from markets.forming import Key
from markets.gateway import Heard, Stream
from markets.models import Exchange, Feed
from markets.series import Candles, Row
from markets.services import prices
from markets.services.feeds import Fetched, keep
from markets.surface import GatewayError, Ticker

logger = logging.getLogger(__name__)

SYNC = "markets.tasks.sync_candles"
EXPIRES_S = 30  # beat does the same within seconds
WAIT_S = 0.25  # longest turn in which nothing is heard
REFRESH_S = 5.0  # feeds are read anew
SYNC_S = 1.0  # syncs are asked for at most so often: simulated clocks may run fast
# After a close: the exchange's time to publish it; with a stream, time for it to be heard.
PUBLISHED_MS, HEARD_MS = 500, 3_000


class Heeded(NamedTuple):
    """written: rows; claimed: the feeds that nobody else was at; is_behind: whether one misses candles before."""

    written: int
    claimed: list[Feed]
    is_behind: bool


@transaction.atomic
def store_heard(heard: Mapping[int, Sequence[Row]]) -> Heeded:
    """Store closed candles by feed id, as far as they follow what is stored; what is known already changes nothing.

    Feeds that another worker is at are skipped. Raises series.BadCandle, and then stores nothing.
    """
    feeds = Feed.objects.alive().filter(pk__in=list(heard)).select_related("market")
    claimed = list(feeds.select_for_update(skip_locked=True, of=("self",)).order_by("pk"))
    results = [(feed, _following(feed, heard[feed.pk])) for feed in claimed]
    stored = [Fetched(feed, Candles.from_rows(rows), "") for feed, rows in results if rows]
    for feed, candles, _, _ in stored:
        if feed.heard_from is None:
            feed.heard_from = int(candles.time[0])
    is_behind = any(len(rows) < len(heard[feed.pk]) for feed, rows in results)
    return Heeded(keep(stored) if stored else 0, claimed, is_behind)


def _following(feed: Feed, rows: Sequence[Row]) -> list[Row]:
    """Those without a hole before them; of a feed that has no candles yet, none."""
    if feed.synced_to is None:
        return []
    step, upto, found = feed.timeframe * 1000, feed.synced_to, []
    for row in rows:
        if row[0] > upto + step:
            break
        found.append(row)
        upto = max(upto, row[0])
    return found


def have_followed_up() -> None:
    """Have done what follows from closed candles, without waiting for beat."""
    _send(settings.CANDLE_TASKS)


def _send(names: Sequence[str]) -> None:
    try:
        for name in names:
            current_app.send_task(name, expires=EXPIRES_S)
    except OperationalError as error:
        logger.warning("Redis, where jobs wait, cannot be reached; beat has them done later: %s", error)


class _Followed:
    """An exchange, its feeds, and its stream if it has one."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.feeds: dict[Key, Feed] = {}
        self.stream: Stream | None = None
        self._asked: dict[Key, int] = {}  # open time of the last candle a sync was asked for

    def now_ms(self) -> int:
        if self.exchange.is_simulated:
            return gateway.connect(self.exchange).now_ms()
        return CLOCK.now_ms() + (self.stream.offset_ms if self.stream else 0)

    def is_overdue(self) -> bool:
        """Whether a candle has closed that nobody told of; said once of each."""
        patience = HEARD_MS if self.stream and self.stream.is_heard else PUBLISHED_MS
        now = self.now_ms() - (0 if self.exchange.is_simulated else patience)
        late = [
            (key, feed.synced_to) for key, feed in self.feeds.items()
            if feed.synced_to is not None and feed.synced_to + 2000 * feed.timeframe <= now
        ]  # fmt: skip
        latest = {key: now - now % (1000 * key[1]) for key, _ in late}
        fresh = {key: time for key, time in latest.items() if self._asked.get(key) != time}
        self._asked |= fresh
        return bool(fresh)

    def end(self) -> None:
        if self.stream:
            self.stream.stop()


class Follower:
    """What stream_markets does, a turn at a time."""

    def __init__(self) -> None:
        self._heard: queue.SimpleQueue[tuple[int, Heard]] = queue.SimpleQueue()
        self._followed: dict[int, _Followed] = {}
        self._waiting: dict[int, dict[int, Row]] = {}  # feed id -> open time -> candle that is not stored yet
        self._is_behind = False
        self._refresh_at = self._sync_at = 0.0

    @property
    def exchanges(self) -> list[str]:
        return sorted(one.exchange.slug for one in self._followed.values())

    def refresh(self) -> None:
        """Read the feeds, which others bring up to date as well, and follow those that there are now."""
        self._refresh_at = CLOCK.monotonic() + REFRESH_S
        found: dict[Exchange, dict[Key, Feed]] = {}
        for feed in Feed.objects.alive().select_related("market__exchange").order_by("pk"):
            found.setdefault(feed.market.exchange, {})[feed.market.symbol, feed.timeframe] = feed
        for gone in self._followed.keys() - {exchange.pk for exchange in found}:
            self._followed.pop(gone).end()
        for exchange, feeds in found.items():
            if exchange.ccxt_id != gateway.FILE:
                self._follow(exchange, feeds)

    def _follow(self, exchange: Exchange, feeds: dict[Key, Feed]) -> None:
        known = self._followed.get(exchange.pk)
        same = known and known.feeds.keys() == feeds.keys() and _connects_alike(known.exchange, exchange)
        if known and not same:
            known.end()
        if not known or not same:
            known = self._followed[exchange.pk] = _Followed(exchange)
            try:
                known.stream = gateway.follow(
                    exchange, list(feeds), lambda heard: self._heard.put((exchange.pk, heard))
                )
            except GatewayError as error:
                logger.warning("Stream of %s: %s", exchange.slug, error)
        known.feeds = feeds

    def turn(self, wait: float = WAIT_S) -> None:
        """Wait for what is told, `wait` seconds at most, and do what follows."""
        if CLOCK.monotonic() >= self._refresh_at:
            self.refresh()
        self._is_behind |= self._take(wait)
        self._is_behind |= self._store()
        overdue = [one.is_overdue() for one in self._followed.values()]
        self._is_behind |= any(overdue)
        if self._is_behind and CLOCK.monotonic() >= self._sync_at:
            self._is_behind, self._sync_at = False, CLOCK.monotonic() + SYNC_S
            _send([SYNC])

    def _take(self, wait: float) -> bool:
        """Take in all that was told; whether a candle closed of which not all was heard."""
        unsure, tickers = False, dict[int, dict[str, Ticker]]()
        while (told := self._next(wait)) is not None:
            wait = 0.0
            exchange_id, heard = told
            tickers.setdefault(exchange_id, {}).update(heard.tickers)
            unsure |= heard.closed.unsure
            self._note(exchange_id, heard)
        for exchange_id, found in tickers.items():
            self._price(exchange_id, found)
        return unsure

    def _next(self, wait: float) -> tuple[int, Heard] | None:
        try:
            return self._heard.get(timeout=wait) if wait else self._heard.get_nowait()
        except queue.Empty:
            return None

    def _note(self, exchange_id: int, heard: Heard) -> None:
        followed = self._followed.get(exchange_id)
        feed = followed.feeds.get(heard.key) if followed and heard.key else None
        if feed and heard.closed.rows:
            self._waiting.setdefault(feed.pk, {}).update({row[0]: row for row in heard.closed.rows})

    def _price(self, exchange_id: int, tickers: Mapping[str, Ticker]) -> None:
        followed = self._followed.get(exchange_id)
        markets = {key[0]: feed.market_id for key, feed in followed.feeds.items()} if followed else {}
        told = [(markets[symbol], ticker) for symbol, ticker in tickers.items() if symbol in markets]
        if told:
            prices.record_tickers(told)

    def _store(self) -> bool:
        """Store what waits; whether a feed misses what was before it. Feeds that are taken are tried again."""
        if not self._waiting:
            return False
        heeded = store_heard({pk: [rows[time] for time in sorted(rows)] for pk, rows in self._waiting.items()})
        known = {feed.pk: feed for one in self._followed.values() for feed in one.feeds.values()}
        for feed in heeded.claimed:
            del self._waiting[feed.pk]
            if feed.pk in known:
                known[feed.pk].synced_to = feed.synced_to
        self._waiting = {pk: rows for pk, rows in self._waiting.items() if pk in known}
        if heeded.written:
            have_followed_up()
        return heeded.is_behind

    def end(self) -> None:
        for one in self._followed.values():
            one.end()


def _connects_alike(one: Exchange, other: Exchange) -> bool:
    return (one.ccxt_id, one.ccxt_config) == (other.ccxt_id, other.ccxt_config)
