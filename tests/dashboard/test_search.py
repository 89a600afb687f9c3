"""Search and jump: pages, the own bots and markets by what people type of their names."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from dashboard import search
from tests.dashboard.cast import make_bot, make_draft, make_market, make_user

FRAGMENT = {"HX-Request": "true"}


def addresses(answer):
    """What is found, in its order; the page's bar and foot are not."""
    found = re.search(r'<div id="found".*', answer.text_, re.S)[0]
    return re.findall(r'<li><a href="([^"]+)"', found)


def test_a_bot_is_found_by_its_name_its_market_and_its_kind(page, bot):
    for words in ("swing", "SWING grid", "btcusdt", "btc/usdt grid", "grid"):
        assert bot.get_absolute_url() in addresses(page(f"/search/?q={words}", **FRAGMENT)), words
    assert bot.get_absolute_url() not in addresses(page("/search/?q=swing+ethusdt"))


def test_a_market_is_found_with_and_without_the_slash(page, market):
    for words in ("BTC/USDT", "btcusdt", "btc sim"):
        assert reverse("market", args=[market.pk]) in addresses(page(f"/search/?q={words}")), words


def test_what_begins_with_the_words_comes_first(page, owner, market):
    later, first = make_draft(owner, market, "A swing grid"), make_draft(owner, market, "Swing grid")
    assert addresses(page("/search/?q=swing")) == [first.get_absolute_url(), later.get_absolute_url()]


def test_another_s_bots_are_not_found(page, market):
    make_bot(make_user("other"), market, "Their swing")
    assert addresses(page("/search/?q=swing")) == []


def test_without_words_all_pages_are_offered(page, owner):
    everybodys = [reverse(name) for name in search.PAGES]
    assert addresses(page("/search/")) == everybodys
    owner.is_staff = True
    owner.save()
    assert addresses(page("/search/?q=%20")) == everybodys + [reverse(name) for name in search.STAFF_PAGES]


def test_what_is_not_found_is_said_and_is_text(page):
    found = page("/search/?q=<b>nothing", **FRAGMENT).text_
    assert "Nothing is called “&lt;b&gt;nothing”" in found
    assert "<html" not in found


@pytest.mark.parametrize("words", ["%25", "_", "\\", "%00", "\u0130", "a" * 5000])
def test_signs_of_the_database_stand_for_themselves(page, bot, words):
    answer = page(f"/search/?q={words}")
    assert answer.status_code == 200
    assert bot.get_absolute_url() not in addresses(answer)


def test_however_many_there_are_two_queries_find_a_few(page, owner, market, django_assert_max_num_queries):
    for number in range(12):
        make_draft(owner, make_market(f"BTC{number}/USDT", minutes=0), f"Bot {number:02}")
    with django_assert_max_num_queries(4):  # the visitor's session and row with them
        found = addresses(page("/search/?q=b"))
    assert sum(address.startswith("/bots/") for address in found if address[6:-1].isdecimal()) == search.MOST
    assert sum(address.startswith("/markets/") and address != "/markets/" for address in found) == search.MOST
