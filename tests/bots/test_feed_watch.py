from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from bots import feed_watch, services, why
from bots.models import Balance, Bot, Event, LateFeed, Run
from markets.models import Feed
from tests.dashboard.cast import make_bot, make_draft, make_market, make_user


@pytest.fixture
def bot(db):
    return make_bot(make_user("owner"), make_market(minutes=0), trades=0)


def closed(minutes_ago):
    Feed.objects.update(synced_to=int((timezone.now() - timedelta(minutes=minutes_ago)).timestamp() * 1000))


def told():
    return list(Event.objects.filter(code="feed").order_by("id").values_list("level", "message"))


def test_candles_that_stay_away_are_told_once_and_so_is_their_return(bot):
    closed(minutes_ago=30)
    Feed.objects.update(error="The exchange does not answer.")
    assert feed_watch.watch() == 0  # it may be about to fetch them
    assert [feed_watch.watch() for _ in range(3)] == [1, 0, 0]
    ((level, message),) = told()
    assert level == "warning"
    assert message.startswith("No candles of BTC/USDT 1m come: the last one closed at ")
    assert message.endswith(" The bot waits. The exchange does not answer.")
    closed(minutes_ago=1)
    assert [feed_watch.watch() for _ in range(2)] == [1, 0]
    assert told()[1:] == [("info", "The candles of BTC/USDT 1m come again.")]
    assert not LateFeed.objects.exists()


def test_who_fetches_them_within_a_minute_was_never_late(bot):
    closed(minutes_ago=30)
    feed_watch.watch()
    closed(minutes_ago=1)
    assert [feed_watch.watch() for _ in range(2)] == [0, 0]
    assert told() == []


def test_a_feed_that_no_running_bot_waits_for_is_nobodys_matter(bot):
    closed(minutes_ago=30)
    Run.objects.update(status=Run.Status.PAUSED)
    assert [feed_watch.watch() for _ in range(2)] == [0, 0]
    assert not LateFeed.objects.exists()


def test_a_feed_that_is_deleted_does_not_come_again(bot):
    closed(minutes_ago=30)
    for _ in range(2):
        feed_watch.watch()
    Feed.objects.all().delete()
    assert feed_watch.watch() == 0
    assert [level for level, _ in told()] == ["warning"]
    assert not LateFeed.objects.exists()


def test_every_bot_of_the_feed_hears_of_it_in_few_queries(bot, django_assert_max_num_queries):
    for number in range(5):
        make_bot(bot.owner, bot.market, f"Grid {number}", trades=0)
    closed(minutes_ago=30)
    feed_watch.watch()
    with django_assert_max_num_queries(10):
        assert feed_watch.watch() == 6
    assert Event.objects.filter(code="feed").values("bot").distinct().count() == 6


def answer(bot):
    bot = why.with_orders(Bot.objects.select_related("account", "market__exchange")).get(pk=bot.pk)
    events = list(Event.objects.filter(bot=bot).order_by("-id"))
    return why.answer(bot, bot.runs.order_by("-number").first(), events, timezone.now())


def test_who_starts_or_goes_on_while_the_feed_is_late_is_told_once(bot):
    closed(minutes_ago=30)
    later = make_draft(bot.owner, bot.market, "Later")
    Balance.objects.create(account=later.account, currency="USDT", free=5000)
    for _ in range(2):
        feed_watch.watch()
    services.start(later)
    level, message = Event.objects.filter(bot=later, code="feed").values_list("level", "message").get()
    assert level == "warning"
    assert message.startswith("No candles of BTC/USDT 1m come: the last one closed at ")
    assert answer(later).startswith("Waiting for a candle: the feed of BTC/USDT 1m is behind")
    services.pause(later)
    services.resume(later)
    feed_watch.watch()
    assert Event.objects.filter(bot=later, code="feed").count() == 1
    closed(minutes_ago=1)
    feed_watch.watch()
    assert Event.objects.filter(bot=later, code="feed").latest("id").message == "The candles of BTC/USDT 1m come again."


def test_who_was_paused_when_it_was_told_hears_of_it_when_it_goes_on(bot):
    paused = make_draft(bot.owner, bot.market, "Paused")
    Balance.objects.create(account=paused.account, currency="USDT", free=5000)
    services.start(paused)
    services.pause(paused)
    closed(minutes_ago=30)
    for _ in range(2):
        feed_watch.watch()
    assert not Event.objects.filter(bot=paused, code="feed").exists()
    services.resume(paused)
    assert Event.objects.get(bot=paused, code="feed").level == "warning"


def test_who_starts_on_a_feed_that_is_in_time_is_told_nothing(bot):
    LateFeed.objects.create(market=bot.market, timeframe=300, told=True)
    closed(minutes_ago=1)
    later = make_draft(bot.owner, bot.market, "Later")
    Balance.objects.create(account=later.account, currency="USDT", free=5000)
    services.start(later)
    assert told() == []
