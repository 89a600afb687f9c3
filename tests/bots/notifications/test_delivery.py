from __future__ import annotations

import logging
import re
from datetime import UTC, datetime, time, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from bots.models import Channel, Event
from bots.notifications import channels, delivery, horizon, selection
from tests.bots.notifications.conftest import row
from tests.bots.notifications.service import MailServer
from tests.dashboard.cast import make_draft, make_market, make_user


def no_waiting(channel):
    Channel.objects.filter(pk=channel.pk).update(not_before=timezone.now())


def test_an_event_is_told_once(make_channel, happen, cycle, service):
    channel = make_channel()
    happen("The exchange refused its key.")
    cycle()
    no_waiting(channel)
    assert cycle() == []
    (text,) = service.texts()
    assert "The exchange refused its key." in text
    assert service.got[0]["type"] == "failure"
    assert row(channel).last_success_at is not None


def test_a_storm_is_summed_up_the_worst_first(make_channel, happen, cycle, service):
    make_channel()
    happen("An order was refused.", "refused", "warning", count=300)
    happen("The bot failed.")
    cycle()
    happen("An order was refused.", "refused", "warning", count=41)
    cycle()
    (message,) = service.got
    assert message["title"] == "1 error, 300 warnings"
    lines = message["message"].splitlines()
    assert "The bot failed." in lines[0]
    assert len(lines) == 6
    assert lines[-1] == "… and 296 more: see Activity."
    assert len(message["message"]) + len(message["title"]) < 1024


def test_between_two_messages_of_a_channel_there_is_a_pause_and_nothing_is_lost_in_it(
    make_channel, happen, cycle, service
):
    channel = make_channel()
    happen()
    cycle()
    happen("Meanwhile.", count=38)
    assert cycle() == []
    assert row(channel).not_before - timezone.now() > delivery.GAP / 2
    no_waiting(channel)
    cycle()
    assert service.got[1]["title"] == "38 errors"


def test_only_what_was_chosen_is_told(make_channel, happen, cycle, service):
    make_channel("Exits", topics=["exits"])
    make_channel("Errors", topics=["failures", "other"], minimum="error")
    happen("Sold: the stop loss was touched.", "trade", "info", data={"number": 1, "tag": "stop loss"})
    happen("Sold: the price touched a grid line.", "trade", "info", data={"number": 2, "tag": "grid"})
    happen("Something new.", "something_new", "warning")
    happen("Something new and bad.", "something_new", "error")
    cycle()
    told = {one["message"][12:] for one in service.got}
    assert told == {"Sold: the stop loss was touched.", "Something new and bad."}


def test_a_channel_of_chosen_bots_tells_of_these_alone(make_channel, happen, cycle, service, owner):
    market = make_market(minutes=0)
    first, second = make_draft(owner, market, "First"), make_draft(owner, market, "Second")
    channel = make_channel(bots=[first])
    happen("Of the first.", bot=first)
    happen("Of the second.", bot=second)
    happen("Of nobody.")
    cycle()
    (text,) = service.texts()
    assert text.startswith("First\n")
    assert "First (simulated): Of the first." in text
    # Its last bot is gone: that is no wish to be told of all.
    first.delete()
    no_waiting(channel)
    happen("Of the second.", bot=second)
    assert cycle() == []


def test_nothing_from_before_a_channel_was_made_or_while_it_was_paused_is_told(make_channel, happen, cycle, service):
    happen("Before.")
    channel = make_channel(topics=["failures"])
    cycle()
    channels.pause(channel)
    happen("While it was paused.")
    cycle()
    channels.resume(channel)
    cycle()
    happen("Afterwards.")
    cycle()
    (text,) = service.texts()
    assert "Afterwards." in text


def test_nobody_is_told_of_another(make_channel, happen, cycle, service):
    make_channel()
    Event.objects.create(owner=make_user("stranger"), level="error", code="failed", message="Not yours.")
    assert cycle() == []


