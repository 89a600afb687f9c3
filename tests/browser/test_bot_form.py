"""From an idea to a bot that runs: the form is tried on the past at every key."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from bots.models import Balance, Bot
from tests.browser.test_journey import PAINTED, log_in

pytestmark = pytest.mark.browser


@pytest.fixture
def money(bot):
    Balance.objects.create(account=bot.account, currency="USDT", free=Decimal(5000))


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
    expect(page.locator("#preview [data-orders] tbody tr")).to_have_count(11)
    assert len(held) == 1
    expect(page.locator("#preview [data-orders] tbody tr")).to_have_count(11)


def test_it_works_without_scripts(browser, site, money):
    context = browser.new_context(java_script_enabled=False, base_url=site)
    page = context.new_page()
    log_in(page)
    page.goto("/bots/new/?kind=grid")
    page.get_by_label("Price lines").fill("7")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview [data-orders] tbody tr")).to_have_count(6)
    assert "param_lines=7" in page.url
    page.get_by_role("button", name="Create draft").click()
    expect(page.get_by_role("heading", name="Grid BTC")).to_be_visible()
    assert Bot.objects.get(name="Grid BTC").params["lines"] == 7
    context.close()
