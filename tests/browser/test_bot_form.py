"""From an idea to a bot that runs: the form is tried on the past at every key."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from bots.models import Balance, Bot
from tests.browser.test_journey import PAINTED, TOO_WIDE, log_in

pytestmark = pytest.mark.browser


@pytest.fixture
def money(bot):
    Balance.objects.create(account=bot.account, currency="USDT", free=Decimal(5000))


def test_a_bot_is_made_with_a_live_preview_and_started(watched, money):
    page = watched.page
    log_in(page)
    page.goto("/bots/")
    page.get_by_role("link", name="New bot").click()
    page.get_by_role("link", name=re.compile("^Grid")).click()
    page.wait_for_function(PAINTED, arg="#candles")
    page.wait_for_function(PAINTED, arg="#preview-equity")
    expect(page.locator("#preview")).to_contain_text("At worst")
    assert page.evaluate(TOO_WIDE) <= 0

    shown = page.locator("#preview")
    page.get_by_label("Upper price").fill("80")
    expect(page.locator("[data-problem=param_upper]")).to_contain_text("upper must be above lower")
    with page.expect_response(re.compile("param_upper=112.*")):
        page.get_by_label("Upper price").fill("112")
    expect(page.locator("[data-problem=param_upper]")).to_be_empty()
    expect(shown).to_contain_text("Orders it would place now")
    with page.expect_response(re.compile("days=365")):
        page.get_by_label("365 days").check()
    expect(shown).to_contain_text("of 525,600 candles of 1m are stored")
    with page.expect_response(re.compile("chart=5m")):
        page.get_by_role("link", name="5m", exact=True).click()

    page.get_by_role("textbox", name="Name", exact=True).fill("From the form")
    page.get_by_role("button", name="Create and start").click()
    expect(page.get_by_role("heading", name="From the form")).to_be_visible()
    made = Bot.objects.get(name="From the form")
    assert (made.status, made.params["upper"]) == ("running", 112.0)
    assert watched.faults == []


def test_older_answers_are_dropped(watched, money):
    page = watched.page
    log_in(page)
    page.goto("/bots/new/?kind=grid")
    page.wait_for_function(PAINTED, arg="#preview-equity")
    held = []
    # The first answer is held back until the second is there.
    page.route(
        re.compile("param_lines=1[12]&"),
        lambda route: held.append(route) if "=11&" in route.request.url else route.continue_(),
    )
    page.get_by_label("Price lines").fill("11")
    page.wait_for_timeout(0)
    with page.expect_request(re.compile("param_lines=11&")):
        pass
    with page.expect_response(re.compile("param_lines=12&")):
        page.get_by_label("Price lines").fill("12")
    expect(page.locator("#preview .data tbody tr")).to_have_count(11)
    assert len(held) == 1
    expect(page.locator("#preview .data tbody tr")).to_have_count(11)


def test_it_works_without_scripts(browser, site, money):
    context = browser.new_context(java_script_enabled=False, base_url=site)
    page = context.new_page()
    log_in(page)
    page.goto("/bots/new/?kind=grid")
    page.get_by_label("Price lines").fill("7")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview .data tbody tr")).to_have_count(6)
    assert "param_lines=7" in page.url
    page.get_by_role("button", name="Create draft").click()
    expect(page.get_by_role("heading", name="Grid BTC")).to_be_visible()
    assert Bot.objects.get(name="Grid BTC").params["lines"] == 7
    context.close()