def test_many_channels_of_one_are_not_served_before_the_only_one_of_another(make_channel, service):
    """Each of them may keep a sender for half a minute."""
    many = [make_channel(f"Channel {number}") for number in range(4)]
    only = channels.create(make_user("stranger"), channels.Wishes("Only", ["failures"]), service.address())
    Channel.objects.update(test_asked_at=timezone.now())
    order = selection.waiting(horizon.settle(), timezone.now())
    assert order == [many[0].pk, only.pk, *(channel.pk for channel in many[1:])]


def test_who_is_being_sent_to_is_not_sent_to_again_and_counts_for_its_owner(make_channel, service):
    many = [make_channel(f"Channel {number}") for number in range(4)]
    only = channels.create(make_user("stranger"), channels.Wishes("Only", ["failures"]), service.address())
    Channel.objects.update(test_asked_at=timezone.now())
    asked = selection.waiting(horizon.settle(), timezone.now(), [many[0].pk], of_one_owner=3)
    assert asked == [only.pk, many[1].pk, many[2].pk]


def test_who_may_not_log_in_is_told_nothing(make_channel, happen, cycle, owner, service):
    make_channel()
    happen()
    (waiting,) = selection.waiting(place := horizon.settle(), timezone.now())
    owner.is_active = False
    owner.save()
    assert cycle() == []
    delivery.deliver(waiting, place)  # it was among those that wait, a moment ago
    assert service.got == []


@pytest.mark.parametrize("status", [500, 401, 302])
def test_a_service_that_refuses_is_asked_again_later_and_later(make_channel, happen, cycle, service, status):
    service.status, service.location = status, "http://127.0.0.1:1/elsewhere" if status == 302 else ""
    channel = make_channel()
    happen()
    pauses = []
    for _ in range(3):
        no_waiting(channel)
        cycle()
        pauses.append((row(channel).not_before - timezone.now()).total_seconds())
    assert [round(pause / 15) for pause in pauses] == [1, 2, 4]
    assert row(channel).failures == 3
    assert row(channel).last_error.startswith(f"127.0.0.1 answered {status} ")
    service.status = 200
    no_waiting(channel)
    cycle()
    assert "It failed." in service.texts()[-1]
    assert (row(channel).failures, row(channel).last_error, row(channel).failing_since) == (0, "", None)


def test_a_service_that_does_not_answer_is_not_waited_for(make_channel, happen, cycle, service, monkeypatch):
    monkeypatch.setattr("bots.notifications.addresses.READ_SECONDS", 0.2)
    service.gate.clear()
    channel = make_channel()
    happen()
    cycle()
    assert "did not answer in time" in row(channel).last_error


def test_after_a_day_it_is_given_up_and_the_other_channels_say_so(make_channel, happen, cycle, service):
    broken = make_channel("Broken", address="json://127.0.0.1:1/nowhere")
    happen(count=3)
    cycle()
    assert row(broken).enabled
    Channel.objects.filter(pk=broken.pk).update(failing_since=timezone.now() - delivery.PATIENCE)
    no_waiting(broken)
    cycle()
    assert not row(broken).enabled
    said = Event.objects.get(code="channel_failed")
    assert (said.level, said.owner) == ("error", broken.owner)
    assert "for 24 hours nothing could be sent to it, and 3 events were not told there." in said.message
    make_channel("Working")
    Channel.objects.filter(name="Working").update(cursor=said.pk - 1)
    cycle()
    assert "Channel Broken is paused" in service.texts()[-1]


NIGHT = (time(22), time(7))


