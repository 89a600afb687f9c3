from __future__ import annotations

import json
from io import StringIO

from django.core.management import call_command

from bots.benchmarks import engine
from bots.kinds import KINDS


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
