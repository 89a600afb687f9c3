"""Charts over a long past: what is looked at is loaded, in no more points than can be seen."""

from __future__ import annotations

import re
from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone
from playwright.sync_api import expect

from bots.models import BookSnapshot, EquitySnapshot, Run
from markets import candles
from markets.models import Feed, Market
from markets.series import Candles
from orchestrator import notify
from tests.browser.test_journey import PAINTED, log_in

pytestmark = pytest.mark.browser

YEAR = 500_000  # minutes
MOST = 2_000
# What was scrolled is drawn in the next frame, and looked at a moment later.
DRAWN = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
SETTLED = "chart => document.querySelector(chart).ariaBusy === 'false'"


@pytest.fixture
def year(bot):
    """A year of minutes of the bot's market, before those that it has."""
    first = int(candles.load(bot.market_id, 60, limit=300).time[0])
    time = first - 60_000 * np.arange(YEAR, 0, -1, dtype=np.int64)
    price = 100 + 20 * np.sin(np.arange(YEAR) / 9_000) + np.sin(np.arange(YEAR) / 7)
    candles.upsert(bot.market_id, 60, Candles(time, price, price + 0.2, price - 0.2, price, np.full(YEAR, 3.0)))
    Feed.objects.update(synced_to=int(time[-1]) + 300 * 60_000)
    return int(time[0]) // 1000


def facts(page):
    found = page.locator("#candles").evaluate("one => ({...one.dataset})")
    return found["shown"], int(found["points"]), int(found["first"])


def settle(page, chart="#candles"):
    page.evaluate(DRAWN)
    page.wait_for_function(SETTLED, arg=chart)


def turn(page, way, until):
    """Turns the wheel until the candles are of a timeframe; what was there each time they changed."""
    box = page.locator("#candles").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] / 2)
    seen = [facts(page)]
    for _ in range(60):
        if seen[-1][0] == until:
            return seen
        for _ in range(8):
            page.mouse.wheel(0, way * 400)
        settle(page)
        seen.append(facts(page))
    raise AssertionError(seen)


def drag(page, by):
    box = page.locator("#candles").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * (0.2 + by), box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()


@pytest.mark.parametrize("watched", [1440], indirect=True)
def test_half_a_million_candles_are_looked_through_in_bounded_pieces(watched, bot, year):
    page = watched.page
    log_in(page)
    page.goto(f"/markets/{bot.market_id}/")
    page.wait_for_function(PAINTED, arg="#candles")
    out = turn(page, 1, "1d")
    while facts(page)[2] > year + 2 * 86_400:
        drag(page, 0.6)
        settle(page)
    far = facts(page)
    back = turn(page, -1, "1m")
    assert all(0 < points <= MOST for _, points, _ in [*out, far, *back])
    assert back[-1][2] < year + 200 * 86_400
    page.wait_for_function(PAINTED, arg="#candles")
    assert watched.faults == []


@pytest.mark.parametrize("watched", [1440], indirect=True)
def test_a_part_of_an_equity_curve_is_loaded_closer(watched, bot):
    """Six months of five minutes: what is zoomed into comes in points of its own, and goes again."""
    until = timezone.now().replace(microsecond=0) - timedelta(hours=3)
    BookSnapshot.objects.bulk_create(
        BookSnapshot(
            owner=bot.owner, mode="paper", currency="USDT", time=until - timedelta(minutes=5 * n),
            equity=1000 + n % 97, pnl=n % 97, last_id=0,
        )
        for n in range(50_000)
    )  # fmt: skip
    page = watched.page
    log_in(page)
    page.goto("/?period=all")
    page.wait_for_function(PAINTED, arg="[data-equity]")
    chart = page.locator("[data-equity]")
    settle(page, "[data-equity]")
    whole = curve_facts(chart)
    box = chart.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.4, box["y"] + box["height"] / 2)
    zoom(page, -1)
    near = curve_facts(chart)
    assert near["points"] <= 400
    assert near["step"] < whole["step"] / 10
    zoom(page, 1)
    assert curve_facts(chart)["first"] == whole["first"]
    assert curve_facts(chart)["step"] == pytest.approx(whole["step"], rel=0.1)
    assert watched.faults == []


def zoom(page, way):
    for _ in range(4):
        for _ in range(10):
            page.mouse.wheel(0, way * 400)
        settle(page, "[data-equity]")


def curve_facts(chart):
    found = chart.evaluate("one => ({...one.dataset})")
    points, first, last = (int(found[name]) for name in ("points", "first", "last"))
    return {"points": points, "first": first, "step": (last - first) / points}