@pytest.mark.parametrize(
    ("moment", "until"),
    [
        ("2026-01-10T20:59", None),  # Berlin is an hour ahead
        ("2026-01-10T21:00", "2026-01-11T06:00"),
        ("2026-01-11T05:59", "2026-01-11T06:00"),
        ("2026-01-11T06:00", None),
        ("2026-07-10T20:00", "2026-07-11T05:00"),  # two in summer
    ],
)
def test_quiet_hours_are_those_of_the_channels_zone(moment, until):
    channel = Channel(quiet_from=NIGHT[0], quiet_to=NIGHT[1], zone="Europe/Berlin")
    ends = delivery.quiet_until(channel, datetime.fromisoformat(moment).replace(tzinfo=UTC))
    assert ends == (until and datetime.fromisoformat(until).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("moment", "until"),
    [
        ("2026-03-29T00:30", "2026-03-29T01:30"),  # clocks skip half past two
        ("2026-10-25T00:10", "2026-10-25T00:30"),  # and show it twice
        ("2026-10-25T01:10", "2026-10-25T01:30"),
    ],
)
def test_quiet_hours_that_end_while_clocks_change_hold_back_once(
    make_channel, happen, service, moment, until, monkeypatch
):
    """Such a moment equals none of another zone; it was held back again and again, without a message or an end."""
    now = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    channel = make_channel(quiet=(time(22), time(2, 30)), zone="Europe/Berlin")
    Channel.objects.update(not_before=now)
    assert delivery.quiet_until(channel, now).astimezone(UTC) == datetime.fromisoformat(until).replace(tzinfo=UTC)
    happen("It failed.")
    happen("Refused.", "refused", "warning")
    place = horizon.settle()
    monkeypatch.setattr(delivery.timezone, "now", lambda: now)
    for _ in range(2):
        for waiting in selection.waiting(place, now):
            delivery.deliver(waiting, place)
    assert row(channel).held_until == datetime.fromisoformat(until).replace(tzinfo=UTC)
    assert [one["message"][12:] for one in service.got] == ["It failed."]


def test_in_quiet_hours_errors_are_told_and_the_rest_is_summed_up_at_their_end(make_channel, happen, cycle, service):
    now = timezone.now()
    quiet = ((now - timedelta(hours=1)).time(), (now + timedelta(hours=1)).time())
    channel = make_channel(topics=["failures", "refusals"], quiet=quiet)
    happen("Refused.", "refused", "warning")
    cycle()  # its quiet hours begin
    assert cycle() == []
    happen("It failed.")
    happen("Refused again.", "refused", "warning")
    cycle()
    no_waiting(channel)
    assert cycle() == []
    assert [one["message"][12:] for one in service.got] == ["It failed."]
    Channel.objects.filter(pk=channel.pk).update(held_until=now, quiet_from=None, quiet_to=None)
    happen("It failed once more.")
    cycle()
    assert [line[12:] for line in service.got[1]["message"].splitlines()] == [
        "It failed once more.",
        "Refused.",
        "Refused again.",
    ]
    assert cycle() == []


def test_quiet_hours_that_errors_do_not_break_lose_none(make_channel, happen, cycle, service):
    now = timezone.now()
    quiet = ((now - timedelta(hours=1)).time(), (now + timedelta(hours=1)).time())
    channel = make_channel(topics=["failures"], quiet=quiet, errors_wake=False)
    happen()
    for _ in range(3):
        cycle()
    assert service.got == []
    Channel.objects.filter(pk=channel.pk).update(held_until=now, quiet_from=None, quiet_to=None)
    cycle()
    assert "It failed." in service.texts()[0]


def test_a_test_message_is_sent_whatever_else_is_chosen(make_channel, cycle, service):
    channel = make_channel(topics=["failures"])
    channels.pause(channel)
    assert channels.test(channel) == ""
    cycle()
    assert service.got[0]["title"] == "Test message"
    assert row(channel).test_asked_at is None


def test_test_messages_of_one_owner_are_apart_also_once_they_are_answered(make_channel, cycle, service):
    first, second = make_channel(), make_channel("Tablet")
    assert channels.test(first) == ""
    cycle()
    for channel in (first, second):
        refusal = channels.test(channel)
        assert re.fullmatch(r"Test messages must be 10 s apart: another one can be sent in \d+ s\.", refusal)
    assert cycle() == []
    another = channels.create(make_user("stranger"), channels.Wishes("Only", ["failures"]), service.address())
    assert channels.test(another) == ""
    Channel.objects.update(tested_at=timezone.now() - channels.TEST_EVERY)
    assert channels.test(second) == ""
    Channel.objects.update(tested_at=timezone.now() + timedelta(hours=1))  # the clock was set back since
    assert channels.test(first) == ""
    channels.delete(second)
    assert channels.test(second) == "Tablet was deleted."


def test_a_test_message_that_cannot_be_sent_says_why(make_channel, cycle, service):
    service.status = 403
    channel = make_channel()
    channels.test(channel)
    cycle()
    assert (row(channel).last_error, row(channel).test_asked_at) == ("127.0.0.1 answered 403 Forbidden.", None)


