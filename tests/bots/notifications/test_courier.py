"""The process that sends, as workers start it, and killed where it hurts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.utils import timezone

from bots.models import Channel
from bots.notifications import channels, courier, horizon, selection
from orchestrator.home import PROJECT
from tests.bots.notifications.conftest import row
from tests.bots.notifications.service import Service
from tests.orchestrator.processes import until

pytestmark = pytest.mark.django_db(transaction=True)
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()"


@pytest.fixture
def environment(monkeypatch):
    """What a child needs to work on the database of the test."""
    url = "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**connection.settings_dict)
    for name, value in {"DATABASE_URL": url, "ALLOW_LOCAL_NOTIFICATIONS": "1"}.items():
        monkeypatch.setenv(name, value)


def start():
    command = [sys.executable, "manage.py", courier.COMMAND]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ended(process):
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    return output


def test_killed_while_it_sends_it_loses_nothing(make_channel, happen, service, environment):
    """SIGKILL after the service was reached and before it answered: the message is sent again, whole."""
    channel = make_channel()
    happen("It failed.", count=3)
    service.gate.clear()
    first = start()
    assert service.reached.wait(60)
    assert courier.run() == 0  # one sends at a time
    first.send_signal(signal.SIGKILL)
    first.communicate()
    service.gate.set()
    assert row(channel).last_success_at is None
    happen("It failed meanwhile.")
    assert ended(start()) == "1 messages\n"
    assert [one["title"] for one in service.got] == ["3 errors", "4 errors"]
    assert row(channel).cursor == horizon.last_given()


def test_a_slow_service_holds_up_no_other_channel(make_channel, happen, service, environment, owner):
    """Not even one of the same owner, nor what happens while it is waited for."""
    other = Service()
    slow, quick = make_channel("Slow"), make_channel("Quick", topics=["failures"], address=other.address())
    happen("It failed.", "refused", "warning")
    service.gate.clear()
    process = start()
    try:
        assert service.reached.wait(60)
        for number in range(3):
            happen(f"It failed for the {number}. time.")
            until(lambda number=number: len(other.got) > number, 60, "the quick channel is told meanwhile")
            until(lambda: row(quick).not_before > timezone.now(), 60, "that is noted")
            Channel.objects.filter(pk=quick.pk).update(not_before=timezone.now())
        assert len(service.got) == 1  # one message at a time to each channel
        assert row(slow).last_success_at is None
        service.gate.set()
        assert ended(process) == "4 messages\n"
    finally:
        process.kill()
        other.close()
    assert [one["message"][12:] for one in other.got] == [f"It failed for the {number}. time." for number in range(3)]
    assert row(slow).last_success_at is not None


def test_a_worker_starts_it_when_there_is_something_to_send_and_waits_for_nothing(
    make_channel, happen, service, environment
):
    assert courier.send_out() == 0
    make_channel()
    happen()
    service.gate.clear()
    began = time.process_time()
    assert courier.send_out() == 1
    assert service.reached.wait(60)
    (process,) = courier._started
    assert courier.send_out() == 1  # it is being sent
    assert courier._started == [process]
    assert time.process_time() - began < 1
    service.gate.set()
    assert process.wait(60) == 0
    assert courier.send_out() == 0
    assert len(service.got) == 1


def test_a_private_address_is_not_connected_to_unless_it_is_allowed(make_channel, service, environment, monkeypatch):
    """A name passes the form, as it may mean anything later; the process that connects refuses."""
    monkeypatch.setenv("ALLOW_LOCAL_NOTIFICATIONS", "0")
    channel = make_channel(address=f"json://localhost:{service.port}/s3cr3t")
    channels.test(channel)
    counted = set(os.listdir(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
    output = ended(start())
    assert set(os.listdir(os.environ["PROMETHEUS_MULTIPROC_DIR"])) == counted  # it leaves no files behind
    assert service.got == []
    assert row(channel).last_error.startswith("address must be of a public server, not of a private network;")
    assert "s3cr3t" not in output


def test_passwords_in_a_netrc_are_sent_to_nobody(make_channel, service, environment, monkeypatch, tmp_path):
    """Those of the person who runs the server, to an address that any user may choose."""
    (tmp_path / "netrc").write_text("default login operator password s3cr3t")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    channels.test(make_channel())
    assert ended(start()) == "1 messages\n"
    assert service.headers["Content-Type"] == "application/json"
    assert "Authorization" not in service.headers


def test_resealing_frees_from_the_old_key(make_channel, service, settings, capsys):
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "old", []
    channel = make_channel()
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", ["old"]
    call_command("reseal_secrets")
    settings.SECRET_KEY_FALLBACKS = []
    call_command("reseal_secrets")
    assert capsys.readouterr().out == "1 sealed anew.\n" * 2
    settings.SECRET_KEY = "a third"
    call_command("reseal_secrets")
    assert capsys.readouterr().out.startswith("0 sealed anew.\nThe address of channel owner/Phone cannot be read")
    assert Channel.objects.filter(pk=channel.pk).exists()


def test_what_looks_through_channels_and_who_tests_one_lock_them_in_one_order(make_channel, happen):
    """channels.test() locks all of an owner's; in another order each would wait for what the other has."""
    first, second = make_channel("First", topics=["failures"]), make_channel("Second", topics=["failures"])
    Channel.objects.filter(pk=first.pk).update(name="Now the last row in the table")
    happen("It is of no topic.", "refused", "info")
    place = horizon.settle()

    def look() -> None:
        selection.pass_by(place, timezone.now())
        connections.close_all()

    looking = threading.Thread(target=look)
    with transaction.atomic():
        Channel.objects.select_for_update().get(pk=first.pk)
        looking.start()
        with connection.cursor() as cursor:
            until(lambda: cursor.execute(WAITING).fetchone()[0], 30, "it waits for the first channel")
        Channel.objects.select_for_update(nowait=True).get(pk=second.pk)
    looking.join(30)
    assert {row(channel).cursor for channel in (first, second)} == {place}
