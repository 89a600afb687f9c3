from __future__ import annotations

import json
from io import StringIO

from django.core.management import call_command

from bots.kinds import KINDS
from bots.management.commands import benchmark


def test_the_benchmark_prints_one_document_with_a_row_for_every_kind(monkeypatch):
    monkeypatch.setattr(benchmark, "BARS", 5_000)
    monkeypatch.setattr(benchmark, "ROUNDS", 1)
    out = StringIO()
    call_command("benchmark", "engine", "--json", stdout=out)
    document = json.loads(out.getvalue())
    assert set(document) == {"machine", "versions", "rows"}
    assert [row["job"].split(",")[0] for row in document["rows"]] == list(benchmark.JOBS)
    assert set(benchmark.JOBS) == set(KINDS)
    for row in document["rows"]:
        assert row["unit"] == "ms"
        assert row["ratio"] == row["value"] / row["baseline"] > 0
