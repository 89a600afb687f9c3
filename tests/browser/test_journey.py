from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client
from playwright.sync_api import expect

from bots.models import Bot, Event, Trade
from orchestrator import notify

pytestmark = pytest.mark.browser

# Share of a canvas that is not its background: a chart that drew nothing has none.
PAINTED = """selector => [...document.querySelectorAll(selector + ' canvas')].some(canvas => {
  if (!canvas.width || !canvas.height) return false;
  const copy = Object.assign(document.createElement('canvas'), { width: canvas.width, height: canvas.height });
  const context = copy.getContext('2d', { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  const pixels = context.getImageData(0, 0, copy.width, copy.height).data;
  const colours = new Set();
  for (let i = 0; i < pixels.length; i += 4 * 37) colours.add(`${pixels[i]},${pixels[i + 1]},${pixels[i + 2]}`);
  return colours.size > 5;
})"""
TOO_WIDE = "document.documentElement.scrollWidth - window.innerWidth"


def log_in(page, folder="/"):
    """The page is the owner's from now on; without the form, which is filled in where it is looked at."""
    client = Client()
    client.force_login(get_user_model().objects.get(username="owner"))
    session = client.cookies[settings.SESSION_COOKIE_NAME]
    page.context.add_cookies([{"name": session.key, "value": session.value, "domain": "localhost", "path": folder}])


def fill_in_the_form(page):
    page.goto("/")
    page.get_by_label("Name").fill("owner")
    page.get_by_label("Password").fill("correct horse")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()


def test_from_log_in_to_the_charts_and_back_without_a_fault(watched):
    page = watched.page
    fill_in_the_form(page)
    page.wait_for_function(PAINTED, arg="[data-equity]")
    assert page.evaluate(TOO_WIDE) <= 0

    page.get_by_role("navigation", name="Main").get_by_role("link", name="Bots").click()
    page.get_by_role("link", name="Swing grid").click()
    page.wait_for_function(PAINTED, arg="#candles")
    expect(page.locator("#candles-legend")).to_contain_text("O ")
    assert page.evaluate(TOO_WIDE) <= 0

    page.get_by_text("Indicators").click()
    for indicator in ("SMA", "RSI"):
        with page.expect_response(re.compile("indicators=.*" + indicator.lower())):
            page.get_by_role("button", name=indicator).click()
    expect(page.locator("#candles-legend")).to_contain_text("RSI 14")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="RSI")).to_be_hidden()
    page.get_by_role("button", name="Log", exact=True).click()
    expect(page.get_by_role("button", name="Log", exact=True)).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Latest").click()
    page.get_by_role("button", name="Full screen").click()
    expect(page.get_by_role("button", name="Full screen")).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("document.fullscreenElement.contains(document.querySelector('#candles'))")
    page.get_by_role("button", name="Full screen").click()
    expect(page.get_by_role("button", name="Full screen")).to_have_attribute("aria-pressed", "false")
    with page.expect_response(re.compile("timeframe=5m")):
        page.get_by_role("link", name="5m", exact=True).click()
    assert "timeframe=5m" in page.url

    page.get_by_title("Light or dark").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")

    page.locator(".facts").get_by_role("link", name="BTC/USDT").click()
    page.wait_for_function(PAINTED, arg="#candles")
    page.get_by_role("link", name="Candles as a table").click()
    expect(page.get_by_role("heading", name="BTC/USDT candles")).to_be_visible()
    assert page.evaluate(TOO_WIDE) <= 0

    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    assert watched.faults == []


@pytest.mark.parametrize("path", ["/bots/{bot}/", "/bots/new/?kind=grid"])
def test_who_is_refused_what_a_page_asks_for_is_led_to_the_log_in_page(browser, site, bot, path):
    """A page that was answered all the same loaded itself again and again."""
    path = path.format(bot=bot.pk)
    with browser.new_context(base_url=site) as context:
        page = context.new_page()
        log_in(page, folder="/bots/")  # as if the session ended between the page and its candles
        page.goto(path)
        page.wait_for_url("**/login/**", timeout=10_000)
        assert parse_qs(urlsplit(page.url).query)["next"] == [path]


def test_a_page_shows_what_happened_without_being_reloaded(watched, bot):
    page = watched.page
    log_in(page)
    page.goto(f"/bots/{bot.pk}/")
    expect(page.locator("#live-state")).to_have_attribute("data-state", "live")
    Event.objects.create(owner=bot.owner, bot=bot, code="stop_loss", message="The price fell below 90.00.")
    notify.changed([notify.bot_topic(bot.owner_id, bot.pk)])
    expect(page.locator("#bot-side")).to_contain_text("The price fell below 90.00.")
    assert Trade.objects.filter(bot=bot).count() == 30
    assert watched.faults == []


def test_stopping_asks_first_and_says_what_will_happen(watched, bot):
    page = watched.page
    log_in(page)
    page.goto(f"/bots/{bot.pk}/")
    page.get_by_role("link", name="Stop", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Its 20 open orders are withdrawn")
    expect(dialog.get_by_label("Keep it")).to_be_checked()
    dialog.get_by_role("link", name="Cancel").click()
    expect(dialog).to_be_hidden()
    assert Bot.objects.get(pk=bot.pk).status == "running"
    assert watched.faults == []


def test_the_kill_switch_asks_and_halts_and_is_released_again(watched, bot):
    page = watched.page
    log_in(page)
    page.goto("/")
    page.get_by_role("link", name="Halt", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("20 open orders")
    expect(dialog.get_by_label("Keep them")).to_be_checked()
    dialog.get_by_role("button", name="Halt").click()
    expect(page.locator("#halt")).to_contain_text("paper is halted")
    expect(page.locator("#bots")).to_contain_text("paused")
    assert page.evaluate(TOO_WIDE) <= 0
    assert Bot.objects.get(pk=bot.pk).status == "paused"
    page.get_by_role("link", name="Release", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Release").click()
    expect(page.locator("#halt")).to_be_hidden()
    assert watched.faults == []


def test_pages_work_without_scripts(browser, site, bot):
    context = browser.new_context(java_script_enabled=False, base_url=site)
    page = context.new_page()
    fill_in_the_form(page)
    page.goto(f"/bots/{bot.pk}/")
    page.get_by_role("link", name=re.compile("Open orders")).click()
    expect(page.locator("#bot-tables")).to_contain_text("limit")
    page.get_by_role("link", name="Stop", exact=True).click()
    expect(page.get_by_role("heading", name="Stop Swing grid?")).to_be_visible()
    context.close()
