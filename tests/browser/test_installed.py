from __future__ import annotations

import pytest

from dashboard.views.installed import OFFLINE_ASSETS
from tests.browser.test_journey import log_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
IN_CHARGE = "navigator.serviceWorker.ready.then(() => navigator.serviceWorker.controller !== null)"


def test_it_can_be_installed_and_says_so_when_it_cannot_be_reached(browser, site):
    """Chromium's own checks find nothing amiss; without a net there is a page of ours, with its looks."""
    with browser.new_context(base_url=site) as context:
        page = context.new_page()
        log_in(page)
        page.goto("/")
        page.wait_for_function(IN_CHARGE)
        client = context.new_cdp_session(page)
        amiss = {error["errorId"] for error in client.send("Page.getInstallabilityErrors")["installabilityErrors"]}
        assert amiss == {"in-incognito"}, "the tests' own windows are private ones, all else is as it should be"
        assert client.send("Page.getAppManifest")["errors"] == []
        context.set_offline(True)
        page.goto("/bots/")
        assert page.get_by_role("heading", name="No connection").is_visible()
        assert page.evaluate("getComputedStyle(document.querySelector('.bare-card')).display") == "flex"
        context.set_offline(False)
        page.get_by_role("link", name="Try again").click()
        assert page.get_by_role("heading", name="Bots", exact=True).is_visible()
        kept = page.evaluate("caches.keys().then(async names => (await (await caches.open(names[0])).keys()).length)")
        assert kept == 1 + len(OFFLINE_ASSETS)
