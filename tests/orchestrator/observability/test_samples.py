from __future__ import annotations

import os
import socket
import subprocess
from datetime import timedelta

import pytest
from django.utils import timezone

from orchestrator.models import Finding, Sample
from orchestrator.observability import counted, samples
from orchestrator.observability.metrics import SECONDS, TASKS
from tests.orchestrator.processes import forked

TASK = "tests.sampled"


def buckets(*seconds):
    return [sum(one <= bound for one in seconds) for bound in SECONDS] + [len(seconds)]


def sample(minutes_ago, found, host="a", name=TASK):
    time = timezone.now() - timedelta(minutes=minutes_ago)
    return Sample.objects.create(time=time, host=host, metric="task", name=name, buckets=found)


def since(minutes):
    now = timezone.now()
    return {one.name: one for one in samples.between(now - timedelta(minutes=minutes), now)}


def test_a_percentile_is_within_its_bucket():
    counts = buckets(*[0.010] * 90, *[0.100] * 10)
    assert samples.percentile(counts, 0.5) == pytest.approx(0.010, rel=0.35)
    assert samples.percentile(counts, 0.95) == pytest.approx(0.100, rel=0.35)
    assert samples.percentile(buckets(1_000.0), 0.5) == SECONDS[-1]
    assert samples.percentile(buckets(0.0001), 0.5) == SECONDS[0] / 2


def test_what_was_counted_is_sampled_once(db):
    TASKS.labels(TASK, "done").observe(0.02)
    assert samples.take() > 0
    assert Sample.objects.get(metric="task", name=TASK).buckets == samples.current()["task", TASK]
    # The query of the first sample counts as well, so it is not nothing: but this task did nothing more.
    samples.take()
    assert Sample.objects.filter(name=TASK).count() == 1


def count(word):
    TASKS.labels(TASK, word).observe(0.02)


def test_what_ended_processes_counted_stays_and_their_files_do_not(db):
    for word in ("one", "two", "one"):
        forked(count, word).join()
    assert len({path.stem.rpartition("-")[2] for path in counted.ended()}) >= 3
    before = samples.current()["task", TASK]
    assert before[-1] >= 3
    for _ in range(2):
        counted.gather_ended()
        assert samples.current()["task", TASK] == before
        assert not list(counted.ended())


def test_containers_that_share_a_folder_sample_it_once(db, monkeypatch, tmp_path):
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path))
    for name in ("first", "second", "first"):
        monkeypatch.setattr(counted.socket, "gethostname", lambda name=name: name)
        TASKS.labels(TASK, "done").observe(0.02)
        samples.take()
    assert set(Sample.objects.values_list("host", flat=True)) == {"first"}
    assert Sample.objects.filter(name=TASK).count() == 3


@pytest.mark.parametrize(
    ("name", "hours_ago", "is_kept"),
    [
        ("gauge_livesum_{here}-{alive}", 0, True),
        ("gauge_livesum_{here}-{alive}", 999_999, False),  # before that process began: it has the number of another
        ("gauge_livesum_{here}-{ended}", 0, False),
        ("gauge_livesum_another_one-{alive}", 0, True),
        ("gauge_livesum_another_one-{alive}", 2, False),
        ("histogram_{here}-{alive}", 0, True),
        ("histogram_another_one-ended", 999_999, True),
    ],
)
def test_files_of_processes_that_have_ended_are_told(monkeypatch, tmp_path, name, hours_ago, is_kept):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    ended = subprocess.Popen(["true"])
    ended.wait()
    path = tmp_path / (name.format(here=socket.gethostname(), alive=os.getpid(), ended=ended.pid) + ".db")
    path.touch()
    then = max(path.stat().st_mtime - 3600 * hours_ago, 0)
    os.utime(path, (then, then))
    assert list(counted.ended()) == ([] if is_kept else [path])


def test_two_samples_tell_what_lies_between(db):
    sample(90, buckets(0.5))
    sample(30, buckets(0.5, 0.01, 0.01))
    sample(20, buckets(0.5, 0.01, 0.01, 0.01))
    found = since(60)[TASK]
    assert found.count == 3
    assert found.p99 < 20


def test_processes_that_were_started_anew_count_from_zero(db):
    sample(90, buckets(*[0.5] * 5))
    sample(30, buckets(0.01, 0.01))
    assert since(60)[TASK].count == 2


def test_machines_add_up_and_one_that_is_new_counts_from_zero(db):
    sample(30, buckets(0.01), host="a")
    sample(30, buckets(0.01, 0.02), host="b")
    assert since(60)[TASK].count == 3


def test_what_did_nothing_is_not_listed(db):
    sample(90, buckets(0.5))
    assert since(60) == {}


def test_old_rows_go(db):
    sample(samples.KEEP_DAYS * 1440 + 1, buckets(0.5))
    sample(1, buckets(0.5))
    Finding.objects.create(
        time=timezone.now() - timedelta(days=samples.KEEP_DAYS, minutes=1), kind="slow_task", place="x",
        milliseconds=1, count=1,
    )  # fmt: skip
    assert samples.apply_retention() == 2
    assert Sample.objects.count() == 1
