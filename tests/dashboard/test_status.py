from __future__ import annotations

import pytest
from django.db import connection

from markets.models import Feed
from tests.dashboard.cast import make_user


@pytest.fixture
def lost_database(transactional_db):
    """The database is somewhere else, where nothing listens."""
    connection.close()
    port, connection.settings_dict["PORT"] = connection.settings_dict["PORT"], "1"
    host, connection.settings_dict["HOST"] = connection.settings_dict["HOST"], "127.0.0.1"
    yield
    connection.close()
    connection.settings_dict["PORT"], connection.settings_dict["HOST"] = port, host


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


def test_without_the_database_it_is_not_ready_and_tells_no_address(client, lost_database):
    answer = client.get("/ready")
    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
    assert answer.json()["parts"]["database"] == {"ok": False, "says": "does not answer (OperationalError)"}
    assert "127.0.0.1" not in answer.content.decode()


def test_metrics_count_requests_and_the_state_of_the_platform(client, bot):
    client.force_login(make_user("staff", is_staff=True))
    client.get("/bots/")
    text = client.get("/metrics").content.decode()
    assert 'orchestrator_request_seconds_count{method="GET",status="200",view="bots"}' in text
    assert 'orchestrator_bots{status="running"} 1.0' in text
    assert 'orchestrator_runs{mode="paper"} 1.0' in text
    assert "orchestrator_open_orders 6.0" in text
    assert "orchestrator_feeds_late 0.0" in text


@pytest.mark.parametrize("given", ["", "Bearer ", "Bearer wrong", "Bearer säge", "token"])
def test_metrics_are_for_staff_and_for_the_token(client, bot, monkeypatch, given):
    headers = {"Authorization": given.encode().decode("latin-1")}
    assert client.get("/metrics", headers=headers).status_code == 404
    monkeypatch.setenv("METRICS_TOKEN", "right one")
    assert client.get("/metrics", headers=headers).status_code == 404
    assert client.get("/metrics", headers={"Authorization": "Bearer right one"}).status_code == 200
    client.force_login(bot.owner)
    assert client.get("/metrics").status_code == 404
