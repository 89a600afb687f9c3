"""The page of a market, looked at."""

from __future__ import annotations

from playwright.sync_api import expect

from bots.models import Bot
from markets import services
from tests.browser.test_journey import log_in


def test_whoever_looks_at_a_market_sees_its_order_book_come_and_go_on(browser, site, bot, redis):
    with browser.new_context(viewport={"width": 1440, "height": 900}, base_url=site) as context:
        page = context.new_page()
        log_in(page)
        page.clock.install()
        page.goto(f"/markets/{Bot.objects.get().market_id}/")
        expect(page.locator("#market-quotes")).to_contain_text("is being fetched")
        assert services.refresh_quotes(bot.market_id)
        with page.expect_request(lambda asked: asked.headers.get("hx-request") == "true"):
            page.clock.fast_forward(11_000)
        expect(page.locator(".book-side tbody tr")).to_have_count(30)
