"""Thirty days of candles from a server that does all that exchanges do."""

from __future__ import annotations

from itertools import pairwise

import pytest

from markets import candles, gaps, gateway, services
from markets.budget import CLOCK
from markets.models import CandleGap, Exchange, Feed, Market
from markets.series import Candles
from markets.services.backfill import LATE_MS, PAGE, backfill
from markets.surface import GatewayError
from tests.markets.venue import HOLD, MINUTE, START, PassingClock, Venue, binance_config, kraken_config, serve

DAYS = 30
ALL = DAYS * 1440
PATIENCE = 10_000.0


@pytest.fixture
def clock():
    return PassingClock()


@pytest.fixture
def open_venue(db, redis):
    """venue, ccxt id, further configuration -> (its market, the gateway)."""
    stops = []

    def opened(venue, ccxt_id="binance", symbol="BTC/USDT", **more):
        url, stop = serve(venue)
        stops.append(stop)
        config = {"binance": binance_config, "kraken": kraken_config}[ccxt_id](url, **more)
        exchange = Exchange.objects.create(
            slug=f"{ccxt_id}-{len(stops)}", name=ccxt_id, ccxt_id=ccxt_id, ccxt_config=config
        )
        source = gateway.connect(exchange, venue.clock, PATIENCE)
        source.now_ms()  # its clock is measured
        (info,) = source.fetch_markets()
        return Market.objects.create(exchange=exchange, **info._asdict()), source

    yield opened
    for stop in stops:
        stop()


def stored(market):
    return candles.load(market.pk, 60).rows()


def fetched(market, source, clock, since=0, until=None, progress=lambda done, of: None):
    since = since or START - (ALL - 1) * MINUTE
    return backfill(market, 60, since, until, source, clock, progress)


