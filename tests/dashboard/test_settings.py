from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model

from tests.dashboard.cast import make_bot, make_market, make_user

NEW = "a longer horse 77"


@pytest.fixture
def send(client, owner):
    client.force_login(owner)
    return lambda path, **values: client.post(path, values)


def test_a_profile_is_saved(send, owner):
    answer = send("/settings/", first_name="Ada", last_name="L", email="ada@example.org")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/settings/")
    owner.refresh_from_db()
    assert (owner.first_name, owner.last_name, owner.email) == ("Ada", "L", "ada@example.org")


@pytest.mark.parametrize("values", [{"email": "nowhere"}, {"first_name": "x" * 151}, {"last_name": "a\0b"}])
def test_a_wrong_profile_is_told_and_nothing_of_it_stored(send, owner, values):
    answer = send("/settings/", **{"first_name": "Ada", "last_name": "", "email": "", **values})
    assert answer.status_code == 422
    assert "field-wrong" in answer.content.decode()
    owner.refresh_from_db()
    assert (owner.first_name, owner.email) == ("", "")


def test_a_profile_changes_nothing_but_name_and_mail(send, owner):
    send("/settings/", first_name="Ada", is_superuser="on", is_staff="on", username="admin")
    owner.refresh_from_db()
    assert (owner.username, owner.is_staff, owner.is_superuser) == ("owner", False, False)


def test_a_changed_password_ends_other_sessions_and_not_this_one(send, client, owner):
    other = type(client)()
    other.force_login(owner)
    answer = send("/settings/password/", old_password="correct horse", new_password1=NEW, new_password2=NEW)
    assert answer.status_code == 302
    assert client.get("/settings/").status_code == 200
    assert other.get("/settings/").status_code == 302
    assert get_user_model().objects.get(pk=owner.pk).check_password(NEW)


@pytest.mark.parametrize(
    ("old", "new", "again"), [("wrong", NEW, NEW), ("correct horse", NEW, "other"), ("correct horse", "1234", "1234")]
)
def test_a_password_is_not_changed_by_a_wrong_form(send, owner, old, new, again):
    answer = send("/settings/password/", old_password=old, new_password1=new, new_password2=again)
    assert answer.status_code == 422
    text = answer.content.decode()
    assert "field-wrong" in text
    assert NEW not in text
    owner.refresh_from_db()
    assert owner.check_password("correct horse")


def test_settings_lead_to_the_tokens_and_are_kept_by_no_cache(page):
    answer = page("/settings/")
    assert 'href="/settings/tokens/"' in answer.text_
    assert "no-store" in answer.headers["Cache-Control"]


def test_settings_are_the_visitors_own(page, db):
    make_user("rich", email="rich@example.org")
    assert "rich@example.org" not in page("/settings/").text_
    assert page("/settings/password/").headers["Location"] == "/settings/"


@pytest.fixture
def euros(bot):
    """A bot in EUR beside one in USDT, which has more in it."""
    return make_bot(bot.owner, make_market("BTC/EUR"), "In euros", equity="10")


def first_shown(page):
    return page("/").context["book"].currency, page("/performance/").context["book"]


def test_the_currency_that_was_chosen_comes_first(page, send, euros, redis):
    assert first_shown(page) == ("USDT", "paper:USDT")
    assert send("/settings/currency/", currency="EUR").status_code == 302
    assert first_shown(page) == ("EUR", "paper:EUR")
    assert page("/?book=paper:USDT").context["book"].currency == "USDT"
    assert '<option value="EUR" selected>' in page("/settings/").text_
    send("/settings/currency/", currency="")
    assert first_shown(page) == ("USDT", "paper:USDT")


@pytest.mark.parametrize("typed", ["XYZ", "a" * 300, "EUR; path=/", "\0"])
def test_a_currency_nobody_has_is_not_chosen(page, send, client, euros, typed):
    send("/settings/currency/", currency=typed)
    told = page("/settings/").text_
    assert "No currency was chosen: currency must be one of EUR, USDT, empty, not" in told
    assert "Select a valid choice" not in told
    client.cookies["currency"] = typed.replace("\0", "")
    assert page("/").context["book"].currency == "USDT"
