from __future__ import annotations

import pytest
from django.urls import reverse

PAGES = ["overview", "equity", "bots", "markets"]
BOT_PAGES = ["bot", "bot-chart", "bot-equity"]
MARKET_PAGES = ["market", "market-chart", "market-candles"]


@pytest.mark.parametrize("name", PAGES + BOT_PAGES + MARKET_PAGES)
def test_a_visitor_is_sent_to_log_in(client, bot, name):
    pk = {"bot": bot.pk, "market": bot.market_id}.get(name.partition("-")[0])
    path = reverse(name, args=[pk] if pk else [])
    assert client.get(path).headers["Location"] == f"/login/?next={path}"


@pytest.mark.parametrize("name", BOT_PAGES)
def test_another_users_bot_is_not_there(client, bot, stranger, name):
    client.force_login(stranger)
    assert client.get(reverse(name, args=[bot.pk])).status_code == 404


@pytest.mark.parametrize("action", ["start", "pause", "resume", "stop"])
def test_another_users_bot_cannot_be_told_anything(client, bot, stranger, action):
    client.force_login(stranger)
    path = reverse("bot-action", args=[bot.pk, action])
    assert client.get(path).status_code == 404
    assert client.post(path).status_code == 404
    bot.refresh_from_db()
    assert bot.status == "running"


@pytest.mark.parametrize("path", ["/", "/bots/", "/markets/", "/equity.json"])
def test_a_stranger_sees_nothing_of_the_owner(client, bot, stranger, path):
    client.force_login(stranger)
    assert "Swing grid" not in client.get(path).content.decode()


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_read_by_get_alone(client, owner, name):
    client.force_login(owner)
    assert client.post(reverse(name)).status_code == 405


def test_a_change_needs_the_csrf_token(bot, owner):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    answer = client.post(reverse("bot-action", args=[bot.pk, "stop"]))
    assert answer.status_code == 403
    assert "Form expired" in answer.content.decode()


def test_logging_in_leads_to_the_overview_and_out_to_the_form(client, owner):
    assert client.post("/login/", {"username": "owner", "password": "wrong"}).status_code == 200
    assert client.post("/login/", {"username": "owner", "password": "correct horse"}).headers["Location"] == "/"
    assert client.get("/").status_code == 200
    assert client.post("/logout/").headers["Location"] == "/login/"
    assert client.get("/").status_code == 302


def test_the_log_in_form_does_not_lead_elsewhere(client, owner):
    form = {"username": "owner", "password": "correct horse", "next": "https://evil.example/"}
    assert client.post("/login/", form).headers["Location"] == "/"
