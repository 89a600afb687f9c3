"""No form that a person or a script can send leads to a server error."""

from __future__ import annotations

import pytest
from django.contrib.auth.forms import AuthenticationForm
from django.forms import BaseForm

from bots import backtests
from bots.notifications import channels
from tests.dashboard.cast import make_draft
from tests.dashboard.test_at_once import typed
from tests.dashboard.test_channels import ADDRESS, FORM

WORDS = ["", "-1", "nan", "1e400", "9" * 400, "٣", "a\0b", "\U0001f4a3" * 100]


@pytest.fixture
def forms(owner, market):
    """Path -> what is sent where nothing is wrong."""
    bot = make_draft(owner, market)
    own = typed(bot.account, market)
    channel = channels.create(owner, channels.Wishes("Phone", ["failures"]), ADDRESS)
    backtest, _ = backtests.ask(owner, "grid", bot.params, {}, market, 60, bot.allocation, None)
    return {
        "/bots/new/?kind=grid": own,
        f"/bots/{bot.pk}/edit/": own | {"then": "review", "rest": "keep", "seen": ""},
        "/backtests/new/?kind=grid": own | {"days": "30", "grid": "lines: 5, 10"},
        "/settings/channels/new/": FORM | {"quiet_from": "22:00", "quiet_to": "07:00", "bots": bot.pk},
        f"/settings/channels/{channel.pk}/pause/": {"to": "pause"},
        "/settings/tokens/": {"name": "one", "scope": "read", "lasts": "90"},
        "/settings/": {"first_name": "Ann", "last_name": "Lee", "email": "ann@example.org"},
        "/settings/password/": {"old_password": "x", "new_password1": "x", "new_password2": "x"},
        "/halt/": {"scope": "own", "close_positions": "0"},
        "/release/": {"scope": "own"},
        "/bots/all/pause/": {"bot": bot.pk},
        f"/bots/{bot.pk}/stop/": {"close_position": "1"},
        f"/markets/{market.pk}/watch/": {"watched": "1", "back": "?q=1"},
        f"/backtests/{backtest.pk}/cancel/": {"x": "1"},
        "/login/": {"username": "owner", "password": "correct horse", "next": "/"},
    }


def said(answer):
    """(name, field, sentence) of what is wrong with the fields of the forms on a page, the log-in's apart."""
    shown = [value for context in answer.context or () for one in context for value in one.values()]
    forms = {id(one): one for one in shown if isinstance(one, BaseForm) and not isinstance(one, AuthenticationForm)}
    for form in forms.values():
        for name, field in form.fields.items():
            yield from ((name, field, sentence) for sentence in form.errors.get(name, []))


def spoken_by_django(field, sentence):
    """What a password lacks, which it names; a NUL among the ids of rows, which no browser sends."""
    return sentence.startswith("This password") or (hasattr(field, "queryset") and "Null characters" in sentence)


@pytest.mark.parametrize("word", WORDS)
def test_no_word_in_any_field_is_an_error_of_ours_and_what_is_wrong_names_its_field(forms, client, owner, word):
    """In all fields of a form at once, each of which is read by itself."""
    client.force_login(owner)
    for path, data in forms.items():
        answer = client.post(path, dict.fromkeys(data, word))
        assert answer.status_code < 500, path
        for name, field, sentence in said(answer):
            plain = name.removeprefix("param_").removeprefix("limit_")
            called = (plain, plain.replace("_", " "), str(field.label).lower())
            assert sentence.startswith(called) or spoken_by_django(field, sentence), (path, name, sentence)
