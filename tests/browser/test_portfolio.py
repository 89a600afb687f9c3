"""Performance, watchlist and settings in a browser, at both widths."""

from __future__ import annotations

import pytest

from bots import trade_days
from tests.browser.test_journey import log_in

pytestmark = pytest.mark.browser


def test_performance_shows_its_curves_and_loads_what_is_seen(watched, bot):
    trade_days.sum_up()
    page = watched.page
    log_in(page)
    page.goto("/performance/")
    legend = page.locator("#equity-legend")
    legend.get_by_text("USDT").wait_for()
    page.click("[data-curve=drawdown]")
    page.locator("[data-curve=drawdown][aria-current]").wait_for()
    page.locator("#correlation").scroll_into_view_if_needed()
    page.get_by_text("It takes two bots that run").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert watched.faults == []


def test_a_star_stays_where_it_is_clicked(watched, bot):
    page = watched.page
    log_in(page)
    page.goto("/markets/")
    page.click(".star")
    page.locator(".star[aria-pressed=true]").wait_for()
    page.get_by_role("link", name="Watchlist").click()
    page.locator("#markets").get_by_role("link", name="BTC/USDT").wait_for()
    assert watched.faults == []


def test_colours_and_zone_are_kept_in_the_browser(watched, bot):
    page = watched.page
    log_in(page)
    page.goto("/settings/")
    page.select_option("#theme-choice", "dark")
    page.select_option("#zone-choice", "Asia/Tokyo")
    page.goto("/trades/")
    page.locator("html[data-bs-theme=dark]").wait_for()
    page.locator("time[title*='GMT+9'], time[title*='JST']").first.wait_for()
    assert watched.faults == []
