"""Pages answered in front of Django: to the same browser alone, and never from before a change."""

from __future__ import annotations

import gzip
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client, override_settings

from dashboard import tokens
from orchestrator import cache, notify, page_store
from orchestrator.cache import link
from orchestrator.observability import samples
from orchestrator.page_store import PageStore
from tests.dashboard.cast import make_bot, make_market, make_user
from tests.orchestrator.processes import until
from tests.orchestrator.redis_server import FAULTS, Server

TOKEN = re.compile(rb'name="csrfmiddlewaretoken" value="(\w+)"')
GZIP, FRAGMENT = {"HTTP_ACCEPT_ENCODING": "gzip, br"}, {"HTTP_HX_REQUEST": "true"}


@contextmanager
def in_the_tests_transaction():
    """As with Django's test client, a request does not close the connection that it finds."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


class Site:
    """The WSGI application as the server calls it. asked: addresses that reached Django."""

    def __init__(self):
        self.asked = []
        self.django, self.meanwhile = WSGIHandler(), lambda: None
        self.store = PageStore(self._counted)

    def _counted(self, environ, start_response):
        self.asked.append(environ["PATH_INFO"])
        response = self.django(environ, start_response)
        self.meanwhile()
        return response

    def answer(self, client, path, method="GET", **environ):
        """(status, headers, body) of a request with the client's cookies; counts as that client's."""
        path, _, query = path.partition("?")
        told = []
        environ = client._base_environ(
            **{"PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": method, "HTTP_HOST": "localhost"} | environ
        )
        with in_the_tests_transaction():
            body = self.store(environ, lambda status, headers, exc_info=None: told.append((status, dict(headers))))
            content = b"".join(body)
            if hasattr(body, "close"):
                body.close()
        client.cookies.update(getattr(body, "cookies", {}))
        status, headers = told[-1]
        return int(status[:3]), headers, gzip.decompress(content) if "Content-Encoding" in headers else content

    def reaches_django(self, *arguments, **environ):
        before = len(self.asked)
        self.answer(*arguments, **environ)
        return len(self.asked) > before


@pytest.fixture(autouse=True)
def an_hour(monkeypatch, redis):
    """However slow the machine is, nothing expires by itself."""
    monkeypatch.setattr(page_store, "LIFETIME_MS", 3_600_000)
    monkeypatch.setattr(page_store, "RENEW_MS", 1_800_000)
    monkeypatch.setattr(page_store, "_CHANGE_MS", 7_200_000)


@pytest.fixture
def site():
    return Site()


def visitor(user, **options):
    """A browser that is logged in and has its CSRF cookie."""
    client = Client(**options)
    client.force_login(user)
    client.get("/settings/")
    return client


@pytest.fixture
def own(owner):
    return visitor(owner)


@pytest.mark.parametrize("headers", [{}, GZIP, FRAGMENT])
@pytest.mark.parametrize("path", ["/", "/bots/?sort=name", "/bots/{bot}/", "/markets/", "/trades/"])
def test_a_page_is_answered_again_without_asking_django(site, own, bot, path, headers):
    path = path.format(bot=bot.pk)
    first = site.answer(own, path, **headers)
    assert "Set-Cookie" not in first[1]
    again = site.answer(own, path, **headers)
    assert again == first
    assert again[0] == 200
    assert "Content-Security-Policy" in again[1]
    assert again[1]["Cache-Control"] == "private, no-cache"
    assert (b"<html" in again[2]) == (headers != FRAGMENT)
    assert len(site.asked) == 1


def test_a_browser_that_has_the_page_is_told_so(site, own, bot):
    _, headers, _ = site.answer(own, "/bots/", **GZIP)
    status, known, body = site.answer(own, "/bots/", HTTP_IF_NONE_MATCH=f'"other", {headers["ETag"]}', **GZIP)
    assert (status, body, len(site.asked)) == (304, b"", 1)
    assert known["ETag"] == headers["ETag"]
    assert "Content-Encoding" not in known
    assert site.answer(own, "/bots/", HTTP_IF_NONE_MATCH='"other"', **GZIP)[0] == 200
    assert len(site.asked) == 1


def test_what_django_answered_with_304_is_so_answered_again_but_to_nobody_else(site, own, bot, one_minute):
    etag = site.answer(own, "/")[1]["ETag"]
    page_store.drop([page_store.EVERYBODY])
    for _ in range(2):
        assert site.answer(own, "/", HTTP_IF_NONE_MATCH=etag)[0] == 304
    assert len(site.asked) == 2
    status, _, body = site.answer(own, "/")
    assert (status, b"<html" in body, len(site.asked)) == (200, True, 3)


def test_no_other_session_gets_it(site, owner, stranger, own, bot):
    site.answer(own, "/")
    for other in (visitor(stranger), visitor(owner), visitor(make_user("boss", is_staff=True, is_superuser=True))):
        assert site.reaches_django(other, "/")
    assert site.answer(Client(), "/")[0] == 302
    forged = Client()
    forged.cookies["sessionid"] = own.cookies["sessionid"].value[:-1]
    assert site.answer(forged, "/")[0] == 302


def test_pages_fragments_addresses_and_encodings_are_kept_apart(site, own, bot):
    for path, headers in (("/", {}), ("/", FRAGMENT), ("/", GZIP), ("/?period=30d", {}), ("/bots/", {})):
        assert site.reaches_django(own, path, **headers)
    assert site.reaches_django(own, "/", HTTP_HOST="127.0.0.1")
    assert site.reaches_django(own, "/", **{"wsgi.url_scheme": "https"})
    assert not site.reaches_django(own, "/")


def test_a_page_from_the_store_can_send_its_forms(site, owner, bot):
    client = visitor(owner, enforce_csrf_checks=True)
    site.answer(client, "/")
    token = TOKEN.search(site.answer(client, "/")[2])[1].decode()
    assert site.asked == ["/"]
    assert client.post(f"/bots/{bot.pk}/pause/", {"csrfmiddlewaretoken": token}).status_code == 302


def test_every_page_has_a_token_masked_for_itself(site, own, bot):
    pages = [site.answer(own, path)[2] for path in ("/", "/?period=30d", "/bots/")]
    assert len({TOKEN.search(page)[1] for page in pages}) == 3


def test_a_page_that_brings_a_cookie_or_a_message_is_not_kept(site, owner, bot):
    fresh = Client()
    fresh.force_login(owner)
    assert "csrftoken" not in fresh.cookies
    site.answer(fresh, "/")
    assert "csrftoken" in fresh.cookies
    assert site.reaches_django(fresh, "/")
    fresh.post(f"/bots/{bot.pk}/pause/")
    told = site.answer(fresh, f"/bots/{bot.pk}/")
    assert b'class="alert' in told[2]
    assert b'class="alert' not in site.answer(fresh, f"/bots/{bot.pk}/")[2]


def ends(what, client, owner):
    if what == "logging out":
        client.post("/logout/")
    elif what == "a new password":
        form = {"old_password": "correct horse", "new_password1": "battery staple", "new_password2": "battery staple"}
        assert client.post("/settings/password/", form).status_code == 302
    else:
        boss = visitor(make_user("boss", is_staff=True, is_superuser=True))
        form = {"username": "owner", "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
        assert boss.post(f"/admin/auth/user/{owner.pk}/change/", form).status_code == 302


@pytest.mark.parametrize("what", ["logging out", "a new password", "being made inactive"])
def test_what_ends_a_session_ends_its_pages(site, owner, own, bot, what):
    site.answer(own, "/")
    old = Client()
    for name in ("sessionid", "csrftoken"):
        old.cookies[name] = own.cookies[name].value
    assert not site.reaches_django(old, "/")
    ends(what, own, owner)
    assert site.answer(old, "/")[0] == 302


def test_who_is_no_longer_staff_has_no_pages_of_staff(site, owner, bot):
    staff = make_user("staff", is_staff=True)
    client, boss = visitor(staff), visitor(make_user("boss", is_staff=True, is_superuser=True))
    assert b"System</a>" in site.answer(client, "/")[2]
    form = {"username": "staff", "is_active": "on", "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    assert boss.post(f"/admin/auth/user/{staff.pk}/change/", form).status_code == 302
    assert b"System</a>" not in site.answer(client, "/")[2]


def test_own_changes_are_seen_at_once_in_every_browser_of_ones_own(site, owner, own, bot):
    other = visitor(owner)
    site.answer(own, f"/bots/{bot.pk}/")
    site.answer(other, f"/bots/{bot.pk}/")
    own.post(f"/bots/{bot.pk}/pause/")
    for client in (own, other):
        assert b"Paused" in site.answer(client, f"/bots/{bot.pk}/")[2]


def test_what_is_changed_with_a_token_is_seen_at_once(site, owner, own, bot):
    _, token = tokens.create(owner, "script", "trade")
    site.answer(own, f"/bots/{bot.pk}/")
    answer = Client().post(f"/api/bots/{bot.pk}/pause", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert b"Paused" in site.answer(own, f"/bots/{bot.pk}/")[2]


@pytest.mark.parametrize(
    ("topic", "dropped"),
    [
        ("user:{owner}/bot:{bot}", {"/", "/bots/", "/bots/{bot}/", "/markets/", "/markets/{market}/"}),
        ("market:{market}", {"/bots/{bot}/", "/markets/", "/markets/{market}/"}),
        ("market:0", {"/markets/"}),
        ("user:0", set()),
        ("all", {"/", "/bots/", "/bots/{bot}/", "/markets/", "/markets/{market}/"}),
    ],
)
def test_an_event_drops_the_pages_that_are_fetched_for_it(site, own, owner, bot, topic, dropped):
    ids = {"owner": owner.pk, "bot": bot.pk, "market": bot.market_id}
    paths = ["/", "/bots/", "/bots/{bot}/", "/markets/", "/markets/{market}/"]
    for path in paths:
        site.answer(own, path.format(**ids))
    assert page_store.drop([topic.format(**ids)])
    assert {path for path in paths if site.reaches_django(own, path.format(**ids))} == dropped


def test_what_was_rendered_while_something_changed_is_not_answered_again(site, own, owner, bot):
    site.meanwhile = lambda: page_store.drop([notify.user_topic(owner.pk)])
    site.answer(own, "/")
    site.meanwhile = lambda: None
    assert site.reaches_django(own, "/")
    assert not site.reaches_django(own, "/")


def test_nothing_lives_longer_than_it_may_from_before_it_was_rendered(site, own, bot, redis, monkeypatch):
    monkeypatch.setattr(page_store, "LIFETIME_MS", 100_000)
    began = time.monotonic()
    site.answer(own, "/")
    spent = 1000 * (time.monotonic() - began)
    (key,) = redis.keys("orchestrator:page:*")
    assert 0 < redis.pttl(key) < 100_000
    assert redis.pttl(key) > 99_000 - spent - 1000 * (time.monotonic() - began)
    monkeypatch.setattr(page_store, "LIFETIME_MS", 1)
    assert site.reaches_django(own, "/bots/")
    assert site.reaches_django(own, "/bots/")
    assert not any(own.cookies["sessionid"].value.encode() in key for key in redis.keys("*"))


def test_one_of_those_who_ask_renews_a_page_before_it_expires(site, own, bot, monkeypatch):
    site.answer(own, "/")
    assert not site.reaches_django(own, "/")
    asked = []
    site.meanwhile = lambda: asked.append(site.reaches_django(own, "/"))
    monkeypatch.setattr(page_store, "RENEW_MS", 1)
    until(lambda: site.reaches_django(own, "/"), 10, "it is old enough")
    assert asked == [False]


@pytest.mark.parametrize("topic", ["user:{owner}", "all"])
def test_what_another_process_changed_is_not_answered_from_memory(site, own, owner, bot, topic):
    for _ in range(2):
        site.answer(own, "/")
    assert len(site.asked) == 1
    with ThreadPoolExecutor(1) as elsewhere:  # over connections of its own
        assert elsewhere.submit(page_store.drop, [topic.format(owner=owner.pk)]).result()
    assert site.reaches_django(own, "/")


def test_a_remembered_page_is_for_nobody_else(site, own, stranger, bot):
    other = visitor(stranger)
    for _ in range(3):
        assert b"owner" in site.answer(own, "/")[2]
        assert b"stranger" in site.answer(other, "/")[2]
    assert site.asked == ["/", "/"]
    own.post("/logout/")
    assert site.answer(own, "/")[0] == 302
    assert not site.reaches_django(other, "/")


def test_a_clock_that_is_set_back_brings_no_page_back(site, own, owner, bot, redis):
    """As if Redis' clock had been an hour ahead when the page was asked for, and was then set right."""
    site.answer(own, "/")
    (key,) = redis.keys("orchestrator:page:*")
    began, rest = redis.get(key).split(b" ", 1)
    ahead = b"%d" % (int(began) + 3_600_000_000)
    redis.set(key, ahead + b" " + rest)
    redis.set("orchestrator:latest", ahead)
    page_store.drop([notify.user_topic(owner.pk)])
    changed = f"orchestrator:changed:{notify.user_topic(owner.pk)}"
    assert redis.get(changed) >= ahead  # also once it is that late again
    assert redis.pttl(changed) > page_store._CHANGE_MS + 3_500_000
    redis.delete(changed, "orchestrator:changed:user")
    assert site.reaches_django(own, "/")
    redis.delete("orchestrator:latest")
    assert [site.reaches_django(own, "/bots/") for _ in range(2)] == [True, False]
    assert redis.get("orchestrator:latest") < ahead


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("HEAD", {}),
        ("OPTIONS", {}),
        ("GET", {"HTTP_RANGE": "bytes=0-9"}),
        ("GET", {"HTTP_AUTHORIZATION": "Bearer x"}),
        ("GET", {"HTTP_CACHE_CONTROL": "no-cache"}),
        ("GET", {"HTTP_IF_MATCH": '"x"'}),
    ],
)
def test_all_else_is_for_django(site, own, bot, method, headers):
    site.answer(own, "/")
    assert site.reaches_django(own, "/", method, **headers)
    assert not site.reaches_django(own, "/")


