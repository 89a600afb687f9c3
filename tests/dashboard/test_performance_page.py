from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command

ROWS = [
    {"job": "grid", "value": 3.5, "unit": "ms", "baseline": 0.25, "ratio": 14.0},
    {"job": "memory", "value": 82_000.0, "unit": "MB", "baseline": None, "ratio": None},
]


@pytest.fixture
def write(tmp_path):
    def put(subject, rows):
        document = {"machine": {"system": "Linux", "cores": 2}, "versions": {"python": "3.11"}, "rows": rows}
        (tmp_path / "rows.json").write_text(json.dumps(document))
        call_command("write_performance", subject, str(tmp_path / "rows.json"), "--page", str(tmp_path / "page.md"))
        return (tmp_path / "page.md").read_text()

    return put


def test_a_subject_becomes_a_table_with_machine_versions_and_date(write):
    page = write("engine", ROWS)
    assert page.startswith("# Performance\n")
    assert "2 cores, Linux; python 3.11." in page
    assert "| grid | 3.5 ms | 0.25 ms | 14 |" in page
    assert "| memory | 82,000 MB |  |  |" in page


def test_a_new_measurement_takes_the_place_of_the_old_and_leaves_the_others(write):
    write("engine", ROWS)
    write("cycle", ROWS[:1])
    page = write("engine", ROWS[1:])
    assert page.count("## engine") == page.count("## cycle") == 1
    assert page.index("## engine") < page.index("## cycle")
    assert page.count("| grid |") == 1
    assert write("cycle", ROWS[1:]).count("| grid |") == 0


def test_a_file_that_is_no_measurement_is_refused_and_nothing_is_written(tmp_path):
    (tmp_path / "rows.json").write_text("[]")
    with pytest.raises(CommandError, match="is no document of a benchmark"):
        call_command("write_performance", "engine", str(tmp_path / "rows.json"), "--page", str(tmp_path / "page.md"))
    assert not (tmp_path / "page.md").exists()
