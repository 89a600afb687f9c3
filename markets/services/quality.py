"""What is odd about candles that arrived, noted once for as long as it lasts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.utils import timezone

from markets import candles as store
from markets import quality
from markets.models import Feed, FeedNotice
from markets.quality import Oddity
from markets.series import Candles

QUIET = 10  # candles without it, and it is over
KEPT = timedelta(days=90)  # after it is over
MOST = 50_000  # candles of time looked at in one go
Key = tuple[int, int, str]
Arrived = tuple[Feed, Candles]


def inspect(arrived: Sequence[Arrived]) -> None:
    """Look at candles of feeds that have just been stored and keep their notices; the same candles do nothing again."""
    arrived = [(feed, candles) for feed, candles in arrived if len(candles)]
    if not arrived:
        return
    found = _found(arrived)
    known = {
        (notice.market_id, notice.timeframe, notice.code): notice
        for notice in FeedNotice.objects.lasting().filter(market__in={feed.market_id for feed, _ in arrived})
    }
    # What is odd about the past is over when candles followed long ago.
    last = {
        (feed.market_id, feed.timeframe): max(int(candles.time[-1]), feed.synced_to or 0) for feed, candles in arrived
    }
    changed = [known[key] for key, oddity in found.items() if key in known and _seen(known[key], oddity)]
    new = [_noted(key, oddity) for key, oddity in found.items() if key not in known]
    over = [notice for notice in (*known.values(), *new) if _over(notice, last)]
    for notice in over:
        notice.resolved_at = timezone.now()
    # Whoever else looks at the same candles finds the same.
    FeedNotice.objects.bulk_create(new, ignore_conflicts=True)
    FeedNotice.objects.bulk_update(
        {notice.pk: notice for notice in (*changed, *over) if notice not in new}.values(),
        ["last_time", "times_seen", "sentence", "resolved_at"],
    )


def inspect_stored(feed: Feed, first: int, last: int) -> None:
    """The same of candles of the past that open from first to last, ms UTC, and have just been stored."""
    part = MOST * feed.timeframe * 1000
    for start in range(first, last + 1, part):
        inspect([(feed, store.load(feed.market_id, feed.timeframe, start, min(start + part, last + 1)))])


def _found(arrived: Sequence[Arrived]) -> dict[Key, Oddity]:
    """With as many candles before those that arrived as they are judged by, in one query."""
    marks = {
        (feed.market_id, feed.timeframe, int(candles.time[0]) - (quality.WINDOW + 1) * feed.timeframe * 1000): candles
        for feed, candles in arrived
    }
    most = max(len(candles) for candles in marks.values()) + quality.WINDOW + 1
    known = store.load_after(list(marks), most)
    stretches = [quality.Stretch(known[mark], int(candles.time[0]), mark[1]) for mark, candles in marks.items()]
    return {
        (market_id, timeframe, oddity.code): oddity
        for (market_id, timeframe, _), found in zip(marks, quality.oddities_of_many(stretches), strict=True)
        for oddity in found
    }


def _seen(notice: FeedNotice, oddity: Oddity) -> bool:
    """Bring a notice up to date; whether there was anything new."""
    later = [time for time in oddity.times if time > notice.last_time]
    if later:
        notice.last_time, notice.sentence = later[-1], oddity.sentence
        notice.times_seen += len(later)
    return bool(later)


def _noted(key: Key, oddity: Oddity) -> FeedNotice:
    market_id, timeframe, code = key
    return FeedNotice(
        market_id=market_id,
        timeframe=timeframe,
        code=code,
        first_time=oddity.times[0],
        last_time=oddity.times[-1],
        times_seen=len(oddity.times),
        sentence=oddity.sentence,
    )


def _over(notice: FeedNotice, last: dict[tuple[int, int], int]) -> bool:
    """Whether the last candle of its feed came well after; feeds that brought nothing say nothing."""
    now = last.get((notice.market_id, notice.timeframe), 0)
    return now - notice.last_time >= QUIET * notice.timeframe * 1000


def forget_notices() -> int:
    """Delete those that are long over; rows deleted."""
    deleted, _ = FeedNotice.objects.filter(resolved_at__lt=timezone.now() - KEPT).delete()
    return deleted
