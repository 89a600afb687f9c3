"""Two web servers and two workers on one database, all real: each candle is stepped once, each write is seen."""

from __future__ import annotations

import json
import os
import urllib.request

import numpy as np
import pytest
from celery import current_app
from django.db import connection

from bots.models import Order, Run, Trade
from dashboard import tokens
from dashboard.benchmarks.processes import database_url
from dashboard.models import ApiToken
from orchestrator.servers import ports, programs
from orchestrator.servers.supervisor import Supervisor
from tests.bots.test_runs import exact, expected, stored, wandering
from tests.orchestrator.processes import until

BOTS, CANDLES, STRETCH = 8, 240, 20
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


@pytest.fixture
def ask(owner):
    """ask(port, path, what is sent): the JSON that the web server of that port answers to the owner."""
    bearer = f"Bearer {tokens.create(owner, 'test', ApiToken.Scope.TRADE)[1]}"

    def send(port, path, content=None, method=None):
        headers = {"Authorization": bearer, "Content-Type": "application/json"}
        data = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    return send


@pytest.fixture
def webs(transactional_db, redis, settings):
    """Ports of two web servers; two workers run beside them."""
    environment = {**os.environ, "DATABASE_URL": database_url(), "REDIS_URL": settings.REDIS_URL}
    environment |= {"API_WRITES_PER_MINUTE": "10000", "DEBUG": "0"}
    at = [ports.any_free(), ports.any_free()]
    started = [programs.web("127.0.0.1", port)._replace(name=f"web-{port}") for port in at]
    for name in ("one", "two"):
        worker = programs.worker()
        started.append(worker._replace(name=f"worker-{name}", command=[*worker.command, "-n", f"{name}@%h"]))
    with Supervisor(started, environment, print) as supervisor:
        supervisor.start()
        for port in at:
            until(lambda port=port: is_alive(port), 60, f"web at {port}")
        until(lambda: len(current_app.control.ping(timeout=0.5)) == 2, 60, "two workers")
        yield at, [running.log.path for running in supervisor.running[2:]]


def is_alive(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def deadlocks():
    with connection.cursor() as cursor:
        cursor.execute(DEADLOCKS)
        return cursor.fetchone()[0]


def test_bots_made_and_started_on_both_trade_as_alone_while_both_workers_advance_them(
    webs, ask, account, market, close
):
    (one, two), logs = webs
    before, made = deadlocks(), []
    for number in range(BOTS):
        here, there = (one, two) if number % 2 else (two, one)
        grid = {"lower": 90.0 - number, "upper": 110.0, "lines": 9}
        new = {"name": f"Grid {number}", "account": account.pk, "market": market.pk, "kind": "grid"}
        bot = ask(here, "/api/bots", new | {"allocation": "1000", "params": grid})["id"]
        assert ask(there, f"/api/bots/{bot}")["status"] == "draft"
        assert ask(there, f"/api/bots/{bot}/start", {})["status"] == "running"
        assert ask(here, f"/api/bots/{bot}")["status"] == "running"
        made.append(bot)

    last = max(Run.objects.values_list("bar_time", flat=True))
    candles = wandering(CANDLES)
    candles.time[:] = last + 60_000 * np.arange(1, CANDLES + 1)
    Run.objects.update(bar_time=last)  # some may have been started a minute before others
    for index in range(0, CANDLES, STRETCH):
        close(candles[index : index + STRETCH])
        for _ in range(4):  # more than there are processes to take them
            current_app.send_task("bots.tasks.advance_runs")
        assert ask(one, "/api/bots")["total"] == ask(two, "/api/bots")["total"] == BOTS
    until(lambda: set(Run.objects.values_list("bar_time", flat=True)) == {int(candles.time[-1])}, 60, "all candles")

    for run in Run.objects.select_related("bot__market"):
        alone = expected(run.bot, candles)
        assert len(alone.trades) > 20
        assert stored(run) == exact(alone)
        assert (run.cash, run.position) == (alone.book.cash, alone.book.position)
    assert Trade.objects.count() == Trade.objects.values("client_id").distinct().count()
    assert Order.objects.count() == Order.objects.values("client_id").distinct().count()
    assert deadlocks() == before
    for log in logs:
        assert "Task bots.tasks.advance_runs[" in log.read_text(), f"{log.name} took no part"
    assert {ask(two, f"/api/bots/{bot}/stop", {"position": "close"})["status"] for bot in made} == {"stopped"}
    assert ask(one, "/api/bots?status=stopped")["total"] == BOTS
    assert sum(Run.objects.values_list("trades_count", flat=True)) == Trade.objects.count() > BOTS * 20
