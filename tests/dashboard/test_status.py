from __future__ import annotations

import socket

import pytest
from django.db import connection
from prometheus_client.parser import text_string_to_metric_families

from markets.models import Feed
from tests.dashboard.cast import make_user


@pytest.fixture(params=["refused", "silent"])
def lost_database(transactional_db, request):
    """The database is somewhere else, where nothing listens, or where somebody does and never says a word."""
    connection.close()
    kept = {name: connection.settings_dict[name] for name in ("HOST", "PORT")}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1] if request.param == "silent" else 1
        connection.settings_dict.update(HOST="127.0.0.1", PORT=str(port))
        yield "ConnectionTimeout" if request.param == "silent" else "OperationalError"
        connection.close()
    connection.settings_dict.update(kept)


def test_alive_asks_for_nothing_else(client, lost_database):
    assert client.get("/health").content == b"alive\n"


def test_ready_says_what_every_part_says(client, market):
    answer = client.get("/ready")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "parts": {
            "database": {"ok": True, "says": "answers"},
            "broker": {"ok": True, "says": "answers"},
            "cache": {"ok": True, "says": "answers"},
            "feeds": {"ok": True, "says": "1 up to date"},
        },
    }


def test_late_feeds_degrade_but_pages_go_on(client, market):
    Feed.objects.update(synced_to=0)
    answer = client.get("/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["parts"]["feeds"] == {"ok": False, "says": "1 of 1 are late or failing"}


def test_without_the_database_it_is_not_ready_and_tells_no_address(client, lost_database, caplog):
    answer = client.get("/ready")
    assert "could not be stored" not in caplog.text  # nor does it wait to note that it was slow
    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
    assert answer.json()["parts"]["database"] == {"ok": False, "says": f"does not answer ({lost_database})"}
    assert answer.json()["parts"]["feeds"] == {"ok": False, "says": "unknown without the database"}
    assert "127.0.0.1" not in answer.content.decode()


def test_without_the_database_what_was_counted_is_told_all_the_same(client, lost_database, monkeypatch):
    monkeypatch.setenv("METRICS_TOKEN", "right one")
    text = client.get("/metrics", headers={"Authorization": "Bearer right one"}).content.decode()
    found = {family.name: family.samples for family in text_string_to_metric_families(text)}
    assert [sample.value for sample in found["orchestrator_database_up"]] == [0.0]
    assert found["orchestrator_request_seconds"]
    assert "orchestrator_bots" not in found


def test_metrics_count_requests_and_the_state_of_the_platform(client, bot):
    client.force_login(make_user("staff", is_staff=True))
    client.get("/bots/")
    text = client.get("/metrics").content.decode()
    assert 'orchestrator_request_seconds_count{method="GET",status="200",view="bots"}' in text
    assert 'orchestrator_bots{status="running"} 1.0' in text
    assert 'orchestrator_runs{mode="paper"} 1.0' in text
    assert "orchestrator_open_orders 6.0" in text
    assert "orchestrator_feeds_late 0.0" in text
    assert "orchestrator_database_up 1.0" in text


@pytest.mark.parametrize("given", ["", "Bearer ", "Bearer wrong", "Bearer säge", "token"])
def test_metrics_are_for_staff_and_for_the_token(client, bot, monkeypatch, given):
    headers = {"Authorization": given.encode().decode("latin-1")}
    assert client.get("/metrics", headers=headers).status_code == 404
    monkeypatch.setenv("METRICS_TOKEN", "right one")
    assert client.get("/metrics", headers=headers).status_code == 404
    assert client.get("/metrics", headers={"Authorization": "Bearer right one"}).status_code == 200
    client.force_login(bot.owner)
    assert client.get("/metrics").status_code == 404