def test_an_address_lies_sealed_and_appears_nowhere(make_channel, happen, cycle, service, caplog):
    caplog.set_level(logging.DEBUG)
    channel = make_channel(topics=["failures"])
    service.status = 500
    happen()
    cycle()
    channels.change(channel, channels.Wishes("Phone", ["failures"]), service.address("s3cr3t-too"))
    channels.delete(make_channel("Other"))
    with connection.cursor() as cursor:
        for table in ("bots_channel", "bots_event"):
            cursor.execute(f"SELECT string_agg({table}::text, ' ') FROM {table}")
            assert "s3cr3t" not in cursor.fetchone()[0]
    assert row(channel).shown == f"Webhook at 127.0.0.1:{service.port}"
    assert "s3cr3t" not in caplog.text
    assert service.got  # it was sent to all the same


def test_a_service_that_answers_nonsense_brings_no_address_into_the_log(make_channel, cycle, service, caplog):
    """urllib3 warns of headers that it cannot read, and quotes the whole address."""
    caplog.set_level(logging.DEBUG)
    service.nonsense = True
    channels.test(make_channel())
    cycle()
    assert service.got
    assert "s3cr3t" not in caplog.text


def test_a_channel_whose_key_is_lost_asks_for_its_address(make_channel, happen, cycle, settings):
    channel = make_channel()
    settings.SECRET_KEY = "another"
    happen()
    cycle()
    assert row(channel).last_error == delivery.UNREADABLE


def test_a_channel_that_fails_in_our_own_code_is_put_aside(make_channel, happen):
    channel = make_channel()
    delivery.put_aside(channel.pk, TypeError("s3cr3t"))
    assert row(channel).last_error == "It could not be tried: TypeError. The courier's log tells more."
    assert row(channel).not_before - timezone.now() > delivery.LONGEST_PAUSE / 2


@pytest.mark.parametrize(
    "address",
    ["ntfy://127.0.0.1:{}/bots", "gotify://127.0.0.1:{}/AbCdEfGhIjKlMnO", "json://127.0.0.1:{}/hook?:bot=9"],
)
def test_each_service_is_spoken_to_in_its_own_words(make_channel, happen, cycle, service, address):
    make_channel(address=address.format(service.port), topics=["failures"])
    happen("Its <b>key</b> was refused & more.")
    cycle()
    (got,) = service.got
    assert got["title"] == "Orchestrator"
    assert got["message"].endswith(" Its <b>key</b> was refused & more.")


def test_a_mail_is_handed_to_its_server(make_channel, happen, cycle, service):
    mails = MailServer()
    address = (
        f"mailto://me:s3cr3t@127.0.0.1:{mails.port}?smtp=127.0.0.1&mode=insecure&from=bots@example.org&to=a@example.org"
    )
    make_channel(address=address, topics=["failures"])
    happen("Its key was refused.")
    cycle()
    mails.close()
    (mail,) = mails.got
    assert "To: a@example.org" in mail
    assert "Subject: Orchestrator" in mail
    assert "Its key was refused." in mail
    assert Channel.objects.get().last_error == ""


def test_looking_costs_an_index_however_many_events_there_are(make_channel, happen):
    """The job looks every five seconds; it reads each owner's latest events, not the table."""
    channel = make_channel(topics=["failures"])
    happen("Sold.", "trade", "info", count=5000)
    place = horizon.last_given()
    Channel.objects.update(cursor=place - 3)
    of_one = {"channel": channel.pk, "owner": channel.owner_id, "cursor": place - 3}
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE bots_event")
        for statement in (selection._PASS_BY, selection._WAITING, selection._FIRST, selection._COUNTS):
            values = {"horizon": place, "now": timezone.now(), "most": 5, "sending": [], "of_one_owner": 2, **of_one}
            cursor.execute(f"EXPLAIN {statement}", values)
            plan = "\n".join(row[0] for row in cursor)
            assert re.search(r"Index Scan (Backward )?using (event_owner_id|bots_event_pkey) on bots_event", plan), plan
