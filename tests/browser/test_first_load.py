"""What a browser that knows nothing of the site fetches for its first page."""

from __future__ import annotations

import gzip
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from playwright.sync_api import expect

from tests.browser.test_journey import PAINTED

MOST_REQUESTS, MOST_HTML, MOST_ASSETS = 12, 40_000, 250_000
MOST_DATA = 4  # what charts show, and the event stream: asked for when the page stands


def compressed(url):
    """Bytes of a static file as gzip makes them; browsers get Brotli, which is smaller."""
    return len(gzip.compress(Path(finders.find(urlsplit(url).path.removeprefix("/static/"))).read_bytes(), 9))


@pytest.mark.parametrize(("path", "chart"), [("/", ".chart-equity"), ("/bots/{bot}/", "#candles")])
def test_the_first_page_is_light(browser, site, bot, path, chart):
    path, asked = path.format(bot=bot.pk), []
    client = Client()
    client.force_login(bot.owner)
    html = client.get(path, headers={"Accept-Encoding": "gzip"}).content
    with browser.new_context(viewport={"width": 1440, "height": 900}, base_url=site) as context:
        context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": site}])
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path)
        expect(page.locator("#live-state")).to_have_attribute("data-state", "live")
        page.wait_for_function(PAINTED, arg=chart)
    assets = [url for url in asked if "/static/" in url]
    assert asked[0] == site + path
    assert 1 + len(assets) <= MOST_REQUESTS, assets
    assert len(asked) - 1 - len(assets) <= MOST_DATA, asked
    assert len(html) <= MOST_HTML
    assert sum(compressed(url) for url in assets) <= MOST_ASSETS
