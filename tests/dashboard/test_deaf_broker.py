"""A broker that takes connections and never answers, as a Redis that hangs does."""

from __future__ import annotations

import socket
import time

import pytest

from bots import backtests, tasks
from bots.models import Backtest
from dashboard.system import jobs
from orchestrator.broker import UNREACHABLE
from orchestrator.celery import app
from tests.dashboard.cast import make_user
from tests.orchestrator.redis_server import Server

MOST_SECONDS = 15.0  # of a page, on a machine that is busy; without bounds it is most of a minute


def lead_to(url, monkeypatch):
    """The broker of this process is there, and no connection to another one is left."""
    monkeypatch.setenv("CELERY_BROKER_URL", url)
    monkeypatch.setattr(app, "_pool", None)
    monkeypatch.setattr(app.amqp, "_producer_pool", None)


@pytest.fixture
def deaf(monkeypatch):
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        lead_to(f"redis://:secret@127.0.0.1:{listener.getsockname()[1]}/0", monkeypatch)
        yield


@pytest.fixture
def seconds():
    began = time.monotonic()
    return lambda: time.monotonic() - began


def test_ready_says_soon_that_the_broker_does_not_answer(client, market, deaf, seconds):
    answer = client.get("/ready")
    assert seconds() < MOST_SECONDS
    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
    assert answer.json()["parts"]["broker"] == {"ok": False, "says": "does not answer (OperationalError)"}


def test_the_system_page_says_soon_that_the_broker_does_not_answer(client, bot, deaf, seconds):
    client.force_login(make_user("staff", is_staff=True))
    text = client.get("/system/").content.decode()
    assert seconds() < MOST_SECONDS
    assert "the broker does not answer" in text
    assert "The broker does not answer." in text


def test_a_backtest_is_stored_and_left_to_the_schedule(client, bot, deaf, seconds, caplog):
    client.force_login(bot.owner)
    asked, _ = backtests.ask(bot.owner, bot.kind, bot.params, {}, bot.market, 60, bot.allocation, 30, {})
    backtests.cancel(asked)
    assert client.post(f"/backtests/{asked.pk}/again/").status_code == 302
    assert seconds() < MOST_SECONDS
    assert Backtest.objects.get().state == Backtest.State.QUEUED
    assert "a backtest waits for the schedule: the broker cannot be reached" in caplog.text


def test_a_broker_that_falls_silent_behind_a_standing_connection_is_noticed(tmp_path, monkeypatch, seconds):
    with Server.running(tmp_path) as server:
        lead_to(server.url, monkeypatch)
        tasks.run_backtests.apply_async(retry=False)
        assert jobs.waiting() == 1
        end = server.hang()
        try:
            assert jobs.workers() is None
            assert jobs.waiting() is None
            with pytest.raises(UNREACHABLE):
                tasks.run_backtests.apply_async(retry=False)
            assert seconds() < MOST_SECONDS
        finally:
            end()
        app.pool.force_close_all()
