from __future__ import annotations

from datetime import time

import pytest

from bots.models import Channel, Event
from bots.notifications import channels
from bots.notifications.delivery import PURPOSE
from orchestrator import crypto
from tests.dashboard.cast import make_draft, make_user

ADDRESS = "jsons://example.org/s3cr3t"
FORM = {
    "name": "Phone", "address": ADDRESS, "topics": ["failures", "exits"], "minimum": "info", "zone": "Europe/Berlin",
    "which": "all", "errors_wake": "on",
}  # fmt: skip


@pytest.fixture
def send(client, owner):
    client.force_login(owner)

    def send(path, **values):
        answer = client.post(path, values)
        answer.text_ = answer.content.decode()
        return answer

    return send


@pytest.fixture
def channel(owner):
    return channels.create(owner, channels.Wishes("Phone", ["failures"]), ADDRESS)


def test_a_channel_is_made_and_its_address_is_never_shown_again(send, page, owner, market):
    bot = make_draft(owner, market)
    answer = send(
        "/settings/channels/new/", **FORM | {"which": "chosen"}, bots=[bot.pk], quiet_from="22:00", quiet_to="07:00"
    )
    assert (answer.status_code, answer.headers["Location"]) == (302, "/settings/channels/")
    made = Channel.objects.get(owner=owner)
    assert (made.topics, made.zone, made.all_bots) == (["failures", "exits"], "Europe/Berlin", False)
    assert (made.quiet_from, made.quiet_to, list(made.bots.all())) == (time(22), time(7), [bot])
    assert crypto.unseal(made.sealed, PURPOSE) == ADDRESS
    for path in ("/settings/channels/", f"/settings/channels/{made.pk}/", "/activity/"):
        text = page(path).text_
        assert "s3cr3t" not in text
        assert "Webhook at example.org" in text
    assert "no-store" in page("/settings/channels/").headers["Cache-Control"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"name": ""}, "name is needed."),
        ({"name": "x" * 61}, "name must be at most 60 characters long, not 61."),
        ({"name": "a\0b"}, "name must be text without NUL characters."),
        ({"name": "Taken"}, "name must be new among your channels; &#x27;Taken&#x27; is taken."),
        ({"address": ""}, "address is needed."),
        ({"address": "syslog://s3cr3t"}, "address must begin with one of tgram://"),
        ({"address": "jsons://127.0.0.1/s3cr3t"}, "address must be of a public server"),
        ({"topics": []}, "topics: choose at least one to be told about."),
        ({"topics": ["all"]}, "topics must be one of "),
        ({"minimum": "fatal"}, "minimum must be one of info, warning, error, not &#x27;fatal&#x27;."),
        ({"bots": ["999999"]}, "bots must be yours, not &#x27;999999&#x27;."),
        ({"which": "chosen"}, "bots: choose at least one, or all."),
        ({"which": "none"}, "of which bots must be one of all, chosen, not &#x27;none&#x27;."),
        ({"which": ""}, "of which bots is needed."),
        ({"bots": ["x"]}, "bots must be yours, not &#x27;x&#x27;."),
        ({"quiet_from": "22:00"}, "quiet from and to are needed both, or none of them."),
        ({"quiet_from": "25:00", "quiet_to": "07:00"}, "quiet from must be a time, such as 22:00."),
        (
            {"zone": "Mars/Phobos"},
            "time zone must be one of the list, such as Europe/Berlin, not &#x27;Mars/Phobos&#x27;.",
        ),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence_and_nothing_is_stored(send, owner, values, sentence):
    channels.create(owner, channels.Wishes("Taken", ["failures"]), ADDRESS)
    answer = send("/settings/channels/new/", **FORM | values)
    assert answer.status_code == 422
    assert sentence in answer.text_
    assert "s3cr3t" not in answer.text_
    assert Channel.objects.count() == 1


def test_an_address_stays_when_none_is_typed(send, channel):
    send(f"/settings/channels/{channel.pk}/", **FORM | {"address": "", "name": "Tablet"})
    channel.refresh_from_db()
    assert (channel.name, channel.topics) == ("Tablet", ["failures", "exits"])
    assert crypto.unseal(channel.sealed, PURPOSE) == ADDRESS
    send(f"/settings/channels/{channel.pk}/", **FORM | {"address": "ntfy://t0pic", "name": "Tablet"})
    channel.refresh_from_db()
    assert channel.shown == "ntfy at ntfy.sh"
    said = Event.objects.filter(code="channel_changed").values_list("message", flat=True)
    assert set(said) == {"Channel Tablet changed.", "Channel Tablet changed, it goes to ntfy at ntfy.sh now."}


