"""No page has a fault that axe finds, in either theme, at either width."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from django.urls import resolve, reverse

from bots import backtests, trade_days
from bots.models import Balance
from bots.notifications import channels
from dashboard import tokens
from dashboard.models import ApiToken
from orchestrator.assets import NODE_MODULES
from tests.browser.test_journey import log_in
from tests.dashboard.cast import make_draft
from tests.test_urls import EVERYBODYS, FORMS, OWNERS, STAFFS

pytestmark = pytest.mark.browser

AXE = NODE_MODULES / "axe-core" / "axe.min.js"
EVERYTHING = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
LAYOUT = {"type": "rule", "values": ["target-size", "scrollable-region-focusable", "region"]}
# The markup is the same in both themes and at both widths, colours do not hang on the width, nor the layout on colours;
# and nothing is shown on a narrow screen alone. So these three find what all four would.
WAYS = ((1440, "light", EVERYTHING), (1440, "dark", COLOURS), (390, "dark", LAYOUT))
FAULTS = """async runOnly => {
  const { violations } = await axe.run({ runOnly, resultTypes: ['violations'], preload: false });
  const told = (one, node) => `${one.id}: ${node.html.slice(0, 160)} ${node.any[0]?.message ?? ''}`;
  return violations.flatMap(one => one.nodes.map(node => told(one, node)));
}"""
SETTLED = "() => !document.querySelector('.htmx-request') && document.getAnimations().length === 0"
# What is data, or only leads elsewhere, is no page.
NOT_PAGES = re.compile(r".*-(csv|ndjson|chart|equity|cancel|again|watch|password|currency|test|pause)|equity|logout")
PAGES = {name for name in EVERYBODYS | FORMS | STAFFS | OWNERS if not NOT_PAGES.fullmatch(name)}
PLAIN = (
    "overview", "equity-table", "performance", "correlation", "bots", "positions", "trades", "orders", "activity",
    "backtests", "markets", "search", "system", "settings", "accounts", "api-tokens", "api-reference", "channels",
    "new-channel", "halt", "release", "new-bot", "cache", "offline",
)  # fmt: skip


@pytest.fixture
def paths(bot, redis):
    """Every page, with something on it to be looked at."""
    owner, market = bot.owner, bot.market
    owner.is_staff = owner.is_superuser = True
    owner.save()
    Balance.objects.create(account=bot.account, currency="USDT", free=Decimal(5000))
    draft, kept = make_draft(owner, market), bot.positions.get()
    kept.pk, kept.status = None, "kept"
    kept.save()
    tokens.create(owner, "script", "read")
    channel = channels.create(owner, channels.Wishes("Phone", ["failures"]), "jsons://example.org/")
    trade_days.sum_up()
    single, grid = (tried(bot, several) for several in ({}, {"lines": [10, 20], "lower": [85.0, 90.0]}))
    assert backtests.run_waiting() == 2
    waiting = tried(bot, {"lines": [5, 7]})
    of_bot = [reverse("bot", args=[bot.pk]) + f"?tab={tab}" for tab in ("trades", "orders", "log", "runs", "changes")]
    return [
        *(reverse(name) for name in PLAIN),
        *of_bot,
        reverse("bot", args=[draft.pk]),
        reverse("bot-equity-table", args=[bot.pk]),
        reverse("bot-edit", args=[bot.pk]),
        reverse("bot-edit", args=[draft.pk]),
        reverse("bot-action", args=[bot.pk, "stop"]),
        reverse("bots-bulk", args=["stop"]) + f"?bot={bot.pk}",
        *(f"{reverse('new-bot')}?kind={kind}" for kind in ("grid", "signal")),
        f"{reverse('new-backtest')}?kind=grid",
        *(one.get_absolute_url() for one in (single, grid, waiting)),
        f"{reverse('compare-backtests')}?id={single.pk}",
        reverse("position-dismiss", args=[kept.pk]),
        reverse("backtest-delete", args=[single.pk]),
        reverse("backtest-curve", args=[single.pk]),
        *(reverse(name, args=[channel.pk]) for name in ("channel", "channel-delete")),
        reverse("market", args=[market.pk]),
        reverse("market-candles", args=[market.pk]),
        reverse("revoke-api-token", args=[ApiToken.objects.get(owner=owner).pk]),
        "/nowhere/",
    ]


def tried(bot, grid):
    return backtests.ask(bot.owner, "grid", bot.params, {}, bot.market, 60, bot.allocation, None, grid)[0]


def faults(page, path):
    found = []
    for width, theme, rules in WAYS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        if rules is EVERYTHING:
            page.goto(path)
        page.wait_for_function(SETTLED)
        found += [f"{path} {width} {theme} {fault}" for fault in page.evaluate(FAULTS, rules)]
    return found


def test_every_page_is_looked_at(paths):
    """A new one fails here until it is in the list above."""
    looked_at = {resolve(path.partition("?")[0]).url_name for path in paths if path != "/nowhere/"}
    assert PAGES - looked_at == set()


def test_axe_finds_nothing_on_any_page(browser, site, paths):
    with browser.new_context(base_url=site) as context:
        context.set_default_timeout(120_000)  # it is not about speed: two cores run four browsers
        context.add_init_script(path=AXE)
        page = context.new_page()
        found = faults(page, "/login/")
        log_in(page)
        found += [fault for path in paths for fault in faults(page, path)]
    assert not found, "\n".join(found)
