"""Pages through nginx with the shipped configuration, before the real web server."""

from __future__ import annotations

import http.client
import subprocess
import time
from contextlib import nullcontext
from http.cookies import SimpleCookie
from unittest.mock import patch
from urllib.parse import urlencode

import pytest
from django.core.management import CommandError
from django.test import Client

from dashboard.benchmarks import nginx, web
from tests.dashboard.cast import make_user
from tests.orchestrator.processes import until

here = pytest.mark.skipif(nginx.program() is None, reason=nginx.MISSING)


class Browser:
    def __init__(self, port):
        self.port, self.cookies = port, {}

    def ask(self, path, form=None, **headers):
        """(status, X-Page-Cache, Set-Cookie, text)."""
        told = {"Host": "localhost", "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        body = urlencode({**form, "csrfmiddlewaretoken": self.cookies["csrftoken"]}) if form is not None else None
        if form is not None:
            told["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET" if form is None else "POST", path, body, told | headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        for line in answer.headers.get_all("Set-Cookie") or []:
            for name, one in SimpleCookie(line).items():
                self.cookies[name] = one.value
                if not one.value:
                    del self.cookies[name]
        return answer.status, answer.getheader("X-Page-Cache"), answer.getheader("Set-Cookie"), text

    def log_in(self, user):
        # The server has no hasher as quick as that of the tests.
        client = Client()
        client.force_login(user)
        self.cookies["sessionid"] = client.cookies["sessionid"].value
        assert self.ask("/bots/")[0] == 200
        return self

    def found_in_nginx(self, path):
        """The page, once nginx has answered it by itself."""
        answers = [self.ask(path)]
        deadline = time.monotonic() + 60
        while answers[-1][1] != "HIT":
            assert time.monotonic() < deadline, answers[-1][:3]
            answers.append(self.ask(path))
        assert [cookie for _, _, cookie, _ in answers if cookie] == []
        return answers[-1][3]


@here
def test_nginx_accepts_the_shipped_configuration(tmp_path):
    path = nginx.configuration(tmp_path, 1, 2)
    ended = subprocess.run(nginx.command(tmp_path, path, "-t"), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "syntax is ok" in ended.stderr
    path.write_text(path.read_text().replace("proxy_cache pages;", "proxy_cache leaves;"))
    assert subprocess.run(nginx.command(tmp_path, path, "-t"), capture_output=True, check=False).returncode


@pytest.fixture
def port(transactional_db, redis, collected, tmp_path):
    with web.served(tmp_path) as server, nginx.running(tmp_path / "nginx", server.port) as front:
        yield front.port


@here
def test_a_page_kept_by_nginx_is_for_its_session_alone_and_until_it_ends(port):
    ann, bob = Browser(port).log_in(make_user("anneliese")), Browser(port).log_in(make_user("bartholomew"))
    for _ in range(2):
        for own, other, browser in (("anneliese", "bartholomew", ann), ("bartholomew", "anneliese", bob)):
            page = browser.found_in_nginx("/bots/")
            assert own in page
            assert other not in page
    assert Browser(port).ask("/bots/")[0] == 302
    # The first of two is in nginx' key, the last is who Django answers: whoever can add one would be shown the page.
    told = "; ".join(f"{name}={value}" for name, value in bob.cookies.items())
    added = [f"{name}={ann.cookies['sessionid']}" for name in ("sessionid", "SessionID")]
    twice = [bob.ask("/bots/", Cookie=f"{one}; {told}") for one in added for _ in range(6)]
    assert all("bartholomew" in page for _, _, _, page in twice)
    assert "HIT" not in [cache for _, cache, _, _ in twice]
    old = Browser(port)
    old.cookies = dict(ann.cookies)
    assert ann.ask("/logout/", {})[0] == 302
    assert ann.ask("/bots/")[0] == 302
    told = {"Cookie": "; ".join(f"{name}={value}" for name, value in old.cookies.items())}
    until(lambda: old.ask("/bots/", **told)[:2] == (302, "HIT"), 60, "the answer is in the place of the page")
    assert "bartholomew" in bob.found_in_nginx("/bots/")
    # Its first answer brings the CSRF secret, its form hangs on that: never from here.
    for _ in range(3):
        status, cache, cookie, _ = Browser(port).ask("/login/")
        assert (status, "csrftoken" in cookie) == (200, True)
        assert cache != "HIT"
    fresh = Browser(port)
    fresh.cookies = {"sessionid": bob.cookies["sessionid"]}
    status, cache, cookie, _ = fresh.ask("/bots/")
    assert (status, "csrftoken" in cookie) == (200, True)
    assert cache != "HIT"


ASKED = {
    "bots": 12,
    "trades": 240,
    "markets": 4,
    "seconds": 0.5,
    "connections": 20,
    "users": 2,
    "rate": 40,
    "settle": 0,
}


@here
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("collected", "redis")
def test_nginx_is_measured_with_the_share_of_each_process(monkeypatch):
    monkeypatch.setattr(nginx, "WARM_SECONDS", 0.5)
    with patch.object(nginx, "own_database", nullcontext):
        rows = {row["job"]: row for row in nginx.rows(ASKED)}
    shares = [f"{who}'s share of the machine" for who in ("load generator", "web server", "Redis", "nginx")]
    job = "20 connections of 2 users through nginx"
    assert set(rows) == {f"{job}, {one}" for one in ("offered", "answered", "errors", "p50", "p95", "p99", *shares)}
    assert rows[f"{job}, errors"]["value"] == 0
    assert 0 < rows[f"{job}, answered"]["value"] <= rows[f"{job}, offered"]["value"]
    assert (rows[f"{job}, offered"]["baseline"], rows[f"{job}, p95"]["baseline"]) == (10_000, 20)


def test_where_nginx_is_missing_the_benchmark_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(nginx, "PLACES", str(tmp_path))
    with pytest.raises(CommandError, match="nginx is not on this machine"):
        nginx.rows(ASKED)


@pytest.mark.parametrize(("name", "wrong"), [("connections", 20_001), ("users", 0), ("rate", 0)])
def test_a_load_out_of_bounds_is_refused(name, wrong):
    with pytest.raises(CommandError, match=f"{name} must be from 1 to .*, not {wrong}"):
        nginx.rows(ASKED | {name: wrong})
