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
    last = {(feed.market_id, feed.timeframe): int(candles.time[-1]) for feed, candles in arrived}
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


def _found(arrived: Sequence[Arrived]) -> dict[Key, Oddity]:
    """With as many candles before those that arrived as they are judged by, in one query."""
    marks = {
        (feed.market_id, feed.timeframe, int(candles.time[0]) - (quality.WINDOW + 1) * feed.timeframe * 1000): candles
        for feed, candles in arrived
    }
    most = max(len(candles) for candles in marks.values()) + quality.WINDOW + 1
    return {
        (market_id, timeframe, oddity.code): oddity
        for (market_id, timeframe, after), known in store.load_after(list(marks), most).items()
        for oddity in quality.oddities(known, int(marks[market_id, timeframe, after].time[0]), timeframe)
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
