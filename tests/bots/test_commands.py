"""The commands that other parts rely on: one document on stdout, or one sentence and exit status 2."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from io import StringIO
from urllib.parse import urlsplit

import numpy as np
import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone as django_timezone

from bots import runs, services
from bots.management.commands import _replay, _report
from bots.management.commands._series import Asked
from bots.models import Account, Balance, Bot, EquitySnapshot, Event, Mode, Order, Position, Run, Trade
from bots.performance import Metrics
from markets import candles as store
from markets import funding
from markets.models import Feed, Market, SimulatedBalance, SimulatedDesk, SimulatedTransfer
from markets.series import Candles
from markets.surface import Rate
from orchestrator import home
from tests.bots.conftest import GRID, MINUTE, START
from tests.markets.conftest import real_candles

COMMANDS = ("backtest", "paper_replay", "live_replay")
REPLAYS = COMMANDS[1:]
KEYS = {"bars", "trades", "final_equity", "metrics", "seconds_load", "seconds_engine", "seconds_total"}
METRICS = {*Metrics.__annotations__, "funding", "daily_returns", "monthly_returns"}
OURS = (Bot, Run, Order, Trade, Position, EquitySnapshot, Event, Account, Balance, get_user_model())
ROWS = (*OURS, SimulatedDesk, SimulatedBalance, SimulatedTransfer)


def waves(count: int = 110) -> Candles:
    """Prices that swing through the grid, leave it and come back."""
    random = np.random.default_rng(7)
    close = np.round(100 + 12 * np.sin(np.arange(count) / 6) + random.normal(0, 0.4, count), 2)
    opens = np.concatenate([[100.0], close[:-1]])
    time = START + np.arange(count, dtype=np.int64) * MINUTE
    high, low = np.round(np.maximum(opens, close) + 0.3, 2), np.round(np.minimum(opens, close) - 0.3, 2)
    return Candles(time, opens, high, low, close, np.ones(count))


SHORT = 70  # candles, with a swing above and below the grid in them
FEW = 40  # with some trades in them


def until(count: int) -> str:
    """The end of so many candles."""
    return f"{datetime.fromtimestamp((START + count * MINUTE) / 1000, UTC):%Y-%m-%dT%H:%M}"


@pytest.fixture
def stored(market):
    store.upsert(market.pk, 60, waves())
    return market


def arguments(kind: str = "grid", **options) -> list[str]:
    asked = {"exchange": "sim", "market": "SOL/USDT", "timeframe": "1m", "params": json.dumps(GRID)} | options
    return [kind, *(part for name, value in asked.items() for part in (f"--{name}", str(value)))]


def run(command: str, **options) -> dict:
    """The one document that a command prints."""
    out, err = StringIO(), StringIO()
    call_command(command, *arguments(**options), "--json", stdout=out, stderr=err)
    assert err.getvalue() == ""
    (line,) = out.getvalue().splitlines()
    return json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def refused(command: str, *flags: str, **options) -> str:
    """The sentence of a refusal that printed and stored nothing."""
    before, out = counts(), StringIO()
    with pytest.raises(CommandError) as caught:
        call_command(command, *arguments(**options), *flags, stdout=out)
    assert caught.value.returncode == 2
    assert (out.getvalue(), counts()) == ("", before)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith((".", "?"))
    return sentence


def counts() -> list[int]:
    return [model.objects.count() for model in ROWS]


def manage(*words: str) -> subprocess.CompletedProcess:
    """manage.py as a person runs it, on the database of the tests."""
    address = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    return subprocess.run(
        [sys.executable, str(home.PROJECT / "manage.py"), *words], env=os.environ | {"DATABASE_URL": address},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_the_document_has_the_promised_keys_and_no_others(stored, command):
    document = run(command, end=until(FEW))
    assert set(document) == KEYS
    assert set(document["metrics"]) == METRICS
    assert document["bars"] == FEW
    assert document["trades"] == document["metrics"]["trades"] > 5
    assert 0 < document["seconds_engine"] <= document["seconds_total"]
    assert document["seconds_load"] <= document["seconds_total"]


def test_bounds_say_where_the_worse_and_the_better_of_a_candles_two_ways_end(market):
    calm = waves()
    wide = Candles(calm.time, calm.open, calm.high + 7, calm.low - 7, calm.close, calm.volume)
    store.upsert(market.pk, 60, wide)
    output = StringIO()
    call_command("backtest", *arguments(), "--bounds", "--json", stdout=output)
    document = json.loads(output.getvalue())
    assert set(document) == KEYS | {"worst_equity", "best_equity"}
    assert document["worst_equity"] <= document["final_equity"] <= document["best_equity"]
    assert document["worst_equity"] < document["best_equity"] - 100


CASES = [
    GRID,
    GRID | {"spacing": "geometric", "size": "quote", "lines": 12},
    GRID | {"trigger_price": 104},
    GRID | {"stop_loss": 88.5, "take_profit": 111},
    GRID | {"stop_loss": 89, "sell_at_end": False},
    GRID | {"active_buys": 2, "active_sells": 1, "reinvest": True, "stop_loss": 9, "stop_loss_by": "ratio"},
    GRID | {"upper": 101, "size": "quote", "trailing_up": True, "trailing_down": True, "trailing_down_stop": 85},
    GRID | {"take_profit": 3, "take_profit_by": "ratio", "take_profit_delay": 120},
]


@pytest.mark.parametrize(
    "params", CASES, ids=["plain", "geometric", "trigger", "ends", "keeps", "window", "trails", "delay"]
)
def test_replay_gives_the_backtest_s_file_and_figures(stored, tmp_path, params):
    documents, files = [], []
    for command in COMMANDS:
        path = tmp_path / f"{command}.csv"
        document = run(command, params=json.dumps(params), trades=path, capital="2500.5", end=until(SHORT))
        documents.append({key: value for key, value in document.items() if not key.startswith("seconds")})
        files.append(path.read_bytes())
    assert files[0] == files[1] == files[2]
    assert documents[0] == documents[1] == documents[2]
    rows = list(csv.DictReader(files[0].decode().splitlines()))
    assert len(rows) == documents[0]["trades"] > 2
    assert list(rows[0]) == ["time", "side", "price", "amount", "fee", "fee_currency", "tag"]
    cash, position = Decimal("2500.5"), Decimal(0)
    for row in rows:
        sign = 1 if row["side"] == "buy" else -1
        cash -= sign * Decimal(row["price"]) * Decimal(row["amount"]) + Decimal(row["fee"])
        position += sign * Decimal(row["amount"])
    assert documents[0]["final_equity"] == float(cash + position * Decimal(str(waves().close[SHORT - 1])))


@pytest.mark.parametrize(
    ("file", "lower", "upper"),
    [("binance_BTCUSDT_1h_2024.csv.gz", 41_000, 46_000), ("binance_ETHUSDT_1h_2024.csv.gz", 2_200, 2_500)],
)
def test_replay_gives_the_backtest_s_file_on_real_candles(market, tmp_path, file, lower, upper):
    store.upsert(market.pk, 3600, real_candles(file)[:40])
    params = json.dumps({"lower": lower, "upper": upper, "lines": 30})
    files = []
    for command in COMMANDS:
        path = tmp_path / f"{command}.csv"
        assert run(command, timeframe="1h", params=params, trades=path, capital=100_000)["trades"] > 20
        files.append(path.read_bytes())
    assert files[0] == files[1] == files[2]


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("futures_grid", {"lower": 90, "upper": 110, "lines": 9, "direction": "neutral", "leverage": 3}),
        ("futures_position", {"side": "short", "size": 30, "leverage": 3, "take_profit_1": 2.0, "positions": 0}),
        ("futures_position", {"side": "long", "size": 100, "leverage": 15, "stop_loss": None}),
        ("grid", GRID),
    ],
    ids=["grid", "position", "liquidated", "spot kind"],
)
def test_replay_gives_the_backtest_s_file_and_funding_on_swaps(stored, tmp_path, kind, params):
    stored.type, stored.max_leverage, stored.maintenance_rate = "swap", Decimal(20), Decimal("0.01")
    stored.save()
    hour = START // 3_600_000 * 3_600_000
    funding.upsert(stored.pk, [Rate(hour + n * 3_600_000, 0.0004 * n) for n in (1, 2)])
    before, documents, files = counts(), [], []
    for command in COMMANDS:
        path = tmp_path / f"{command}.csv"
        document = run(command, kind=kind, params=json.dumps(params), trades=path)
        documents.append({key: value for key, value in document.items() if not key.startswith("seconds")})
        files.append(path.read_bytes())
    assert files[0] == files[1] == files[2]
    assert documents[0] == documents[1] == documents[2]
    liquidated = b"liquidation" in files[0]
    assert liquidated == (params.get("leverage") == 15)
    assert documents[0]["metrics"]["funding"] != 0 or liquidated
    assert counts() == before


@pytest.mark.parametrize("command", COMMANDS)
def test_a_range_is_half_open_and_in_utc_unless_it_says_otherwise(stored, command):
    first = datetime.fromtimestamp(START / 1000, UTC)
    assert run(command, start=f"{first + timedelta(minutes=90):%Y-%m-%dT%H:%M}")["bars"] == 20
    assert run(command, end=f"{first + timedelta(minutes=10):%Y-%m-%dT%H:%M:%SZ}")["bars"] == 10
    there = (first + timedelta(minutes=10)).astimezone(timezone(timedelta(hours=2)))
    assert run(command, end=there.isoformat())["bars"] == 10


@pytest.mark.parametrize("command", COMMANDS)
def test_without_json_the_figures_are_told_to_a_person(stored, command):
    out = StringIO()
    call_command(command, *arguments(end=until(FEW)), stdout=out)
    lines = out.getvalue().splitlines()
    assert lines[0].split() == ["bars", str(FEW)]
    assert lines[-1] == "money in USDT, times in UTC"
    names = [line.split("  ")[0] for line in lines[:-1]]
    metrics = [name.replace("_", " ") for name in Metrics.__annotations__]
    assert [name for name in names if name in metrics] == ["trades", *(m for m in metrics if m != "trades")]
    assert names[-1] == f"{datetime.fromtimestamp(START / 1000, UTC):%Y-%m}"


DOCUMENT = {
    "bars": 1500,
    "final_equity": 10_100.0,
    "seconds_total": 0.123456,
    "metrics": {
        "total_return": 0.01,
        "max_drawdown": -0.12345,
        "drawdown_peak": 1_704_067_200_000,
        "drawdown_recovery": None,
        "drawdown_length": 97_200_000,
        "longest_under_water": 11_100_000,
        "under_water": 0.5,
        "profit_factor": 1.5,
        "sharpe": None,
        "expectancy": -1234.5,
        "daily_returns": {"2024-01-01": 0.03, "2024-01-02": -0.02, "2024-01-03": None},
        "monthly_returns": {"2024-01": 0.01, "2024-02": None},
    },
}
TOLD = """\
bars                 1,500
final equity         10,100.00
seconds total        0.123456
total return         +1.00 %
max drawdown         -12.35 %
drawdown peak        2024-01-01 00:00
drawdown recovery    –
drawdown length      1 d 3 h
longest under water  3 h 5 min
under water          50.00 %
profit factor        1.50
sharpe               –
expectancy           -1,234.50
best day             +3.00 %  2024-01-01
worst day            -2.00 %  2024-01-02
2024-01              +1.00 %
2024-02              –
money in USDT, times in UTC"""


def test_each_figure_is_told_in_its_unit():
    assert "\n".join(_report.lines(DOCUMENT, "USDT")) == TOLD
    nothing = DOCUMENT | {"metrics": {"daily_returns": {"2024-01-01": None}, "monthly_returns": {}}}
    assert "best day       –" in _report.lines(nothing, "USDT")


def test_another_name_of_the_currency_changes_no_figure(stored):
    before = run("backtest")["metrics"]
    Market.objects.filter(pk=stored.pk).update(quote="XYZ", symbol="SOL/XYZ")
    assert run("backtest", market="SOL/XYZ")["metrics"] == before


def test_a_backtest_stores_nothing(stored):
    before = counts()
    run("backtest")
    assert counts() == before


@pytest.mark.parametrize("command", REPLAYS)
def test_a_replay_leaves_no_rows_behind(stored, command):
    before = counts()
    assert run(command, end=until(FEW))["trades"] > 5
    assert counts() == before


@pytest.mark.parametrize("command", REPLAYS)
def test_a_replay_that_fails_half_way_leaves_no_rows_behind(stored, command, tmp_path):
    folder = tmp_path / "trades.csv"
    folder.mkdir()
    assert refused(command, trades=folder, end=until(FEW)) == f"trades cannot be written to {folder}: Is a directory."


def test_an_interrupted_replay_leaves_no_rows_behind(stored, monkeypatch):
    """Interrupted with Ctrl-C at its fiftieth candle."""
    before, calls = counts(), iter(range(1000))
    advance = runs.advance

    def failing(claim, bars):
        if next(calls) == 50:
            raise KeyboardInterrupt
        return advance(claim, bars)

    monkeypatch.setattr(runs, "advance", failing)
    with pytest.raises(KeyboardInterrupt):
        run("paper_replay")
    assert counts() == before


@pytest.mark.parametrize("command", REPLAYS)
def test_what_a_killed_replay_left_is_removed_a_day_later(stored, command, bot, account):
    before = counts()
    left = _replay.new_run(asked(stored))
    run(command, end=until(10))
    assert Run.objects.filter(pk=left.pk).exists()
    Bot.objects.filter(pk=left.bot_id).update(created_at=django_timezone.now() - timedelta(days=2))
    run(command, end=until(10))
    assert counts() == before


def test_the_worker_never_picks_up_a_replay(stored):
    left = _replay.new_run(asked(stored))
    Feed.objects.create(market=stored, timeframe=60, synced_to=int(waves().time[-1]))
    assert left.mode == Mode.REPLAY
    assert not runs.due().exists()
    assert runs.advance_due() == 0
    left.refresh_from_db()
    assert left.trades_count == 0


@pytest.mark.parametrize("command", REPLAYS)
def test_a_replay_does_not_disturb_a_bot_on_the_same_market(stored, command, bot, close):
    """A replay of a market that a bot trades touches neither the bot nor its account."""
    services.start(bot, START)
    close(waves()[:80])
    runs.advance_due()
    before = [list(model.objects.order_by("pk").values()) for model in ROWS]
    assert run(command, end=until(FEW))["trades"] > 5
    assert [list(model.objects.order_by("pk").values()) for model in ROWS] == before


def asked(market: Market) -> Asked:
    return Asked("grid", GRID, market, 60, Decimal(1000), waves(), 0.0)