def test_thirty_days_come_whole_and_in_as_few_requests_as_pages(open_venue, clock):
    venue = Venue(clock, DAYS)
    market, source = open_venue(venue)
    told = []
    result = fetched(market, source, clock, progress=lambda done, of: told.append((done, of)))
    assert stored(market) == venue.closed
    assert (result.rows, result.gaps, result.repaired, result.declared) == (ALL - 1, 0, 0, 0)
    assert len(venue.asked) == -(-ALL // (PAGE - 1))
    assert result.requests == len(venue.asked)
    assert told[-1] == (ALL - 1, ALL - 1)
    assert told == sorted(told)
    assert venue.connections == 1
    feed = Feed.objects.with_synced_from().get()
    assert (feed.synced_from, feed.synced_to) == (venue.closed[0][0], venue.closed[-1][0])
    assert (feed.enabled, feed.keep_days) == (False, 0)


def test_what_is_stored_is_not_asked_for_again(open_venue, clock):
    venue = Venue(clock, 2)
    market, source = open_venue(venue)
    first = START - 2879 * MINUTE
    fetched(market, source, clock, since=first)
    venue.asked.clear()
    assert fetched(market, source, clock, since=first).requests == 0
    clock.now += 3 * MINUTE
    venue.candles += [[START + i * MINUTE, "100", "101", "99", "100", "1"] for i in range(1, 4)]
    assert fetched(market, source, clock, since=first).rows == 3
    assert venue.asked == [START - MINUTE]
    assert stored(market) == venue.closed


FAULTS = [
    500, "timeout", "reset", "truncated", "malformed", 429, 418, 503, "maintenance", "empty", "duplicated",
    "contradicting", "shuffled", "missing", "revised", "nothing known", "half known",
]  # fmt: skip


def test_whatever_goes_wrong_the_candles_are_the_exchange_s_and_the_budget_is_kept(open_venue, clock):
    """Each fault twice, between good answers; holes that are the exchange's own, its clock nine minutes ahead."""
    venue = Venue(clock, DAYS, ahead=9 * MINUTE + 17_000, absent={5_000, 5_001, 5_002, 20_000, 33_333})
    market, source = open_venue(venue, rateLimit=10_000)
    venue.limit = 60_000 / 10_000
    venue.faults = dict(zip(range(1, 4 * len(FAULTS), 2), FAULTS * 2, strict=True))
    since, expected = venue.candles[0][0], venue.closed
    result = fetched(market, source, clock, since=since)
    assert venue.wrongs == []
    assert stored(market) == expected
    assert len(venue.asked) > max(venue.faults)
    assert gaps.declared(market.pk, 60, 0, 2 * START) == own_holes(venue)
    assert (result.declared, result.gaps - result.repaired) == (3, 3)
    assert result.repaired == 2
    assert sum(weight for _, weight in venue.arrivals) * 10_000 < clock.now - START
    assert fetched(market, source, clock, since=since, until=expected[-1][0]).requests == 0


def own_holes(venue):
    times = [row[0] for row in venue.closed]
    return [(a + MINUTE, b) for a, b in pairwise(times) if b - a > MINUTE]


def test_an_exchange_that_keeps_little_says_so_and_is_not_asked_again(open_venue, clock):
    """Kraken gives the last 720 candles, whatever is asked for."""
    venue = Venue(clock, 3)
    market, source = open_venue(venue, "kraken")
    assert (market.symbol, str(market.tick.normalize()), str(market.min_cost)) == ("BTC/USDT", "0.1", "0.5")
    assert (str(market.maker), str(market.taker)) == ("0.0025", "0.004")
    since = venue.candles[0][0]
    result = fetched(market, source, clock, since=since)
    assert stored(market) == venue.closed[-719:]
    assert (result.rows, result.gaps, result.repaired, result.declared) == (719, 1, 0, 1)
    assert gaps.declared(market.pk, 60, 0, START) == [(since, venue.closed[-719][0])]
    assert fetched(market, source, clock, since=since).requests == 0
    CandleGap.objects.all().delete()
    assert fetched(market, source, clock, since=since).requests == 2
    assert venue.wrongs == []


def test_what_may_still_be_published_is_not_declared(open_venue, clock):
    venue = Venue(clock, 1)
    market, source = open_venue(venue)
    late = [venue.candles.pop(-2) for _ in range(3)][::-1]
    result = fetched(market, source, clock, since=START - 1439 * MINUTE)
    assert (result.gaps, result.declared) == (1, 0)
    assert late[0][0] > START - LATE_MS
    venue.candles[-1:-1] = late
    assert fetched(market, source, clock, since=START - 1439 * MINUTE).rows == 3
    assert stored(market) == venue.closed


def test_an_exchange_that_stays_down_ends_it_with_a_sentence_and_keeps_what_came(open_venue, clock):
    venue = Venue(clock, 5)
    market, source = open_venue(venue)
    venue.faults = dict.fromkeys(range(3, 100), "maintenance")
    with pytest.raises(GatewayError, match=r"cannot be reached.*503"):
        fetched(market, source, clock, since=venue.candles[0][0])
    assert len(stored(market)) == 2998
    assert Feed.objects.count() == 0
    venue.faults = {}
    venue.asked.clear()
    fetched(market, source, clock, since=venue.candles[0][0])
    assert venue.asked[0] == venue.candles[2997][0]
    assert stored(market) == venue.closed


def test_a_ban_is_waited_for_by_everybody(open_venue, clock):
    venue = Venue(clock, 1)
    market, source = open_venue(venue)
    venue.faults = {0: 418}
    with pytest.raises(GatewayError, match="asks for fewer requests"):
        source.fetch_ohlcv("BTC/USDT", 60, START - 10 * MINUTE, 5)
    impatient = gateway.connect(market.exchange, venue.clock)
    assert impatient is not source
    with pytest.raises(GatewayError, match=f"left alone; it is asked again in {HOLD[418]} s"):
        impatient.fetch_markets()
    before = clock.now
    assert len(source.fetch_ohlcv("BTC/USDT", 60, START - 10 * MINUTE, 5)) == 5
    assert clock.now - before >= HOLD[418] * 1000
    assert venue.wrongs == []


def test_a_hole_that_sync_left_is_asked_for_once_more_and_then_declared(open_venue, clock):
    venue = Venue(CLOCK, 1)
    venue.candles.pop()  # it would close while this runs
    del venue.candles[700]
    market, _ = open_venue(venue, rateLimit=1)
    venue.faults = {0: "missing"}
    feed = Feed.objects.create(market=market, timeframe=60, keep_days=0, synced_to=venue.candles[0][0])
    candles.upsert(market.pk, 60, Candles.from_rows(venue.closed[:1]))
    services.sync()
    assert len(candles.gaps(market.pk, 60)) == 2
    services.repair_gaps()
    assert stored(market) == venue.closed
    assert gaps.declared(market.pk, 60, 0, 2 * START) == own_holes(venue)
    feed.refresh_from_db()
    assert venue.closed[-1][0] - LATE_MS <= feed.repaired_to <= venue.closed[-1][0]
    venue.asked.clear()
    services.repair_gaps()
    assert venue.asked == []


def test_a_candle_revised_after_it_was_told_as_the_last_is_corrected_by_the_next_sync(open_venue):
    venue = Venue(CLOCK, 1)
    venue.candles.pop()
    later = venue.candles.pop()
    market, _ = open_venue(venue, rateLimit=1)
    venue.faults = {0: "revised"}
    Feed.objects.create(market=market, timeframe=60, keep_days=0, synced_to=venue.candles[-10][0])
    assert services.sync() == 10
    assert stored(market)[:-1] == venue.closed[-10:-1]
    assert stored(market)[-1] != venue.closed[-1]
    venue.candles.append(later)
    assert services.sync() == 2
    assert stored(market) == venue.closed[-11:]


@pytest.mark.parametrize(
    ("stretches", "others", "left"),
    [
        ([(0, 10)], [], [(0, 10)]),
        ([(0, 10)], [(0, 10)], []),
        ([(0, 10)], [(3, 5)], [(0, 3), (5, 10)]),
        ([(0, 10), (20, 30)], [(5, 25)], [(0, 5), (25, 30)]),
        ([(0, 10)], [(2, 8), (3, 4), (9, 12)], [(0, 2), (8, 9)]),
        ([(5, 10)], [(0, 3), (20, 30)], [(5, 10)]),
    ],
)
def test_stretches_are_taken_out_of_stretches(stretches, others, left):
    assert gaps.without(stretches, others) == left
    assert gaps.filled(stretches, left) == sum(
        not any(start < end_ and begin < end for begin, end_ in left) for start, end in stretches
    )
