"""From an idea to a bot that traded, and back: what a person does here in a week, without a fault on the way."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from bots import runs, tasks
from bots.bars import STORED
from bots.models import Backtest, Balance, Bot, Trade
from markets import candles
from markets.models import Feed
from markets.series import Candles
from tests.browser.test_accessibility import AXE, EVERYTHING, FAULTS
from tests.browser.test_journey import PAINTED, TOO_WIDE, log_in

pytestmark = pytest.mark.browser

MADE = "From the form"


@pytest.fixture
def money(bot):
    Balance.objects.create(account=bot.account, currency="USDT", free=Decimal(5000))


def test_a_bot_is_made_watched_edited_stopped_and_tried_anew(watched, money, redis):
    page = watched.page
    page.context.add_init_script(path=AXE)
    log_in(page)
    create_with_a_live_preview(page)
    watch_it_trade(page)
    edit_with_its_difference(page)
    stop(page)
    backtest_compare_and_make_a_bot(page)
    export(page)
    assert watched.faults == []


def looks_right(page):
    assert page.evaluate(TOO_WIDE) <= 0
    assert page.evaluate(FAULTS, EVERYTHING) == []


def create_with_a_live_preview(page):
    page.goto("/bots/")
    page.get_by_role("link", name="New bot").click()
    page.get_by_role("link", name=re.compile("^Grid")).click()
    page.wait_for_function(PAINTED, arg="#candles")
    page.wait_for_function(PAINTED, arg="#preview-equity")
    shown = page.locator("#preview")
    expect(shown).to_contain_text("At worst")
    page.get_by_label("Upper price").fill("80")
    expect(page.locator("[data-problem=param_upper]")).to_contain_text("upper must be above lower")
    looks_right(page)
    with page.expect_response(re.compile("param_upper=112.*")):
        page.get_by_label("Upper price").fill("112")
    expect(page.locator("[data-problem=param_upper]")).to_be_empty()
    expect(shown).to_contain_text("Orders it would place now")
    with page.expect_response(re.compile("days=365")):
        page.get_by_label("365 days").check()
    expect(shown).to_contain_text("of 525,600 candles of 1m are stored")
    with page.expect_response(re.compile("chart=5m")):
        page.get_by_role("link", name="5m", exact=True).click()
    page.get_by_role("textbox", name="Name", exact=True).fill(MADE)
    page.get_by_role("button", name="Create and start").click()
    expect(page.get_by_role("heading", name=MADE)).to_be_visible()
    assert (made().status, made().params["upper"]) == ("running", 112.0)


def made() -> Bot:
    return Bot.objects.get(name=MADE)


def watch_it_trade(page):
    """Candles close, a worker leads the bot through them, and the open page shows what it did."""
    expect(page.locator("#live-state")).to_have_attribute("data-state", "live")
    expect(page.locator("#bot-tables")).to_contain_text("No trades yet")
    market, run = made().market_id, made().runs.get()
    time = run.bar_time + 60_000 * np.arange(1, 61, dtype=np.int64)
    close = np.round(100 + 6 * np.sin(np.arange(60) / 5), 2)
    open_ = np.r_[close[:1], close[:-1]]
    closed = Candles(time, open_, np.maximum(open_, close), np.minimum(open_, close), close, np.full(60, 9.0))
    candles.upsert(market, 60, closed)
    Feed.objects.filter(market=market).update(synced_to=int(time[-1]))
    # The other bot's state is no state of the engine's.
    assert runs.advance(runs.due().filter(bot__name=MADE), STORED) == 1
    expect(page.locator("#bot-tables")).to_contain_text("sell")
    assert Trade.objects.filter(bot__name=MADE).count() > 0
    looks_right(page)


def edit_with_its_difference(page):
    page.get_by_role("link", name="Edit", exact=True).click()
    page.wait_for_function(PAINTED, arg="#preview-equity")
    page.get_by_label("Price lines").fill("12")
    page.get_by_role("button", name="Review the change").click()
    expect(page.get_by_role("heading", name=f"Change {MADE}?")).to_be_visible()
    for word in ("Cancelled", "Placed"):
        expect(page.locator(f".fate-{word.lower()}").first).to_contain_text(word)
    looks_right(page)
    page.get_by_role("button", name="Change now").click()
    expect(page.get_by_role("status").filter(has_text="goes on with its new settings")).to_be_visible()
    assert (made().status, made().params["lines"]) == ("running", 12)


def stop(page):
    page.get_by_role("link", name="Stop", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Close it at the market price").check()
    looks_right(page)
    dialog.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("status").filter(has_text="is stopped")).to_be_visible()
    assert made().status == "stopped"


def backtest_compare_and_make_a_bot(page):
    for lines in ("9", "21"):
        page.goto("/backtests/new/?kind=grid")
        page.wait_for_function(PAINTED, arg="#preview-equity")
        page.get_by_label("Price lines").fill(lines)
        page.get_by_label("all there is").check()
        page.get_by_role("button", name="Run the backtest").click()
        expect(page.locator("#backtest-state")).to_contain_text("queued")
        assert tasks.run_backtests() == 1
        expect(page.get_by_role("heading", name="Figures")).to_be_visible()
        page.wait_for_function(PAINTED, arg="#candles")
        page.wait_for_function(PAINTED, arg="#backtest-equity")
        assert page.evaluate(TOO_WIDE) <= 0
    page.goto("/backtests/")
    for one in Backtest.objects.all():
        page.get_by_label(f"Compare backtest {one.pk}").check()
    page.get_by_role("button", name="Compare the chosen").click()
    page.wait_for_function(PAINTED, arg="#backtest-compare")
    looks_right(page)
    page.locator("[data-compared]").first.click()
    page.get_by_role("link", name=re.compile("Create a bot")).click()
    expect(page.get_by_label("Price lines")).to_have_value("21")


def export(page):
    page.goto(f"/trades/?bot={MADE}")
    with page.expect_download() as started:
        page.get_by_role("link", name="CSV").click()
    lines = Path(started.value.path()).read_text().splitlines()
    assert len(lines) == 1 + Trade.objects.filter(bot__name=MADE).count()
    assert all(MADE in line for line in lines[1:])
