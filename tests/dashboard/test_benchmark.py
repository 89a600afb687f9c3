from __future__ import annotations

import json
from contextlib import nullcontext
from io import StringIO
from unittest.mock import patch

import pytest
from django.core.management import CommandError, call_command

from bots.benchmarks import engine
from bots.kinds import KINDS
from dashboard.benchmarks import pages, web
from markets.benchmarks import candles
from markets.models import Candle, HistoryBlock


def test_the_benchmark_prints_one_document_with_a_row_for_every_kind(monkeypatch):
    monkeypatch.setattr(engine, "BARS", 5_000)
    monkeypatch.setattr(engine, "ROUNDS", 1)
    monkeypatch.setattr(engine, "PAIRS", 3)
    out = StringIO()
    call_command("benchmark", "engine", "--json", stdout=out)
    document = json.loads(out.getvalue())
    assert set(document) == {"machine", "versions", "rows"}
    *rows, timed, weighed = document["rows"]
    assert [row["job"].split(",")[0] for row in rows] == list(engine.JOBS)
    assert set(engine.JOBS) == set(KINDS)
    assert timed["job"] == "sweep of 3 SMA pairs, 2 cores, trades counted, final equity, drawdown"
    assert weighed["unit"] == "MB"
    assert 20 < weighed["value"] < 2000
    for row in (*rows, timed):
        assert row["unit"] == "ms"
        assert row["ratio"] == row["value"] / row["baseline"] > 0


@pytest.mark.django_db(transaction=True)
def test_the_candle_store_is_measured_against_what_django_does():
    rows = candles.measured(candles=2_000, history=9_000, table=5_000, markets=5)
    assert [(row["job"].split(";")[0].split(", ")[0], row["unit"]) for row in rows] == [
        ("upsert of 2,000 new candles", "rows/s"),
        ("upsert of 2,000 unchanged candles", "rows/s"),
        ("upsert of 2,000 candles", "rows/s"),
        ("load of 9,000 candles into arrays", "rows/s"),
        ("load of 9,000 candles into arrays", "ms"),
        ("latest 500 candles of one of 5 markets in 5,000 rows", "ms"),
        ("latest 500 candles of one of 5 markets in 5,000 rows", "ms"),
        ("to fill that table first", "s"),
    ]
    *compared, executed, loaded, filled = rows
    for row in compared:
        assert row["ratio"] == row["value"] / row["baseline"] > 0
    assert 0 < executed["value"] < loaded["value"]
    assert filled["value"] > 0
    assert (Candle.objects.count(), HistoryBlock.objects.count()) == (5_000, 0)


def test_a_size_out_of_bounds_is_refused():
    with pytest.raises(CommandError, match="table must be from 1 to 100,000,000, not 0"):
        call_command("benchmark", "candles", "--table", "0")


def test_pages_are_measured_against_their_budgets(db, settings):
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS]
    out = StringIO()
    options = {"bots": 12, "trades": 1_200, "markets": 4, "rounds": 2}
    with patch.object(pages, "own_database", nullcontext):
        call_command(
            "benchmark", "pages", "--json", *(f"--{name}={value}" for name, value in options.items()), stdout=out
        )
    rows = {row["job"]: row for row in json.loads(out.getvalue())["rows"]}
    assert {"overview, p50", "overview, p95", "overview, p99", "trades, the last page, p95"} < set(rows)
    queries = [row for row in rows.values() if row["unit"] == "queries"]
    kept = [name for name in rows if name.endswith("304, p95")]
    assert (len(queries), len(kept), len(rows)) == (14, 10, 14 * 4 + 10 * 9)
    assert [row["job"] for row in queries if row["value"] > row["baseline"]] == []
    assert all(row["value"] > 0 for row in rows.values())
    assert rows["overview, p95"]["baseline"] == 60
    assert rows["overview, cached, p95"]["baseline"] == rows["bot page, 304, p95"]["baseline"] == 3


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("collected", "redis")
def test_the_web_server_is_measured_with_the_share_of_who_asks():
    asked = {"bots": 12, "trades": 240, "markets": 4, "seconds": 0.5, "connections": 4, "users": 2, "settle": 0}
    with patch.object(web, "own_database", nullcontext):
        rows = {row["job"]: row for row in web.rows(asked)}
    cached, mix = "cached pages at 4 connections", "uncached mix of 2 users, each a page a second"
    shares = [f"{who}'s share of the machine" for who in ("load generator", "web server", "Redis")]
    times = ["p50", "p95", "p99"]
    assert set(rows) == {f"{cached}, requests/s"} | {f"{job}, {one}" for job in (cached, mix) for one in times + shares}
    assert all(row["value"] >= 0 for row in rows.values())
    assert rows[f"{cached}, web server's share of the machine"]["value"] > 0
    assert rows[f"{cached}, requests/s"]["value"] > 0
    assert rows[f"{mix}, p95"]["baseline"] == 60


def test_a_load_without_an_end_is_refused():
    with pytest.raises(CommandError, match="seconds must be above 0 and at most 600, not 0"):
        web.rows({"seconds": 0})
