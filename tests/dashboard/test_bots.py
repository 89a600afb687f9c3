from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from bots.models import EquitySnapshot, Halt
from dashboard import figures
from orchestrator.benchmarks import Queries
from tests.dashboard.cast import make_bot, make_draft, make_market


def names(answer):
    return re.findall(r'<td class="cut"><a href="/bots/\d+/">([^<]+)</a>', answer.text_)


def test_it_shows_state_with_reason_profit_equity_and_sparkline(page, owner, market):
    make_bot(owner, market, status="paused")
    text = page("/bots/").text_
    assert 'title="Because it is paused."' in text
    assert "+23.50" in text
    assert "+2.35\u202f%" in text
    assert "1,023.50" in text
    assert "<polyline" in text


def test_the_drawdown_is_the_deepest_fall_of_the_last_run_within_a_week(page, owner, market):
    run = make_bot(owner, market).runs.get()
    EquitySnapshot.objects.all().delete()
    now = timezone.now()
    worth = [2000] * 10 + [1000, 1200, 900, 1500] + [1500] * 156
    run.bot.runs.update(started_at=now - timedelta(hours=170))
    EquitySnapshot.objects.bulk_create(
        EquitySnapshot(
            bot=run.bot, run=run, time=now - timedelta(hours=170 - n), equity=value, cash=0, position=0, price=0
        )
        for n, value in enumerate(worth)
    )
    assert figures.lately([run.bot_id], now)[run.bot_id].drawdown == -0.55  # 900 of 2000
    assert "−55.00\u202f%" in page("/bots/").text_


def test_what_is_not_running_says_why(page, owner, market):
    make_bot(owner, market, name="On")
    make_bot(owner, market, name="Broken", status="failed")
    make_draft(owner, market)
    assert re.findall(r'<span class="reason" title="([^"]+)">', page("/bots/?sort=name").text_) == [
        "Failed: Because it is failed.",
        "A draft: it was never started.",
    ]
    Halt.objects.create(pk=1, halted_at=timezone.now(), reason="Halted by boss.")
    assert page("/bots/").text_.count("All accounts are halted since 20") == 2 * 2  # shown, and whole on hover


def test_without_bots_it_offers_the_next_step(page):
    assert "No bots yet" in page("/bots/").text_


def test_filters_that_fit_nothing_can_be_cleared(page, bot):
    text = page("/bots/?q=nothing-of-that-name").text_
    assert "No bot fits" in text
    assert 'href="/bots/"' in text


@pytest.fixture
def three(owner, market):
    make_bot(owner, market, name="Gainer", equity="1100", trades=1)
    make_bot(owner, make_market("ETH/USDT"), name="Loser", equity="900", trades=9, status="stopped")
    make_draft(owner, market, name="Idea")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["Idea", "Loser", "Gainer"]),
        ("sort=-pnl", ["Gainer", "Loser", "Idea"]),
        ("sort=pnl", ["Loser", "Gainer", "Idea"]),
        ("sort=-trades", ["Loser", "Gainer", "Idea"]),
        ("sort=name", ["Gainer", "Idea", "Loser"]),
        ("status=stopped", ["Loser"]),
        ("q=eth", ["Loser"]),
        ("q=GAIN", ["Gainer"]),
        ("kind=grid&status=draft", ["Idea"]),
        ("kind=other", []),
        ("mode=paper&sort=name", ["Gainer", "Idea", "Loser"]),
        ("mode=live", []),
    ],
)
def test_sorting_and_filters_are_in_the_address(page, three, query, expected):
    assert names(page(f"/bots/?{query}")) == expected


def test_pages_hold_25_bots_and_lead_to_one_another(page, owner, market):
    for number in range(27):
        make_draft(owner, market, name=f"Idea {number:02}")
    first, second = page("/bots/?sort=name"), page("/bots/?sort=name&page=2")
    assert (len(names(first)), names(second)) == (25, ["Idea 25", "Idea 26"])
    assert "sort=name&amp;page=2" in first.text_
    assert 'rel="next"' not in second.text_


@pytest.mark.parametrize("count", [1, 30])
def test_it_takes_six_queries_however_many_bots(page, owner, market, django_assert_num_queries, count):
    for number in range(count):
        make_bot(owner, market, name=f"Grid {number}")
    # session, user, version, facets, bots with figures, sparklines
    with django_assert_num_queries(6):
        page("/bots/")


@pytest.mark.parametrize(("sort", "reads_runs"), [("name", False), ("-created", False), ("-pnl", True)])
def test_figures_are_added_up_for_the_bots_of_the_page_alone(page, owner, market, sort, reads_runs):
    make_bot(owner, market)
    with Queries(connection) as queries:
        page(f"/bots/?sort={sort}&size=10")
    (listed,) = [query["sql"] for query in queries if "all_halted_at" in query["sql"]]
    ids = re.search(r'"bots_bot"."id" IN \((SELECT .* LIMIT 11)\)', listed)[1]
    assert ('"bots_run"' in ids) == reads_runs
    assert '"params"' not in listed
