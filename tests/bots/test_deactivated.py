"""Bots of users who are made inactive: nothing trades for them, and all can go on when they are active again."""

# ruff: noqa: F811 (fixtures of other tests)

from __future__ import annotations

from decimal import Decimal

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from bots import cycles, live, live_money, runs, services
from bots.models import Bot, Event, Order
from tests.bots.conftest import MINUTE, START, bars
from tests.bots.test_admin import boss, told  # noqa: F401 (a fixture)
from tests.bots.test_live import on_book, rows

PASS = ((100, 101, 99, 100), (100, 100, 91, 92))
REASON = "Paused, as its user is not active any more: its orders are withdrawn, its position is kept."


@pytest.fixture
def both(bot, owner, exchange, close):
    """Runs of a bot on paper and of a live one, both with orders and a position."""
    paper = services.start(bot, START)
    account = live_money.open_account(owner, "Live", exchange, {"USDT": Decimal(1000)})
    other = Bot.objects.create(
        owner=owner, account=account, market=bot.market, name="Live", kind=bot.kind, timeframe=60,
        allocation=bot.allocation, params=bot.params,
    )  # fmt: skip
    run = services.start(other, START)
    close(bars(*PASS))
    lead()
    assert Order.objects.filter(run=paper, status="open").exists()
    assert on_book(run)
    return paper, run


def lead() -> None:
    cycles.lead("paper", runs.due, runs.advance_due)
    cycles.lead("live", live.due, live.advance_due)


def test_who_is_made_inactive_in_the_admin_has_no_bot_that_trades(client, boss, owner, both, close, monkeypatch):
    form = {"username": "ann", "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    address = reverse("admin:auth_user_change", args=[owner.pk])
    assert "2 bots paused: orders are withdrawn, positions are kept." in told(client.post(address, form, follow=True))
    paper, run = both
    assert not Order.objects.filter(run=paper, status="open").exists()
    assert rows(run, "canceling") == on_book(run) != set()
    close(bars(*PASS, start=START + 2 * MINUTE))
    lead()
    assert on_book(run) == rows(run, "open", "pending", "canceling") == set()
    for one in both:
        one.refresh_from_db()
        assert (one.status, one.bar_time, one.position > 0) == ("paused", START + MINUTE, True)
        assert one.bot.reason == Event.objects.get(bot=one.bot, code="halted").message == REASON
        with pytest.raises(services.Refused, match="ann is not an active user; bots start and go on for active users"):
            services.resume(one.bot)
    client.post(address, form | {"is_active": "on"})
    monkeypatch.setattr(services.lifecycle, "now_of", lambda exchange: START + 4 * MINUTE)
    for one in both:
        services.resume(one.bot)
    lead()
    assert on_book(run) == rows(run, "open") != set()


def test_a_worker_leads_nobody_on_whatever_has_cleared_the_flag(owner, both, close):
    get_user_model().objects.update(is_active=False)
    close(bars(*PASS, start=START + 2 * MINUTE))
    lead()
    for one in both:
        one.refresh_from_db()
        assert (one.status, one.bar_time, one.bot.reason) == ("paused", START + MINUTE, REASON)
    assert on_book(both[1]) == set()


def test_no_bot_is_started_for_who_is_not_active(bot, owner):
    owner.is_active = False
    owner.save()
    with pytest.raises(services.Refused, match="ann is not an active user"):
        services.start(bot)
