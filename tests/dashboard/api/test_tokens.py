from __future__ import annotations

import logging
import re
from datetime import timedelta

import pytest
from django.utils import timezone
from django.utils.html import escape

from bots.models import Event
from dashboard import tokens
from dashboard.api.application import schema
from dashboard.models import ApiToken
from dashboard.views.api_tokens import MOST
from tests.dashboard.api.conftest import Caller

PAGE = "/settings/tokens/"
FORM = {"name": "script", "scope": "read", "lasts": "30"}


def secret_in(text):
    return re.search(r"orc_[\w-]{43}", text)


@pytest.fixture
def form(client, owner):
    client.force_login(owner)
    return lambda **changes: client.post(PAGE, FORM | changes)


def test_a_new_token_is_shown_once_and_works(form, page):
    answer = form()
    secret = secret_in(answer.content.decode())[0]
    assert "no-store" in answer.headers["Cache-Control"]
    assert Caller(secret)("stats").status_code == 200
    again = page(PAGE).text_
    assert "script" in again
    assert not secret_in(again)


def test_only_a_digest_is_kept(owner):
    token, secret = tokens.create(owner, "script", "read")
    assert len(secret) == 47
    kept = " ".join(str(value) for value in ApiToken.objects.filter(pk=token.pk).values_list().get())
    assert secret.removeprefix(tokens.PREFIX) not in kept


def test_a_token_is_in_no_answer_log_or_event(owner, bot, caplog):
    caplog.set_level(logging.DEBUG)
    token, secret = tokens.create(owner, "script", "trade")
    ask = Caller(secret)
    bodies = [ask(path).content.decode() for path in ("stats", "bots", "nothing", "trades?page=0", "openapi.json")]
    bodies.append(ask(f"bots/{bot.pk}/start", {}).content.decode())
    tokens.revoke(token)
    bodies.append(ask("stats").content.decode())
    told = " ".join(f"{event.message} {event.data}" for event in Event.objects.all())
    assert "API token script created" in told
    for text in (*bodies, caplog.text, told):
        assert secret.removeprefix(tokens.PREFIX) not in text


def test_making_and_revoking_are_recorded(owner):
    token, _ = tokens.create(owner, "script", "trade")
    tokens.revoke(token)
    assert list(Event.objects.filter(owner=owner).order_by("id").values_list("code", "message")) == [
        ("token_created", "API token script created: it may read and trade."),
        ("token_revoked", "API token script revoked."),
    ]


def test_it_ends_when_it_was_told_to(form):
    form()
    form(name="for ever", lasts="")
    ends = dict(ApiToken.objects.values_list("name", "expires_at"))
    assert ends["for ever"] is None
    assert timedelta(days=29, hours=23) < ends["script"] - timezone.now() <= timedelta(days=30)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": ""}, "name is needed."),
        ({"name": "x" * 61}, "name must be at most 60 characters long, not 61."),
        ({"name": "a\0"}, "name must be text without NUL characters."),
        ({"scope": "everything"}, "scope must be one of read, trade, not 'everything'."),
        ({"lasts": "-1"}, "lasts must be 30, 90 or 365 days, or empty, not '-1'."),
    ],
)
def test_what_is_wrong_makes_no_token(form, changes, sentence):
    answer = form(**changes)
    assert answer.status_code == 422
    assert escape(sentence) in answer.content.decode()
    assert not ApiToken.objects.exists()


def test_what_was_chosen_beside_a_wrong_name_stays_chosen(form):
    text = form(name="", scope="trade", lasts="365").content.decode()
    assert 'value="trade" checked' in text
    assert 'value="365" selected>' in text
    assert (text.count(" checked"), text.count(" selected")) == (1, 1)


def test_a_name_is_given_once(form):
    form()
    answer = form()
    assert answer.status_code == 422
    assert "name must be new among your tokens" in answer.content.decode()
    assert not secret_in(answer.content.decode())


def test_tokens_are_bounded(form, owner):
    ApiToken.objects.bulk_create(ApiToken(owner=owner, name=str(n), digest=str(n)) for n in range(MOST))
    assert "tokens must be at most 50" in form().content.decode()


def test_a_token_is_revoked_by_its_owner_alone(client, owner, stranger):
    token, _ = tokens.create(owner, "script", "read")
    path = f"{PAGE}{token.pk}/revoke/"
    client.force_login(stranger)
    assert client.post(path).status_code == 404
    client.force_login(owner)
    assert "Revoke script?" in client.get(path).content.decode()
    assert client.post(path).headers["Location"] == PAGE
    assert not ApiToken.objects.exists()


def test_its_last_use_is_told(owner, page):
    token, secret = tokens.create(owner, "script", "read")
    assert "Never" in page(PAGE).text_
    Caller(secret)("stats")
    token.refresh_from_db()
    assert timezone.now() - token.used_at < timedelta(minutes=1)


def test_the_reference_names_every_endpoint(page):
    text = page("/api/docs/").text_
    assert all(path in text for path in schema()["paths"])
    assert "open to all" in text


def test_the_reference_says_bounds_and_defaults(page):
    text = page("/api/docs/").text_
    assert "integer from 10 to 1000" in text
    assert "open, kept, dismissed, closed, all" in text
    assert "string or null" in text
