"""A backtest from its form to a bot."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from bots import tasks
from bots.models import Backtest
from tests.browser.test_journey import PAINTED, TOO_WIDE, log_in

pytestmark = pytest.mark.browser


def test_a_backtest_is_run_looked_at_compared_and_made_a_bot(watched, redis):
    page = watched.page
    log_in(page)
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
    assert page.evaluate(TOO_WIDE) <= 0
    page.locator("[data-compared]").first.click()
    page.get_by_role("link", name=re.compile("Create a bot")).click()
    expect(page.get_by_label("Price lines")).to_have_value("21")
    assert watched.faults == []
