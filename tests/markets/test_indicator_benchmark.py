from __future__ import annotations

import json
from contextlib import nullcontext
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from markets.benchmarks import indicators


def run(**options):
    out = StringIO()
    call_command("benchmark", "indicators", "--json", stdout=out, **options)
    return json.loads(out.getvalue())["rows"]


@pytest.mark.django_db
def test_the_benchmark_tells_what_a_close_and_a_read_cost(monkeypatch):
    monkeypatch.setattr(indicators, "own_database", nullcontext)  # the tests have one
    for name, value in {"HISTORY": 300, "CLOSES": 3, "READS": 40, "CHARTS": 4, "ORM_MARKETS": 2}.items():
        monkeypatch.setattr(indicators, name, value)
    whole, store, six, every, p50, p95, rate = run(markets=3)
    assert whole["job"].startswith("closed candle of 3 markets: store, 6 indicators, snapshots")
    assert {row["unit"] for row in (whole, store, six, every, p50, p95)} == {"ms"}
    assert all(row["value"] > 0 for row in (store, six, every, p50, p95))
    assert whole["value"] >= max(store["value"], six["value"])
    assert p50["value"] < p50["baseline"]
    assert (rate["unit"], rate["value"]) == ("%", pytest.approx(100, abs=10))


def test_a_count_out_of_bounds_gets_a_sentence():
    with pytest.raises(CommandError, match="--markets must be from 1 to 5000, not 0"):
        run(markets=0)
