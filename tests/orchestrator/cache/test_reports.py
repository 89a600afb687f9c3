from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from orchestrator import cache
from tests.dashboard.cast import make_user

DEAD = "redis://127.0.0.1:1/0"


def run(*arguments, **options):
    out = StringIO()
    call_command("cache", *arguments, stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def _read(redis):
    """A ticker that was computed once and found twice."""
    for _ in range(3):
        cache.fetch(cache.TICKER, "BTC", 1, lambda: 1.0)


@pytest.fixture
def staff(db, client):
    client.force_login(make_user("staff", is_staff=True))
    return client


@pytest.mark.usefixtures("_read")
def test_the_command_tells_rates_and_percentiles():
    lines = {line["policy"]: line for line in json.loads(run(json=True))["policies"]}
    assert set(lines) == set(cache.POLICIES)
    ticker = lines["ticker"]
    assert (ticker["hits"], ticker["misses"], ticker["seconds"]) == (2, 1, 60)
    assert ticker["hit_rate"] == pytest.approx(2 / 3)
    assert set(ticker["read_ms"]) == set(ticker["fill_ms"]) == {"50", "95", "99"}
    (line,) = (line for line in run().splitlines() if line.startswith("ticker"))
    assert "66.7 %" in line


@pytest.mark.usefixtures("_read")
def test_the_command_shows_what_is_read_most():
    assert json.loads(run("show", "ticker", json=True))["keys"] == {"BTC": 3.0}
    assert "3  BTC" in run("show", "ticker")


@pytest.mark.usefixtures("_read")
def test_the_command_drops_a_policy_or_all():
    assert run("drop", "ticker") == "ticker is dropped.\n"
    assert cache.fetch(cache.TICKER, "BTC", 1, lambda: 2.0) == 2.0
    assert run("drop", "all").count("is dropped") == len(cache.POLICIES)
    assert cache.fetch(cache.TICKER, "BTC", 1, lambda: 3.0) == 3.0


def test_bad_input_gets_a_sentence(redis, settings):
    with pytest.raises(CommandError, match=r"policy must be one of exchanges, .* not 'prices'"):
        run("drop", "prices")
    with pytest.raises(CommandError, match="--hours must be from 1 to 24, not 25"):
        run(hours=25)
    settings.REDIS_URL = DEAD
    for arguments in (["stats"], ["show", "ticker"], ["drop", "ticker"]):
        with pytest.raises(CommandError, match="Redis does not answer"):
            run(*arguments)


@pytest.mark.usefixtures("_read")
def test_the_page_shows_policies_and_what_is_read_most(staff):
    text = staff.get("/admin/cache/?policy=ticker").content.decode()
    for shown in (*cache.POLICIES, "66.7 %", "<td>BTC</td>", "Latest prices."):
        assert shown in text
    assert "/admin/cache/" in staff.get("/admin/").content.decode()


@pytest.mark.usefixtures("_read")
def test_the_page_drops_a_policy(staff):
    answer = staff.post("/admin/cache/", {"policy": "ticker"}, follow=True)
    assert "Dropped: ticker." in answer.content.decode()
    assert cache.fetch(cache.TICKER, "BTC", 1, lambda: 2.0) == 2.0
    answer = staff.post("/admin/cache/", {"policy": "<b>"}, follow=True)
    assert "must be one of exchanges," in answer.content.decode()


def test_the_page_says_when_redis_is_away(staff, settings):
    settings.REDIS_URL = DEAD
    text = staff.get("/admin/cache/?policy=ticker").content.decode()
    assert "every process caches in its own memory" in text
    answer = staff.post("/admin/cache/", {"policy": "ticker"}, follow=True)
    assert "ticker is dropped in this process alone." in answer.content.decode()


def test_the_page_is_not_for_everybody(db, client):
    client.force_login(make_user("visitor"))
    for method in (client.get, client.post):
        assert method("/admin/cache/").status_code == 302
