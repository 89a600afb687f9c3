"""What the commands refuse, in one sentence, with exit status 2 and nothing stored."""

# ruff: noqa: F811 (fixtures of other tests)

from __future__ import annotations

import json
import math

import pytest

from bots.kinds import KINDS
from tests.bots.conftest import GRID
from tests.bots.test_commands import COMMANDS, KEYS, arguments, manage, refused, stored  # noqa: F401 (a fixture)
from tests.orchestrator.processes import commanded

LONG = "1" * 5000


BAD = [
    ({"kind": "gird"}, f"KIND must be one of {', '.join(KINDS)}, not 'gird'."),
    ({"exchange": "none"}, "market must be one that is stored, not SOL/USDT on none: import or sync it first."),
    ({"market": "BTC/USDT"}, "market must be one that is stored, not BTC/USDT on sim: import or sync it first."),
    ({"timeframe": "2m"}, "--timeframe must be one of 1m, 5m, 15m, 30m, 1h, 4h, 1d, not '2m'."),
    ({"timeframe": "5m"}, "no 5m candles of SOL/USDT are stored in that range: import or sync them."),
    ({"start": "2030-01-01"}, "no 1m candles of SOL/USDT are stored in that range: import or sync them."),
    (
        {"start": "2024-02-01", "end": "2024-01-01"},
        "start must be before end, not 2024-02-01T00:00+00:00 with end 2024-01-01T00:00+00:00.",
    ),
    ({"start": "2024-01-01", "end": "2024-01-01"}, "start must be before end, not "),
    ({"start": "yesterday"}, "--start must be a date or time such as 2024-08-01 or 2024-08-01T12:00, not 'yesterday'."),
    ({"end": "2024-13-01"}, "--end must be a date or time such as "),
    ({"start": "9999-12-31T23:59-23:59"}, "--start must be a date or time such as "),
    ({"params": "{lower: 1}"}, """--params must be JSON such as '{"lower": 100}': """),
    ({"params": ""}, "--params must be JSON such as "),
    ({"params": f'{{"lower": {LONG}}}'}, "--params must be JSON such as "),
    ({"params": "[" * 100_000}, "--params must be JSON such as "),
    ({"params": "[1]"}, """--params must be a JSON object such as '{"lower": 100}', not [1]."""),
    ({"params": "{}"}, "lower is needed. upper is needed."),
    (
        {"capital": "1e14"},
        "allocation must buy at most 1.41e+14 lots of 0.001, not 1.14e+15 (100000000000000 at a price of 87.",
    ),
    ({"params": json.dumps(GRID | {"line": 3})}, "line is not a parameter of the grid kind: did you mean lines?"),
    ({"params": json.dumps(GRID | {"lower": math.nan})}, "lower must be a finite number, not nan."),
    ({"params": json.dumps(GRID | {"upper": math.inf})}, "upper must be a finite number, not inf."),
    ({"params": json.dumps(GRID | {"upper": "many"})}, "upper must be a number, not 'many'."),
    ({"params": json.dumps(GRID | {"upper": 80})}, "upper must be above lower (90), not 80."),
    ({"params": json.dumps(GRID | {"lines": 2.5})}, "lines must be a whole number, not 2.5."),
    ({"params": json.dumps(GRID | {"lines": 1000})}, "lines: a step of "),
    ({"capital": "0"}, "--capital must be above 0 and below 1e15, not 0."),
    ({"capital": "-1"}, "--capital must be above 0 and below 1e15, not -1."),
    ({"capital": "nan"}, "--capital must be above 0 and below 1e15, not nan."),
    ({"capital": "inf"}, "--capital must be above 0 and below 1e15, not inf."),
    ({"capital": "1e15"}, "--capital must be above 0 and below 1e15, not 1e15."),
    ({"capital": "much"}, "--capital must be a number above 0, not 'much'."),
    ({"capital": "0.01"}, "allocation must be about "),
    ({"trades": "/nowhere/at/all/trades.csv"}, "trades must be a file in a folder that exists, not /nowhere"),
]


@pytest.mark.parametrize(("options", "sentence"), BAD)
@pytest.mark.parametrize("command", COMMANDS)
def test_bad_input_is_refused_in_one_sentence_and_writes_nothing(stored, command, options, sentence, tmp_path):
    path = tmp_path / "trades.csv"
    assert refused(command, "--json", **{"trades": path} | options).startswith(sentence)
    assert not path.exists()


@pytest.mark.django_db(transaction=True)
def test_a_person_gets_one_document_or_one_line_and_status_2(stored, tmp_path):
    good = manage("backtest", *arguments(), "--json")
    assert (good.returncode, good.stderr) == (0, "")
    assert set(json.loads(good.stdout)) == KEYS
    replayed = commanded(tmp_path, "paper_replay", *arguments(trades=tmp_path / "trades.csv"), "--json")
    assert replayed.returncode == 0
    assert json.loads(replayed.stdout)["final_equity"] == json.loads(good.stdout)["final_equity"]
    assert len((tmp_path / "trades.csv").read_text().splitlines()) == json.loads(good.stdout)["trades"] + 1
    for words, sentence in (
        (["backtest", *arguments(capital="nan")], "--capital must be above 0 and below 1e15, not nan."),
        (["paper_replay", *arguments(market="X/Y")], "market must be one that is stored, not X/Y on sim: import or "),
        (["backtest", "grid"], "the following arguments are required: --exchange, --market, --timeframe."),
        (["paper_replay", *arguments(), "--fast"], "unrecognized arguments: --fast."),
    ):
        bad = commanded(tmp_path, *words, "--json")
        assert (bad.returncode, bad.stdout) == (2, "")
        (line,) = bad.stderr.splitlines()
        assert line.startswith(f"CommandError: {sentence}")
