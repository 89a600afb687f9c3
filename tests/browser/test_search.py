"""Ctrl-K on any page opens what leads to every other."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Watched
from tests.browser.test_journey import log_in

pytestmark = pytest.mark.browser


def test_the_keyboard_alone_leads_from_a_page_to_a_bot_and_on(site, page, bot):
    page.context.set_default_timeout(30_000)
    watched = Watched(page)
    page.goto(f"{site}/login/")
    log_in(page)
    page.goto(f"{site}/positions/")
    page.keyboard.press("Control+k")
    field = page.get_by_role("searchbox", name="Bot, market or page")
    expect(field).to_be_focused()
    expect(page.locator("#found")).to_contain_text("Performance")
    page.keyboard.type("swi")
    expect(page.locator("#found a")).to_have_count(2)  # the bot, and the kill switch after it
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{bot.get_absolute_url()}")
    page.keyboard.press("Control+k")
    expect(field).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#found a:focus")).to_have_text(re.compile("Bots"))
    page.keyboard.press("Escape")
    expect(field).to_be_hidden()
    assert watched.faults == []
