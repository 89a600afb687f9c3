from __future__ import annotations

import json
import re
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from dashboard.system import audit, database, jobs
from dashboard.system.audit import Grade
from markets.models import Feed
from orchestrator import schedules
from orchestrator.models import Finding, Sample
from orchestrator.observability.metrics import SECONDS
from orchestrator.observability.samples import Summary
from tests.dashboard.cast import make_user

NOBODY = jobs.Broker([], 0)  # it answers, and no worker does
SLOW = Summary("request", "bots", 50, 20.0, 150.0, 300.0)


@pytest.fixture
def staff(client, db):
    user = make_user("staff", is_staff=True)
    client.force_login(user)
    return user


def graded(grade, summaries=()):
    return {check.subject: check for check in audit.checks(summaries, timezone.now(), NOBODY) if check.grade is grade}


def test_the_page_is_for_staff_alone(client, owner):
    client.force_login(owner)
    assert client.get("/system/").status_code == 404


def test_the_page_shows_pages_tasks_findings_jobs_feeds_and_tables(client, staff, bot):
    schedules.create_missing()
    counts = [int(bound >= 0.01) * 30 for bound in SECONDS]
    Sample.objects.create(host="a", metric="request", name="bots", buckets=[*counts, 30])
    Finding.objects.create(kind="slow_query", place="bots", path="/bots/", milliseconds=81, count=1,
                           statement="SELECT a FROM b WHERE c = %s", user=bot.owner)  # fmt: skip
    text = client.get("/system/").content.decode()
    for piece in ("SELECT a FROM b WHERE c = %s", "Sync candles", "when beat looks", "bots_trade", "BTC/USDT"):
        assert piece in text
    assert re.search(r"p95 1\d\.\d ms of 30", text)
    assert database.STATEMENTS_HINT.split(",")[0] in text.replace("&#x27;", "'")


def test_a_page_over_its_budget_is_broken_and_comes_first(db):
    first = audit.checks([SLOW], timezone.now(), NOBODY)[0]
    assert (first.subject, first.grade) == ("Page bots", Grade.BROKEN)
    assert first.value == "p95 150.0 ms of 50"
    assert "Page rare" not in graded(Grade.BROKEN, [Summary("request", "rare", 3, 900, 900, 900)])


def test_late_feeds_overdue_jobs_and_a_missing_worker_are_broken(market):
    Feed.objects.update(synced_to=0)
    schedules.create_missing()
    long_ago = timezone.now() - timedelta(hours=3)
    jobs.PeriodicTask.objects.filter(name="Sync candles").update(last_run_at=long_ago)
    found = graded(Grade.BROKEN)
    assert found["Feeds"].value == "1 late, 0 failing of 1"
    assert found["Jobs that are overdue"].value == "Sync candles"
    assert found["Workers"].value == "0 answer"


def test_a_clock_that_was_set_back_is_told_by_jobs_and_feeds(client, staff, market):
    schedules.create_missing()
    hour_ahead = timezone.now() + timedelta(hours=1)
    jobs.PeriodicTask.objects.filter(name="Sync candles").update(last_run_at=hour_ahead)
    assert graded(Grade.GOOD)["Feeds"].value == "0 late, 0 failing of 1"
    Feed.objects.update(synced_to=int(hour_ahead.timestamp() * 1000))
    found = graded(Grade.BROKEN)
    assert found["Feeds"].value == "1 late, 0 failing of 1"
    assert found["Jobs and feeds ahead of the clock"].value == f"Sync candles, {Feed.objects.get()}"
    assert client.get("/ready").json()["parts"]["feeds"] == {"ok": False, "says": "1 of 1 are late or failing"}
    assert "started in the future: was the clock set back?" in client.get("/system/").content.decode()


def test_findings_of_the_last_day_warn(db):
    Finding.objects.create(kind="repeated_query", place="bots", milliseconds=9, count=40, seen=7)
    Finding.objects.create(
        kind="slow_task", place="x", milliseconds=9, count=1, time=timezone.now() - timedelta(days=2)
    )
    found = graded(Grade.WARNING)
    assert found["One query for every row, 24 h"].value == "7"
    assert "Tasks over 30 s, 24 h" not in found


def test_a_large_index_that_nobody_reads_is_named(db, monkeypatch):
    monkeypatch.setattr(database, "LARGE", 0)
    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX never_read ON bots_event (message)")
    assert "never_read" in {one.name for one in database.unused_indexes()}
    assert not any(one.name.endswith("_pkey") for one in database.unused_indexes())


def test_a_large_table_that_is_read_whole_is_told_from_others():
    whole = database.TableUse("t", 20_000, 5_000, 10**8, 20, 1, 1)
    assert whole.is_read_whole
    assert not database.TableUse("t", 20_000, 5_000, 10**8, 900, 1, 1).is_read_whole
    assert not database.TableUse("t", 50, 5_000, 10**5, 20, 1, 1).is_read_whole


def test_the_audit_ends_with_1_when_a_budget_is_broken(db):
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("audit_performance", "--json", stdout=out)
    assert ended.value.code == 1
    checks = json.loads(out.getvalue())["checks"]
    assert {"subject", "value", "target", "grade", "advice"} == set(checks[0])
    assert checks[0]["subject"] == "Workers"


@pytest.mark.parametrize("hours", ["0", "169"])
def test_the_audit_names_its_bounds(db, hours):
    with pytest.raises(CommandError, match=f"^--hours must be from 1 to 168, not {hours}\\.$"):
        call_command("audit_performance", "--hours", hours)


def test_the_system_page_asks_the_same_number_of_queries_however_much_there_is(
    client, staff, django_assert_max_num_queries
):
    schedules.create_missing()
    Finding.objects.bulk_create(
        Finding(kind="slow_task", place=f"x{n}", milliseconds=9, count=1, user=staff) for n in range(40)
    )
    with django_assert_max_num_queries(24):
        client.get("/system/")