# Requests that the page makes by itself end: none for half a second. What a page in a loop asks for never does.
QUIET = """name => {
  const asked = performance.getEntriesByType('resource').filter(one => one.name.includes(name));
  return asked.length && performance.now() - asked.at(-1).responseEnd > 500;
}"""
ASKED = "performance.getEntriesByType('resource').filter(one => one.name.includes('/chart.json')).length"
ENOUGH = "performance.setResourceTimingBufferSize(10_000)"
PATIENCE = 10_000  # ms


@pytest.fixture
def years(bot):
    """Fourteen years of daily candles, which no timeframe makes fewer."""
    days = 5_000
    until = int(timezone.now().timestamp()) // 86_400 * 86_400_000
    time = until - 86_400_000 * np.arange(days, 0, -1, dtype=np.int64)
    price = 100 + 20 * np.sin(np.arange(days) / 90)
    candles.upsert(bot.market_id, 86_400, Candles(time, price, price + 1, price - 1, price, np.full(days, 3.0)))
    Feed.objects.create(market=bot.market, timeframe=86_400, synced_to=int(time[-1]), checked_at=timezone.now())


@pytest.mark.parametrize("watched", [1440], indirect=True)
def test_a_chart_asks_for_nothing_that_is_there(watched, bot, years):
    """From as far out as it goes to where a dozen candles fill it: what was loaded last is looked at all the time."""
    page = watched.page
    page.add_init_script(ENOUGH)
    log_in(page)
    page.goto(f"/markets/{bot.market_id}/")
    page.wait_for_function(PAINTED, arg="#candles")
    page.get_by_role("link", name="1d", exact=True).click()
    settle(page)
    box = page.locator("#candles").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] / 2)
    wheel(page, 400, 40)
    far = facts(page)
    asked = page.evaluate(ASKED)
    wheel(page, -400, 80)
    assert page.evaluate(ASKED) == asked
    assert facts(page) == far
    assert (far[0], far[1] <= MOST) == ("1d", True)
    assert watched.faults == []


def wheel(page, by, times):
    for _ in range(times):
        page.mouse.wheel(0, by)
    page.evaluate(DRAWN)
    page.wait_for_function(QUIET, arg="/chart.json", timeout=PATIENCE)


@pytest.mark.parametrize("watched", [1440], indirect=True)
def test_a_flat_curve_of_a_great_amount_is_drawn(watched, bot):
    """Steps of a hundred-millionth are lost beside it: the axis was walked down by them without end."""
    Market.objects.update(quote="BTC", symbol="IDR/BTC")
    EquitySnapshot.objects.update(equity=300_000_000)
    Run.objects.update(equity=300_000_000, allocation=300_000_000)
    page = watched.page
    page.set_default_timeout(PATIENCE)
    log_in(page)
    page.goto(f"/bots/{bot.pk}/")
    page.wait_for_function(PAINTED, arg="[data-equity]")
    expect(page.locator("#equity-legend")).to_contain_text("300,000,000.00000000 BTC")
    assert watched.faults == []


@pytest.mark.parametrize("watched", [1440], indirect=True)
def test_a_timeframe_that_cannot_be_loaded_leaves_the_candles_as_they_are(watched, bot):
    """New ones that came meanwhile were those of the other timeframe, behind the old ones."""
    page = watched.page
    log_in(page)
    page.goto(f"/markets/{bot.market_id}/")
    page.wait_for_function(PAINTED, arg="#candles")
    settle(page)
    before = facts(page)
    page.route("**/chart.json?timeframe=5m*", lambda route: route.abort())
    page.get_by_role("link", name="5m", exact=True).click()
    expect(page.locator("#candles-note")).to_contain_text("could not be loaded")
    page.unroute("**/chart.json?timeframe=5m*")
    assert facts(page) == before
    with page.expect_response(lambda answer: "after=" in answer.url) as asked:
        notify.changed([notify.market_topic(bot.market_id)])
    assert "timeframe=1m&" in asked.value.url
    page.get_by_role("link", name="5m", exact=True).click()
    expect(page.locator("#candles")).to_have_attribute("data-shown", "5m")
    expect(page.locator("#candles-note")).to_be_hidden()


@pytest.mark.parametrize("watched", [1440], indirect=True)
def test_a_loss_that_rounds_to_nothing_has_no_sign(watched, bot):
    EquitySnapshot.objects.update(equity=-1e-9)
    Run.objects.update(equity=-1e-9)
    log_in(watched.page)
    watched.page.goto(f"/bots/{bot.pk}/")
    expect(watched.page.locator("#equity-legend")).to_contain_text(re.compile(r"^0\.00 USDT"))
