from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from dashboard.benchmarks import api


def test_a_call_is_measured_against_its_budget(ask, bot):
    median, worst = api._taken(ask.client, "trades", 40.0, 10)
    assert (median["job"], worst["job"], worst["unit"]) == ("trades, median", "trades, p95", "ms")
    assert 0 < median["value"] <= worst["value"]
    assert worst["ratio"] == worst["value"] / 40.0


def test_a_refusal_is_no_measurement(ask, db):
    with pytest.raises(CommandError, match="/api/trades\\?page=0 answered 422"):
        api._taken(ask.client, "trades?page=0", None, 10)


def test_too_few_rounds_are_refused():
    with pytest.raises(CommandError, match="rounds must be from 10 to 10,000, not 1"):
        call_command("benchmark", "api", "--rounds", "1")