@pytest.mark.parametrize(
    "path", ["/equity.json", "/api/bots", "/api/docs/", "/trades.csv", "/settings/", "/settings/tokens/", "/bots/0/"]
)
def test_nothing_but_marked_pages_is_kept(site, own, bot, path, redis):
    assert [site.reaches_django(own, path) for _ in range(2)] == [True, True]
    assert redis.keys("orchestrator:page:*") == []


def test_what_is_answered_is_counted_as_a_request_and_a_hit(site, own, bot):
    def counted():
        requests = {one.name: one.count for one in samples.since_start() if one.metric == "request"}
        return requests.get("bots", 0), samples.page_store()

    requests, before = counted()
    for _ in range(3):
        site.answer(own, "/bots/")
    now, after = counted()
    assert now == requests + 3
    assert after["hit"] - before.get("hit", 0) == 2
    assert after["miss"] - before.get("miss", 0) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fail", FAULTS)
def test_without_redis_all_goes_to_django_and_one_request_at_most_waits(site, tmp_path, monkeypatch, fail):
    monkeypatch.setattr(link, "LAST_SECONDS", 2.0)
    owner = make_user("owner")
    make_bot(owner, make_market())
    own = visitor(owner)
    with Server.running(tmp_path) as server, override_settings(REDIS_URL=server.url):
        site.answer(own, "/")
        assert not site.reaches_django(own, "/")
        end = fail(server)
        seconds = []
        try:
            for _ in range(6):
                began = time.perf_counter()
                assert site.answer(own, "/")[0] == 200
                seconds.append(time.perf_counter() - began)
            assert len(site.asked) == 7
            assert page_store.drop([page_store.EVERYBODY]) is False
        finally:
            end()
        assert sum(one > 1.5 for one in seconds) <= 1
        here = cache.of_this_process()
        until(lambda: here.store.link.outage is None, 10, "Redis counts as back")
        site.answer(own, "/")
        assert not site.reaches_django(own, "/")
        here.store.flush()
