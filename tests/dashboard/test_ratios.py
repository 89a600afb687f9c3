"""The check that every change must pass: what got a third slower than committed is named, a busy moment is not."""

from __future__ import annotations

import json
from contextlib import nullcontext
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from bots.models import Bot
from dashboard import rows
from dashboard.benchmarks import pages, ratios
from dashboard.management.commands import check_performance
from orchestrator.home import PROJECT


@pytest.fixture
def check(monkeypatch, tmp_path):
    """check(committed, measured in turn): exit status and output of the command."""
    monkeypatch.setattr(check_performance, "own_database", nullcontext)
    monkeypatch.setattr(ratios, "prepare", lambda: None)

    def run(committed, *turns):
        measured = iter(turns)
        monkeypatch.setattr(ratios, "GROUPS", {"group": lambda: dict(next(measured))})
        file, out = tmp_path / "ratios.json", StringIO()
        file.write_text(json.dumps(committed))
        try:
            call_command("check_performance", "--file", str(file), stdout=out, stderr=StringIO())
        except SystemExit as ended:
            return ended.code, out.getvalue()
        return 0, out.getvalue()

    return run


def test_what_is_a_third_worse_every_time_fails_and_is_named(check):
    turns = [{"a": worse, "b": 3.0} for worse in (13.1, 14.0, 13.2, 15.0, 13.6)]
    assert len(turns) == check_performance.TRIES
    status, text = check({"a": 10.0, "b": 3.0}, *turns)
    assert status == 1
    assert text == "FAIL  a: 13.1 (committed: 10)\nok    b: 3 (committed: 3)\n1 passed, 1 failed\n"


def test_a_busy_moment_fails_nobody(check):
    status, text = check({"a": 10.0}, {"a": 30.0}, {"a": 12.9})
    assert (status, text) == (0, "ok    a: 12.9 (committed: 10)\n1 passed, 0 failed\n")


def test_a_ratio_that_nobody_committed_to_fails(check):
    assert check({}, *[{"new": 1.0}] * check_performance.TRIES)[0] == 1


def test_a_file_without_ratios_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(CommandError, match=r"holds no ratios: .*\. Write them with --write\.$"):
        call_command("check_performance", "--file", str(tmp_path / "none.json"))


def test_a_query_for_every_row_breaks_the_ratio_of_its_page(db, redis, monkeypatch):
    for name in ("BOTS", "TRADES", "MARKETS"):
        monkeypatch.setattr(ratios, name, 20)
    monkeypatch.setattr(ratios, "best", lambda works, turns: dict.fromkeys(works, 1.0))
    monkeypatch.setattr(pages, "pages", lambda: [pages.Page("bots", "/bots/", 3, 60)])
    ratios.prepare()
    plain, before = rows.bot_row, ratios.page_ratios()

    def asks_again(bot, *args):
        Bot.objects.get(pk=bot.pk)
        return plain(bot, *args)

    monkeypatch.setattr(rows, "bot_row", asks_again)
    assert check_performance.regressions(ratios.page_ratios(), before) == ["page bots: queries"]


def test_there_are_committed_ratios_of_every_group():
    committed = json.loads((PROJECT / "docs/ratios.json").read_text())
    assert {name.split(":")[0].split()[0] for name in committed} == {"engine", "candles", "cache", "page"}
    assert all(value > 0 for value in committed.values())
