from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from dashboard import tokens
from dashboard.api.application import schema
from dashboard.models import ApiToken
from orchestrator.models import Finding
from orchestrator.observability import findings, requests
from tests.dashboard.api.conftest import Caller

OPERATIONS = [(method.upper(), path) for path, ways in schema()["paths"].items() for method in ways]
BODIES = {"stop": {"position": "keep"}, "trial": {"market": 1, "kind": "grid"}, "batch": {"paths": ["/api/stats"]}}
OPEN = {"/api/health"}
EVERYBODYS = {"exchange_id", "market_id", "kind"}
OWNED = [(method, path) for method, path in OPERATIONS if set(re.findall(r"{(\w+)}", path)) - EVERYBODYS]
READS_BY_POST = {"/api/batch", "/api/backtests/trial"}


def sent(path):
    return BODIES.get(path.rpartition("/")[2], {})


def wrong(answers, *expected):
    """{operation: what it answers} where that is not what is expected."""
    return {operation: told for operation, told in answers.items() if told != expected}


@pytest.mark.parametrize("header", [None, "Bearer ", "Bearer orc_nonsense", "Basic dTpw", "Bearer \x00é"])
def test_nobody_is_told_anything_without_a_token_or_session(db, places, header):
    headers = {} if header is None else {"Authorization": header}

    def told(method, path):
        answer = Client().generic(method, path.format(**places), "{}", "application/json", headers=headers)
        return answer.status_code, answer.headers["Content-Type"], answer.headers["WWW-Authenticate"]

    answers = {(method, path): told(method, path) for method, path in OPERATIONS if path not in OPEN}
    assert wrong(answers, 401, "application/problem+json", "Bearer") == {}


def test_what_belongs_to_another_is_not_there(ask_as_stranger, places):
    def told(method, path):
        answer = ask_as_stranger(path.removeprefix("/api/").format(**places), sent(path), method)
        return answer.status_code, answer.data["status"]

    assert len(OWNED) > 10
    assert wrong({(method, path): told(method, path) for method, path in OWNED}, 404, 404) == {}


@pytest.mark.parametrize(
    "path", ["bots", "trades", "orders?status=all", "positions?status=all", "accounts", "backtests"]
)
def test_lists_hold_nothing_of_another(ask_as_stranger, bot, path):
    assert ask_as_stranger(path).data["items"] == []


@pytest.mark.parametrize("path", ["stats", "performance?book=paper:USDT", "equity-curve?book=paper:USDT"])
def test_figures_sum_nothing_of_another(ask_as_stranger, bot, path):
    data = ask_as_stranger(path).data
    assert not any(data.get(name) for name in ("books", "shares", "time", "open_positions", "trades"))


def test_a_bot_is_not_made_on_anothers_account(ask_as_stranger, bot):
    body = {"name": "x", "account": bot.account_id, "market": bot.market_id, "kind": "grid", "allocation": "9"}
    answer = ask_as_stranger("bots", body | {"params": {"lower": 90, "upper": 110}})
    assert answer.status_code == 422
    assert answer.data["errors"] == [
        {"field": "account", "message": f"account must be one of your own, not {bot.account_id}."}
    ]


def test_a_token_that_may_read_changes_nothing(owner, places):
    ask = Caller(tokens.create(owner, "reader", "read")[1])

    def told(method, path):
        return ask(path.removeprefix("/api/").format(**places), sent(path), method).status_code

    answers = {(method, path): told(method, path) for method, path in OPERATIONS if method != "GET"}
    assert {path for (_, path), status in answers.items() if status != 403} == READS_BY_POST


@pytest.mark.parametrize("state", ["expired", "revoked", "owner is inactive"])
def test_a_token_ends(owner, state):
    token, text = tokens.create(owner, "old", "read", expires_at=timezone.now() + timedelta(hours=1))
    ask = Caller(text)
    assert ask("stats").status_code == 200
    if state == "expired":
        ApiToken.objects.update(expires_at=timezone.now())
    elif state == "revoked":
        tokens.revoke(token)
    else:
        owner.is_active = False
        owner.save()
    assert ask("stats").status_code == 401


def test_a_session_reads_and_needs_the_csrf_token_to_change(owner, draft):
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    assert client.get("/api/stats").status_code == 200
    answer = client.post(f"/api/bots/{draft.pk}/start")
    assert answer.status_code == 403
    assert answer.headers["Content-Type"] == "application/problem+json"
    client.get(f"/bots/{draft.pk}/start/")  # a page with a form brings the cookie
    secret = client.cookies["csrftoken"].value
    assert client.post(f"/api/bots/{draft.pk}/start", headers={"X-CSRFToken": secret}).status_code == 200


def test_a_bad_token_is_refused_beside_a_good_session(client, owner):
    client.force_login(owner)
    assert client.get("/api/stats", headers={"Authorization": "Bearer orc_nonsense"}).status_code == 401


def test_health_needs_no_login(client, db):
    assert client.get("/api/health").json()["parts"]["database"] == {"ok": True, "says": "answers"}


def test_a_slow_request_that_came_with_a_token_names_its_owner(ask, owner, draft, monkeypatch):
    monkeypatch.setattr(requests, "SLOW_SECONDS", -1.0)
    monkeypatch.setattr(findings, "_last", type(findings._last)())
    ask(f"bots/{draft.pk}")
    found = Finding.objects.get(kind="slow_request")
    assert (found.user, found.bot_id, found.path) == (owner, draft.pk, f"/api/bots/{draft.pk}")
