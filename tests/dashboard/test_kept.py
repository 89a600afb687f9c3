"""Pages answered from the cache or with 304: never stale, never another's, never with another's token."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone

from bots.models import Account, Backtest, Bot, Event, Halt, Order, Position, Run, Trade
from dashboard import page_versions
from dashboard.models import Watched
from dashboard.page_versions import MINUTE, PAGES, version
from markets.models import Exchange, Feed, Market
from tests.dashboard.cast import make_bot, make_market, make_user

pytestmark = pytest.mark.usefixtures("one_minute")
ADDRESSES = {
    "overview": "/", "bots": "/bots/", "bot": "/bots/{bot}/", "positions": "/positions/", "trades": "/trades/",
    "orders": "/orders/", "activity": "/activity/", "markets": "/markets/", "market": "/markets/{market}/",
    "backtests": "/backtests/",
}  # fmt: skip
FRAGMENT = {"HX-Request": "true"}
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')


@pytest.fixture
def backtest(bot):
    return Backtest.objects.create(
        owner=bot.owner, market=bot.market, kind="grid", timeframe=60, allocation=1000, terms={}, begin=0, end=60_000,
        bars=2, digest="x",
    )  # fmt: skip


@pytest.fixture
def address(bot):
    return lambda name: ADDRESSES[name].format(bot=bot.pk, market=bot.market_id)


def logged_in(user, **options):
    client = Client(**options)
    client.force_login(user)
    return client


def again(client, path, answer, **headers):
    """The same page asked for by a browser that has an answer."""
    return client.get(path, headers={"If-None-Match": answer.headers["ETag"], **headers})


def without_token(answer):
    return TOKEN.sub("", answer.content.decode())


@pytest.mark.parametrize("headers", [{}, FRAGMENT])
@pytest.mark.parametrize("name", ADDRESSES)
def test_what_a_browser_has_takes_three_queries_and_no_body(page, address, django_assert_num_queries, name, headers):
    first = page(address(name), **headers)
    with django_assert_num_queries(3):
        answer = page(address(name), **headers, **{"If-None-Match": first.headers["ETag"]})
    assert (answer.status_code, answer.content) == (304, b"")
    for header in ("ETag", "Cache-Control", "Vary"):
        assert answer.headers[header] == first.headers[header]
    assert first.headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize("headers", [{}, FRAGMENT])
@pytest.mark.parametrize("name", ADDRESSES)
def test_what_was_rendered_before_takes_three_queries(page, address, django_assert_num_queries, name, headers):
    first = page(address(name), **headers)
    with django_assert_num_queries(3):
        second = page(address(name), **headers)
    assert without_token(second) == without_token(first)
    assert second.headers == first.headers


def test_every_page_with_a_version_is_asked_for_here():
    assert set(ADDRESSES) == PAGES


# What is written -> the pages that show it.
WRITES = {
    "a bot's name": (lambda bot: Bot.objects.update(name="Renamed"), set(ADDRESSES) - {"markets", "backtests"}),
    "a bot's state": (
        lambda bot: Bot.objects.update(status="failed", reason="Why."), {"overview", "bots", "bot", "market"},
    ),
    "a run's equity": (
        lambda bot: Run.objects.update(equity=Decimal("1234.56")), {"overview", "bots", "bot", "market"},
    ),
    "a candle's trade": (
        lambda bot: (
            Trade.objects.update(price=Decimal("98.76")),
            Order.objects.update(price=Decimal("87.65")),
            Run.objects.update(bar_time=60_000),
        ),
        {"overview", "bot", "trades", "orders"},
    ),
    "a position": (
        lambda bot: (Position.objects.update(average_price=Decimal("76.54")), Run.objects.update(bar_time=60_000)),
        {"overview", "bot", "positions"},
    ),
    "a price": (
        lambda bot: Market.objects.update(last=123.45), {"overview", "bot", "positions", "market", "markets"},
    ),
    "a feed": (lambda bot: Feed.objects.update(error="It fails."), {"bot", "market", "markets"}),
    "an exchange's switch": (lambda bot: Exchange.objects.update(enabled=False), {"bot"}),
    "a warning": (
        lambda bot: Event.objects.create(owner=bot.owner, bot=bot, level="warning", code="x", message="Look here."),
        {"overview", "bot", "activity"},
    ),
    "an account's halt": (
        lambda bot: Account.objects.update(halted_at=timezone.now(), halted_reason="Enough."), {"overview"},
    ),
    "a halt of all": (lambda bot: Halt.objects.create(halted_at=timezone.now(), reason="Enough."), {"overview"}),
    "the watchlist": (lambda bot: Watched.objects.create(owner=bot.owner, market=bot.market), {"markets"}),
    "a backtest's progress": (lambda bot: Backtest.objects.update(state="running", progress=0.37), {"backtests"}),
}  # fmt: skip


@pytest.mark.parametrize("what", WRITES)
def test_what_is_written_is_shown_at_once(page, address, backtest, what):
    write, shown_on = WRITES[what]
    before = {name: page(address(name)) for name in shown_on}
    write(Bot.objects.get())
    for name, old in before.items():
        new = page(address(name), **{"If-None-Match": old.headers["ETag"]})
        assert new.status_code == 200, name
        assert without_token(new) != without_token(old), name


def test_an_order_that_fills_at_an_exchange_is_shown_before_its_run_is_told(page, bot):
    Run.objects.update(mode="live")
    first = page("/orders/")
    Order.objects.update(filled=Decimal("0.25"))
    answer = page("/orders/", **{"If-None-Match": first.headers["ETag"]})
    assert answer.status_code == 200
    assert without_token(answer) != without_token(first)


def test_an_event_that_becomes_visible_after_a_later_one_is_not_missed(owner, bot):
    now = timezone.now()
    last = Event.objects.order_by("pk").last().pk
    Event.objects.create(pk=last + 10, owner=owner, code="x", message="Later.")
    before = version("activity", owner.pk, None, now)
    Event.objects.create(pk=last + 5, owner=owner, code="x", message="Earlier.")
    assert version("activity", owner.pk, None, now) != before


@pytest.mark.parametrize("name", sorted(PAGES))
def test_what_follows_from_the_clock_is_a_minute_old_at_most(owner, bot, name, monkeypatch):
    monkeypatch.setattr(page_versions, "MINUTE", MINUTE)
    now = timezone.now().replace(second=0, microsecond=0)
    found = version(name, owner.pk, bot.pk, now)
    assert version(name, owner.pk, bot.pk, now + timedelta(seconds=MINUTE - 1)) == found
    assert version(name, owner.pk, bot.pk, now + timedelta(seconds=MINUTE)) != found


def test_what_another_does_does_not_matter(owner, stranger, bot, market):
    now = timezone.now()
    # Markets are everybody's, and so are the prices on the pages.
    own = [(name, bot.pk) for name in PAGES - {"market", "markets"}]
    before = {name: version(name, owner.pk, pk, now) for name, pk in own}
    make_bot(stranger, make_market("ETH/USDT"), name="Another's")
    assert {name: version(name, owner.pk, pk, now) for name, pk in own} == before


@pytest.mark.parametrize("name", ADDRESSES)
def test_no_other_user_gets_the_page_or_its_304(owner, stranger, bot, backtest, address, name):
    path = address(name)
    own = logged_in(owner).get(path)
    assert own.status_code == 200
    other = again(logged_in(stranger), path, own)
    assert other.status_code == (404 if name == "bot" else 200)
    assert "Swing grid" not in other.content.decode()
    assert f"Logged in as {owner}" not in other.content.decode()
    visitor = again(Client(), path, own)
    assert (visitor.status_code, visitor.headers["Location"]) == (302, f"/login/?next={path}")


def test_a_superuser_sees_own_pages_alone(owner, bot):
    own, boss = logged_in(owner), logged_in(make_user("boss", is_staff=True, is_superuser=True))
    first = own.get("/")
    assert "Swing grid" not in again(boss, "/", first).content.decode()
    assert "Swing grid" in own.get("/").content.decode()


def test_who_is_made_staff_sees_so_at_once(page, owner):
    first = page("/")
    assert "System</a>" not in first.text_
    type(owner).objects.filter(pk=owner.pk).update(is_staff=True)
    assert "System</a>" in page("/", **{"If-None-Match": first.headers["ETag"]}).text_


def test_every_answer_has_a_token_of_its_own_that_is_accepted(owner, bot):
    client = logged_in(owner, enforce_csrf_checks=True)
    tokens = [TOKEN.search(client.get("/").content.decode())[1] for _ in range(3)]
    assert len(set(tokens)) == 3
    for token in tokens[:2]:
        answer = client.post(f"/bots/{bot.pk}/pause/", {"csrfmiddlewaretoken": token})
        assert answer.status_code == 302


def test_the_token_of_one_session_is_refused_in_another_of_the_same_user(owner, bot):
    one, other = logged_in(owner, enforce_csrf_checks=True), logged_in(owner, enforce_csrf_checks=True)
    first = one.get("/")
    assert again(other, "/", first).status_code == 200
    answer = other.post(f"/bots/{bot.pk}/pause/", {"csrfmiddlewaretoken": TOKEN.search(first.content.decode())[1]})
    assert answer.status_code == 403


def test_a_browser_that_lost_its_token_gets_a_page_with_a_new_one(owner):
    client = logged_in(owner)
    first = client.get("/")
    del client.cookies["csrftoken"]
    answer = again(client, "/", first)
    assert answer.status_code == 200
    assert "csrftoken" in answer.cookies


def test_after_logging_out_nothing_is_answered_with_304(client, owner):
    form = {"username": "owner", "password": "correct horse"}
    client.post("/login/", form)
    first = client.get("/")
    client.post("/logout/")
    assert again(client, "/", first).status_code == 302
    client.post("/login/", form)
    assert again(client, "/", first).status_code == 200


def test_a_new_password_ends_what_older_sessions_had(client, owner):
    client.force_login(owner)
    first = client.get("/")
    owner.set_password("another horse")
    owner.save()
    assert again(client, "/", first).status_code == 302
    client.force_login(owner)
    assert again(client, "/", first).status_code == 200


def test_a_message_is_shown_once_and_its_page_is_not_kept(client, owner, bot):
    client.force_login(owner)
    client.get(f"/bots/{bot.pk}/")
    client.post(f"/bots/{bot.pk}/pause/")
    told = client.get(f"/bots/{bot.pk}/")
    assert 'role="status">' in told.content.decode().split("<main")[1]
    assert "ETag" not in told.headers
    assert 'class="alert' not in client.get(f"/bots/{bot.pk}/").content.decode()


def test_page_and_fragment_are_kept_apart(client, owner, bot):
    client.force_login(owner)
    first = client.get("/")
    part = again(client, "/", first, **FRAGMENT)
    assert part.status_code == 200
    assert "<html" not in part.content.decode()
    assert "<html" in again(client, "/", part).content.decode()


def test_filters_and_pages_are_kept_apart(client, owner, bot):
    client.force_login(owner)
    assert "Swing grid" in client.get("/bots/").content.decode()
    assert "Swing grid</a>" not in client.get("/bots/?q=nothing").content.decode()


def test_an_error_is_not_kept(client, stranger, bot):
    client.force_login(stranger)
    assert client.get(f"/bots/{bot.pk}/").status_code == 404
    Bot.objects.update(owner=stranger)
    assert client.get(f"/bots/{bot.pk}/").status_code == 200
