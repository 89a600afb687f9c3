"""Tells the bots of a feed that its candles stay away, and that they come again: once each, as events.

Those that run then are told when it is found out, the others when they start or go on.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from bots.models import Event, LateFeed, Mode, Run
from bots.outcomes import event_row
from markets.models import Feed
from markets.series import TIMEFRAME_NAMES
from orchestrator import notify

Key = tuple[int, int]  # market, timeframe in s


@transaction.atomic
def watch() -> int:
    """Look at the feeds that running bots wait for; returns how many events there are to say so.

    Late the second time it is looked at, that is: who comes up again after an hour has candles to fetch first.
    """
    now = timezone.now()
    known = {(row.market_id, row.timeframe): row for row in LateFeed.objects.select_for_update()}
    waited_for = Exists(_running().filter(market=OuterRef("market"), timeframe=OuterRef("timeframe")))
    feeds = {(feed.market_id, feed.timeframe): feed for feed in Feed.objects.filter(waited_for)}
    late = {key: feed for key, feed in feeds.items() if feed.late(now)}
    over = [row for key, row in known.items() if key not in late]
    lasting = [known[key] for key in late if key in known and not known[key].told]
    LateFeed.objects.filter(pk__in=[row.pk for row in over]).delete()
    LateFeed.objects.filter(pk__in=[row.pk for row in lasting]).update(told=True)
    LateFeed.objects.bulk_create(
        [LateFeed(market_id=market, timeframe=timeframe) for market, timeframe in late.keys() - known.keys()],
        ignore_conflicts=True,
    )
    return _tell({(row.market_id, row.timeframe): late[row.market_id, row.timeframe] for row in lasting}) + _tell(
        # Of a feed that was deleted nothing comes again.
        {key: None for row in over if row.told and (key := (row.market_id, row.timeframe)) in feeds}
    )


def greet(run: Run) -> None:
    """Tell a run that starts or goes on what the others know of its feed; in the transaction that makes it run.

    The row is locked, so that either this or watch() sees the other's.
    """
    rows = LateFeed.objects.select_for_update(no_key=True).filter(market=run.market_id, timeframe=run.timeframe)
    known = rows.first()
    feed = Feed.objects.filter(market=run.market_id, timeframe=run.timeframe).first()
    if known is None or not known.told or feed is None or _was_told(run, known):
        return
    _event(run, feed).save()


def _was_told(run: Run, known: LateFeed) -> bool:
    """Whether a run that goes on was there when the others were told."""
    return Event.objects.filter(bot=run.bot_id, run=run, code="feed", recorded_at__gte=known.seen_at).exists()


def _running() -> QuerySet[Run]:
    return Run.objects.filter(status=Run.Status.RUNNING).exclude(mode=Mode.REPLAY)


def _tell(feeds: dict[Key, Feed | None]) -> int:
    """An event for every running bot of these feeds; None: its candles come again."""
    if not feeds:
        return 0
    runs = _running().filter(market__in={market for market, _ in feeds}).select_related("bot", "market")
    events = [
        _event(run, feeds[run.market_id, run.timeframe]) for run in runs if (run.market_id, run.timeframe) in feeds
    ]
    Event.objects.bulk_create(events)
    _changed(events)
    return len(events)


def _event(run: Run, late: Feed | None) -> Event:
    named = f"{run.market.symbol} {TIMEFRAME_NAMES.get(run.timeframe, run.timeframe)}"
    if late is None:
        return event_row(run, (Event.Level.INFO, "feed", f"The candles of {named} come again.", {}), timezone.now())
    closed = datetime.fromtimestamp((late.synced_to or 0) / 1000 + run.timeframe, UTC)
    why = f" {late.error}" if late.error else ""
    sentence = f"No candles of {named} come: the last one closed at {closed:%m-%d %H:%M} UTC. The bot waits.{why}"
    return event_row(run, (Event.Level.WARNING, "feed", sentence, {}), timezone.now())


def _changed(events: Iterable[Event]) -> None:
    notify.changed(notify.bot_topic(event.owner_id, event.bot_id) for event in events if event.bot_id)
