"""Nothing is cut off, runs into its neighbour, or is shown where it says nothing."""

from __future__ import annotations

import pytest
from django.db.models import Value
from django.db.models.functions import Concat
from django_celery_beat.models import CrontabSchedule
from playwright.sync_api import expect

from bots import backtests
from bots.models import Bot
from markets.models import Market
from tests.browser.test_journey import PAINTED, TOO_WIDE, log_in
from tests.dashboard.cast import make_draft

# Elements whose content is wider than they are.
CUT = "elements => elements.filter(one => one.scrollWidth > one.clientWidth).map(one => one.textContent.trim())"


@pytest.fixture
def wide(browser, site):
    with browser.new_context(viewport={"width": 1440, "height": 900}, base_url=site) as context:
        yield context.new_page()


def test_a_note_under_a_figure_stays_in_its_cell(wide, bot):
    log_in(wide)
    wide.goto(f"/bots/{bot.pk}/")
    notes = wide.locator(".strip-note")
    notes.first.evaluate("note => { note.textContent = '58.04 fees paid, 5.01 funding received' }")
    assert notes.evaluate_all(CUT) == []


def test_the_list_of_bots_shows_its_last_column_beside_a_long_reason(wide, bot):
    make_draft(bot.owner, bot.market)
    Bot.objects.update(name=Concat("name", Value(", long and short, of three months")))
    Market.objects.update(symbol="SOL/USDT:USDT")
    log_in(wide)
    wide.goto("/bots/")
    expect(wide.locator(".reason", has_text="A draft: it was never started.")).to_be_visible()
    wide.locator("td.num").evaluate_all("cells => cells.forEach(cell => { cell.textContent = '−1,234.56' })")
    assert wide.locator(".scroll-x").evaluate_all(CUT) == []


def test_the_page_of_the_cache_is_as_wide_as_the_screen(watched, bot):
    bot.owner.is_staff = bot.owner.is_superuser = True
    bot.owner.save()
    log_in(watched.page)
    watched.page.goto("/admin/cache/")
    assert watched.page.evaluate(TOO_WIDE) <= 0
    assert watched.faults == []


def test_a_crontab_is_told_in_words_by_a_script_that_the_policy_lets_run(watched, bot):
    bot.owner.is_staff = bot.owner.is_superuser = True
    bot.owner.save()
    nightly = CrontabSchedule.objects.create(minute="30", hour="4")
    log_in(watched.page)
    watched.page.goto("/admin/django_celery_beat/periodictask/add/")
    watched.page.locator("#id_crontab").select_option(str(nightly.pk))
    expect(watched.page.locator(".field-crontab .help")).to_contain_text("In words: At 04:30 AM")
    assert watched.faults == []


def test_a_backtests_chart_offers_no_orders_as_it_has_none(wide, bot, redis):
    asked, _ = backtests.ask(bot.owner, bot.kind, bot.params, {}, bot.market, 60, bot.allocation, None, {})
    assert backtests.run_waiting() == 1
    log_in(wide)
    wide.goto(f"/backtests/{asked.pk}/")
    expect(wide.locator("[data-layer=trades]")).to_be_visible()
    expect(wide.locator("[data-layer=orders]")).to_have_count(0)
    expect(wide.locator("#backtest-legend")).to_contain_text("Drawdown")
    wide.set_viewport_size({"width": 390, "height": 900})
    assert wide.evaluate(TOO_WIDE) <= 0


def test_what_cannot_be_tried_shows_no_empty_chart(wide, bot):
    log_in(wide)
    wide.goto("/bots/new/?kind=grid")
    wide.wait_for_function(PAINTED, arg="#preview-equity")
    wide.get_by_label("Upper price").fill("80")
    expect(wide.get_by_role("heading", name="Had it run")).to_be_hidden()
    wide.get_by_label("Upper price").fill("112")
    expect(wide.get_by_role("heading", name="Had it run")).to_be_visible()
    wide.wait_for_function(PAINTED, arg="#preview-equity")


def test_paper_shows_all_columns_and_rows_of_a_bot(wide, bot):
    log_in(wide)
    wide.goto(f"/bots/{bot.pk}/")
    wide.set_viewport_size({"width": 718, "height": 1000})  # A4
    fee = wide.locator("#bot-tables th", has_text="Fee")
    expect(fee).to_be_hidden()
    wide.emulate_media(media="print")
    expect(fee).to_be_visible()
    expect(wide.locator(".bar")).to_be_hidden()
    assert wide.locator("#bot-tables").evaluate("one => getComputedStyle(one).contentVisibility") == "visible"
    rows = wide.locator(".scroll-y, .scroll-x").evaluate_all("all => all.map(one => getComputedStyle(one).overflowY)")
    assert set(rows) == {"visible"}
    wide.evaluate("document.documentElement.dataset.bsTheme = 'dark'; dispatchEvent(new Event('beforeprint'))")
    assert wide.locator("html").get_attribute("data-bs-theme") == "light"


@pytest.mark.parametrize("watched", [390], indirect=True)
def test_a_phone_shows_what_was_made_beside_every_trade_and_position(watched, bot):
    log_in(watched.page)
    for path, figure in (("/trades/", "Realized"), ("/positions/", "Open PnL"), ("/", "Open PnL")):
        watched.page.goto(path)
        heading = watched.page.get_by_role("columnheader", name=figure).first
        heading.scroll_into_view_if_needed()
        place = heading.bounding_box()
        assert place["x"] + place["width"] <= 390, path
    # Where one is, is in sight in the bar, too.
    watched.page.goto("/markets/")
    expect(watched.page.locator(".bar-nav [aria-current]")).to_be_in_viewport(ratio=1)
    assert watched.faults == []
