"""The same done with several bots at once."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from bots.models import Bot
from tests.dashboard.cast import make_bot, make_draft


def path(action, *bots):
    return reverse("bots-bulk", args=[action]) + "?" + "&".join(f"bot={bot.pk}" for bot in bots)


@pytest.fixture
def tell(client, owner):
    """POST as the owner: the text of the answer."""
    client.force_login(owner)

    def post(action, *bots, **form):
        answer = client.post(reverse("bots-bulk", args=[action]), {"bot": [bot.pk for bot in bots], **form})
        assert answer.status_code == 200
        return re.sub(r"\s+", " ", answer.content.decode())

    return post


@pytest.fixture
def three(owner, market):
    return [make_bot(owner, market, name="On"), make_bot(owner, market, name="Off", status="stopped"),
            make_draft(owner, market, name="Idea")]  # fmt: skip


def test_it_asks_and_names_what_it_is_about_to_do(page, three):
    text = page(path("stop", *three)).text_
    assert "Stop 1 bot<" in text
    assert "On <span" in text
    assert "Idea <span" not in text
    assert "2 others of those chosen cannot be told to stop" in text
    assert 'name="close_position"' in text
    assert Bot.objects.get(name="On").status == "running"


def test_one_answer_says_what_was_done_and_what_was_refused_and_why(tell, three):
    text = tell("pause", *three)
    assert "1 bot paused" in text
    assert "2 refused" in text
    assert "Off is not running." in text
    assert "Idea is not running." in text
    assert list(Bot.objects.order_by("name").values_list("status", flat=True)) == ["draft", "stopped", "paused"]


def test_what_is_refused_to_one_is_not_undone_for_another(tell, owner, market, three):
    second = make_bot(owner, market, name="Second")
    tell("pause", *three, second)
    assert Bot.objects.filter(status="paused").count() == 2


def test_starting_is_refused_where_the_account_has_too_little(tell, three):
    text = tell("start", three[2])
    assert "0 bots started" in text
    assert "more than account paper has free" in text


def test_bots_of_others_are_not_there(client, stranger, three):
    client.force_login(stranger)
    assert "Nothing to pause" in client.get(path("pause", *three)).content.decode()
    client.post(reverse("bots-bulk", args=["pause"]), {"bot": [bot.pk for bot in three]})
    assert Bot.objects.get(name="On").status == "running"


def test_choosing_none_leads_back(page):
    assert "Choose bots in the list first" in page(reverse("bots-bulk", args=["start"])).text_


def test_more_than_a_hundred_are_refused_as_a_whole(client, owner):
    client.force_login(owner)
    answer = client.get(reverse("bots-bulk", args=["start"]), {"bot": list(range(1, 102))})
    assert answer.status_code == 400


def test_an_unknown_action_is_not_there(client, owner):
    client.force_login(owner)
    assert client.post(reverse("bots-bulk", args=["explode"])).status_code == 404


@pytest.mark.parametrize("given", ["x", "-1", "٣", "9" * 30, ""])
def test_what_is_no_bot_is_passed_over(client, owner, given):
    client.force_login(owner)
    assert client.post(reverse("bots-bulk", args=["start"]), {"bot": [given]}).status_code == 200