def test_a_form_shows_what_is_chosen(page, channel):
    text = page(f"/settings/channels/{channel.pk}/").text_
    assert '<input type="checkbox" name="topics" value="failures" checked>' in text
    assert '<input type="checkbox" name="topics" value="trades">' in text
    assert '<input type="checkbox" name="topics" value="failures" checked>' in page("/settings/channels/new/").text_


def test_a_channel_is_paused_and_resumed(send, page, channel):
    send(f"/settings/channels/{channel.pk}/pause/", to="pause")
    assert "What happens meanwhile" not in page("/settings/channels/").text_
    channel.refresh_from_db()
    assert not channel.enabled
    send(f"/settings/channels/{channel.pk}/pause/", to="resume")
    channel.refresh_from_db()
    assert channel.enabled


def test_a_test_message_is_asked_for_once_and_watched_until_it_is_sent(send, page, channel, redis):
    assert "every 1s" not in page("/settings/channels/").text_
    send(f"/settings/channels/{channel.pk}/test/")
    text = page("/settings/channels/").text_
    assert "A test message is being sent." in text
    assert "every 1s" in text
    send(f"/settings/channels/{channel.pk}/test/")
    assert "Test messages must be 10 s apart: another one can be sent in" in page("/settings/channels/").text_
    Channel.objects.update(test_asked_at=None, last_error="example.org answered 403 Forbidden.")
    part = page("/settings/channels/", **{"HX-Request": "true"}).text_
    assert "example.org answered 403 Forbidden." in part
    assert part.startswith("<section")
    assert "every 1s" not in part


def test_a_channel_whose_chosen_bots_are_deleted_tells_of_none_and_says_so(send, page, owner, market):
    bot, path = make_draft(owner, market), "/settings/channels/"
    chosen = channels.create(owner, channels.Wishes("Phone", ["failures"], bots=[bot]), ADDRESS)
    sentence = "The bots that were chosen are deleted"
    assert sentence not in page(f"{path}{chosen.pk}/").text_
    bot.delete()
    assert sentence in page(f"{path}{chosen.pk}/").text_
    assert send(f"{path}{chosen.pk}/", **FORM | {"address": "", "which": "chosen"}).status_code == 302
    chosen.refresh_from_db()
    assert (chosen.all_bots, chosen.bots.count()) == (False, 0)
    assert "no bot: those that were chosen are deleted" in page(path).text_
    assert send(f"{path}{chosen.pk}/", **FORM | {"address": ""}).status_code == 302
    chosen.refresh_from_db()
    assert chosen.all_bots


def test_bots_that_are_chosen_while_all_are_meant_are_asked_about(send, owner, market):
    answer = send("/settings/channels/new/", **FORM, bots=[make_draft(owner, market).pk])
    assert "bots: say that the chosen ones alone are meant, or choose none." in answer.text_


def test_deleting_asks_first(send, page, channel):
    assert "Delete Phone?" in page(f"/settings/channels/{channel.pk}/delete/").text_
    assert Channel.objects.exists()
    send(f"/settings/channels/{channel.pk}/delete/")
    assert not Channel.objects.exists()
    assert Event.objects.filter(code="channel_deleted").count() == 1


@pytest.mark.parametrize("path", ["", "test/", "pause/", "delete/"])
def test_a_channel_is_its_owners_alone(send, client, channel, path):
    client.force_login(make_user("stranger", is_staff=True, is_superuser=True))
    for method in (client.get, client.post):
        assert method(f"/settings/channels/{channel.pk}/{path}", FORM).status_code == 404
    channel.refresh_from_db()
    assert (channel.enabled, channel.test_asked_at) == (True, None)


def test_there_are_only_so_many(send, owner, monkeypatch, channel):
    monkeypatch.setattr(channels, "MOST", 1)
    answer = send("/settings/channels/new/", **FORM | {"name": "Second"})
    assert "channels must be at most 1; delete one that is not used any more." in answer.text_


def test_the_list_asks_the_same_however_many_there_are(page, owner, market, django_assert_max_num_queries):
    bots = [make_draft(owner, market, f"Bot {number}") for number in range(3)]
    for number in range(5):
        channels.create(owner, channels.Wishes(f"Channel {number}", ["failures"], bots=bots), ADDRESS)
    with django_assert_max_num_queries(6):
        assert "Bot 0, Bot 1, Bot 2" in page("/settings/channels/").text_


def test_a_channel_that_another_tab_deletes_stays_deleted(owner, channel):
    opened = Channel.objects.get()
    channels.delete(channel)
    with pytest.raises(Channel.DoesNotExist):
        channels.change(opened, channels.Wishes("Phone", ["exits"]), ADDRESS)
    assert not Channel.objects.exists()
