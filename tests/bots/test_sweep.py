"""A sweep gives what a backtest of each of its sets gives, to the bit, however many threads share the work."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from bots.engine import simulate
from bots.engine.run import Engine
from bots.engine.simulate import NO_FUNDING, Funding, step
from bots.engine.types import Limits, Terms
from bots.kinds import KINDS
from bots.kinds.parameters import ParamsError
from bots.performance import Curve, Trades, metrics
from bots.rules import kept
from bots.sweep import Series, combinations, sweep
from markets import candles as store
from markets import funding
from markets.benchmarks.walk import random_walk
from markets.surface import Rate
from tests.bots.conftest import MINUTE, START
from tests.bots.test_commands import waves

CANDLES = random_walk(20_000, 3)
TERMS = Terms(lot=1e-8, maker=0.001, taker=0.001, fee_step=1e-8)
SWAP = Terms(tick=0.01, lot=1e-8, maker=0.001, taker=0.001, fee_step=1e-8, margin=True, maintenance=0.01)
MONEY = 100_000.0
RULES = {"long_entry": "sma({fast}) crosses above sma({slow})", "long_exit": "sma({fast}) crosses below sma({slow})"}
GRIDS = {
    "grid": ({"lower": 28_000, "upper": 33_000}, {"lines": [5, 20, 50], "spacing": ["arithmetic", "geometric"]}),
    "infinity_grid": ({"lower": 25_000}, {"grid_profit": [0.5, 1.0]}),
    "trailing": ({"sell_activation": 1.0}, {"sell_distance": [0.5, 0.7], "buy_distance": [0.5, 2.0]}),
    "dca": ({"base_order": 5_000, "safety_order": 5_000}, {"take_profit": [0.5, 1.0, 2.0]}),
    "accumulation": ({"amount": 100}, {"interval": [3600, 7200, 86400]}),
    "signal": (RULES, {"fast": [5, 10], "slow": [20, 50, 100], "stop_atr": [None, 2]}),
    "futures_grid": ({"lower": 28_000, "upper": 33_000}, {"lines": [5, 20], "leverage": [1, 3]}),
    "futures_position": ({"stop_loss": 1, "positions": 0}, {"take_profit_1": [1, 2], "side": ["long", "short"]}),
}  # fmt: skip


def backtested(kind, params, terms, funding=NO_FUNDING, limits=Limits()):  # noqa: B008
    """(trades, final equity, maximum drawdown) of one backtest."""
    read = kind.validate(params, terms, MONEY)
    seen = kind.observe(read, CANDLES, 60, {}) if kind.observe else simulate.NOTHING_SEEN
    steps = step(Engine.new(kind, read, terms, MONEY, limits), CANDLES, seen, funding)
    found = metrics(Curve.of(CANDLES, steps.equity, MONEY, 60), Trades.of(steps.trades))
    return len(steps.trades), steps.equity[-1], found["max_drawdown"]


def figures(results):
    return [(result.trades, result.final_equity, result.max_drawdown) for result in results]


@pytest.mark.parametrize("slug", GRIDS)
def test_each_set_comes_to_what_its_backtest_does(slug):
    kind, terms = KINDS[slug], SWAP if KINDS[slug].margin else TERMS
    sets = combinations(kind, *GRIDS[slug])
    results = sweep(kind, sets, terms, MONEY, Series(CANDLES, 60, {}))
    assert [result.params for result in results] == sets
    assert figures(results) == [backtested(kind, params, terms) for params in sets]
    assert len(set(figures(results))) > 1


def test_funding_and_limits_count_as_in_a_backtest():
    kind, limits = KINDS["futures_position"], Limits(max_drawdown=0.05, max_daily_loss=500.0)
    times = CANDLES.time[:: 8 * 60].copy()
    funding = Funding(times, np.full(len(times), 0.0005))
    sets = combinations(kind, *GRIDS["futures_position"])
    results = sweep(kind, sets, SWAP, MONEY, Series(CANDLES, 60, {}, funding), limits)
    assert figures(results) == [backtested(kind, params, SWAP, funding, limits) for params in sets]


@pytest.mark.parametrize("threads", [1, 2, 3, 20])
def test_threads_change_no_result(threads):
    sets = combinations(KINDS["signal"], *GRIDS["signal"])
    series = Series(CANDLES, 60, {})
    alone = sweep(KINDS["signal"], sets, TERMS, MONEY, series, threads=1)
    assert sweep(KINDS["signal"], sets, TERMS, MONEY, series, threads=threads) == alone


def test_indicators_that_there_is_no_room_for_are_computed_anew(monkeypatch):
    sets = combinations(KINDS["signal"], RULES, {"fast": [5, 10], "slow": [20, 50]})
    whole = sweep(KINDS["signal"], sets, TERMS, MONEY, Series(CANDLES, 60, {}))
    monkeypatch.setattr(kept, "MOST_BYTES", CANDLES.close.nbytes)
    assert sweep(KINDS["signal"], sets, TERMS, MONEY, Series(CANDLES, 60, {})) == whole


def test_buffers_that_are_too_small_are_emptied_and_the_runs_go_on(monkeypatch):
    sets = combinations(KINDS["signal"], *GRIDS["signal"])
    whole = sweep(KINDS["signal"], sets, TERMS, MONEY, Series(CANDLES, 60, {}))
    monkeypatch.setattr(simulate, "SMALL_ROOM", 2)
    assert sweep(KINDS["signal"], sets, TERMS, MONEY, Series(CANDLES, 60, {})) == whole


def test_parts_and_pieces_of_the_series_change_no_result(monkeypatch):
    kind, candles = KINDS["signal"], random_walk(40_000, 5)
    sets = combinations(kind, *GRIDS["signal"])
    series = Series(candles[500:], 60, {}, lead=candles[:500])
    whole = sweep(kind, sets, TERMS, MONEY, series)
    monkeypatch.setattr("bots.sweep.PART", 1)  # four times the longest lead of the rules, then
    monkeypatch.setattr("bots.sweep.ABREAST", 5)
    monkeypatch.setattr(simulate, "PIECE", 999)
    assert sweep(kind, sets, TERMS, MONEY, series) == whole


def test_rules_may_name_columns_and_higher_timeframes():
    params = {"long_entry": "sma({n})@1h > close@4h and extra > 0", "long_exit": "close < sma({n})@1h"}
    extra = np.where(np.arange(len(CANDLES)) % 1000 < 500, 1.0, -1.0)
    kind, sets = KINDS["signal"], combinations(KINDS["signal"], params, {"n": [5, 10]})
    with pytest.raises(ParamsError, match="extra"):
        sweep(kind, sets, TERMS, MONEY, Series(CANDLES, 60, {"extra": extra}))
    sets = combinations(kind, {**params, "long_entry": "sma({n})@1h > close@4h"}, {"n": [5, 10]})
    results = sweep(kind, sets, TERMS, MONEY, Series(CANDLES, 60, {}))
    assert figures(results) == [backtested(kind, one, TERMS) for one in sets]


def test_a_grid_is_every_combination_in_the_order_of_its_lists():
    found = combinations(KINDS["signal"], RULES, {"fast": [5, 10], "slow": [50], "stop_loss": [1, 2]})
    assert [(one["long_entry"], one["stop_loss"]) for one in found] == [
        ("sma(5) crosses above sma(50)", 1),
        ("sma(5) crosses above sma(50)", 2),
        ("sma(10) crosses above sma(50)", 1),
        ("sma(10) crosses above sma(50)", 2),
    ]
    assert not any("fast" in one for one in found)


def test_a_value_that_holds_another_place_does_not_grow():
    names = "abcdefgh"
    grid = {name: [f"{{{after}}}" * 15] for name, after in zip(names, names[1:] + "a", strict=True)}
    (found,) = combinations(KINDS["signal"], {"long_entry": "".join(f"{{{name}}}" for name in names)}, grid)
    assert found == {"long_entry": "".join(grid[name][0] for name in names)}


def test_a_text_that_gets_too_long_is_refused_before_it_is_made_a_thousand_times():
    with pytest.raises(ParamsError, match="long_entry must be at most 1000 characters long, not 9000"):
        combinations(KINDS["signal"], {"long_entry": "{n}" * 300}, {"n": ["9" * 30] * 1000})


@pytest.mark.parametrize(
    ("grid", "sentence"),
    [
        ({"lines": 5}, "lines of the grid must be a list of values, not 5"),
        ({"lines": []}, r"lines of the grid must be a list of values, not \[\]"),
        ({"fast": [5]}, r"fast of the grid must be a parameter of the grid kind, or stand as \{fast\} in one"),
        (
            {"lines": [*range(400)], "lower": [*range(400)]},
            "grid must make at most 100,000 combinations, not 160,000",
        ),
    ],
)
def test_a_bad_grid_is_refused_in_a_sentence(grid, sentence):
    with pytest.raises(ParamsError, match=sentence):
        combinations(KINDS["grid"], {}, grid)


def test_a_set_that_makes_no_sense_is_refused():
    with pytest.raises(ParamsError, match="upper"):
        sweep(KINDS["grid"], [{"lower": 100, "upper": 90}], TERMS, MONEY, Series(CANDLES, 60, {}))


@pytest.fixture
def stored(market):
    store.upsert(market.pk, 60, waves())
    return market


def swept(*more, grid):
    out = StringIO()
    where = [
        "--exchange",
        "sim",
        "--market",
        "SOL/USDT",
        "--timeframe",
        "1m",
        "--params",
        '{"lower": 90, "upper": 110}',
    ]
    call_command("sweep", "grid", *where, "--grid", json.dumps(grid), *more, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_the_command_prints_a_table_sorted_by_final_equity(stored):
    head, titles, *rows = swept(grid={"lines": [3, 5, 11]}).splitlines()
    assert head == "3 combinations over 110 candles"
    assert titles.split() == ["final", "equity", "trades", "drawdown"]
    assert sorted(row.split()[-1] for row in rows) == ["11", "3", "5"]
    equities = [float(row.split()[0].replace(",", "")) for row in rows]
    assert equities == sorted(equities, reverse=True)


@pytest.mark.django_db
def test_the_command_prints_one_document_that_says_what_backtest_says(stored):
    document = json.loads(swept("--json", grid={"lines": [3, 5, 11]}))
    assert (document["combinations"], document["bars"]) == (3, 110)
    for result in document["results"]:
        out = StringIO()
        where = ["--exchange", "sim", "--market", "SOL/USDT", "--timeframe", "1m"]
        call_command("backtest", "grid", *where, "--params", json.dumps(result["params"]), "--json", stdout=out)
        told = json.loads(out.getvalue())
        assert result["trades"] == told["trades"]
        assert result["final_equity"] == pytest.approx(told["final_equity"], rel=1e-9)
        assert result["max_drawdown"] == pytest.approx(told["metrics"]["max_drawdown"], rel=1e-6)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("more", "grid", "sentence"),
    [
        ([], {"lines": [*range(1000)], "lower": [*range(101)]}, "at most 100,000 combinations, not 101,000"),
        ([], {"lines": [3, 1]}, "lines must be"),
        (["--threads", "0"], {"lines": [3]}, "threads must be from 1 to 64, not 0"),
    ],
)
def test_the_command_refuses_in_a_sentence(stored, more, grid, sentence):
    with pytest.raises(CommandError, match=sentence):
        swept(*more, grid=grid)


def told(command, slug, params, *more, symbol="SOL/USDT"):
    """The document of a command over the candles from the 100th on."""
    out = StringIO()
    start = datetime.fromtimestamp((START + 100 * MINUTE) / 1000, UTC).isoformat()
    where = ["--exchange", "sim", "--market", symbol, "--timeframe", "1m", "--start", start]
    call_command(command, slug, *where, "--params", json.dumps(params), *more, "--json", stdout=out)
    return json.loads(out.getvalue())


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("slug", "params", "grid"),
    [
        ("signal", {"long_entry": "close > sma(90)", "long_exit": "close < sma(9)"}, {"stop_loss": [1, 3]}),
        ("prediction", {"enter_above": 0.5, "exit_below": 0.5}, {"stop_loss": [1, 3]}),
        ("futures_position", {"size": 50, "leverage": 3}, {"side": ["long", "short"]}),
    ],
)
def test_the_command_shows_every_kind_what_a_backtest_shows_it(market, slug, params, grid):
    """Candles before the first, predictions, funding of a swap."""
    if KINDS[slug].margin:
        market.type, market.symbol, market.max_leverage = "swap", "SOL/USDT:USDT", 20
        market.save()
        hours = [START // 3_600_000 * 3_600_000 + n * 3_600_000 for n in range(1, 6)]
        funding.upsert(market.pk, [Rate(hour, 0.001) for hour in hours])
    store.upsert(market.pk, 60, waves(3500))
    swept = told("sweep", slug, params, "--grid", json.dumps(grid), symbol=market.symbol)
    assert swept["combinations"] == 2
    for result in swept["results"]:
        alone = told("backtest", slug, result["params"], symbol=market.symbol)
        assert result["trades"] == alone["trades"] > 0
        assert result["final_equity"] == pytest.approx(alone["final_equity"], rel=1e-9)


@pytest.mark.django_db
def test_the_command_refuses_what_the_market_does_not_allow(market):
    market.type, market.symbol, market.max_leverage = "swap", "SOL/USDT:USDT", 10
    market.save()
    store.upsert(market.pk, 60, waves())
    with pytest.raises(CommandError, match="leverage must be at most 10 on SOL/USDT:USDT, not 60"):
        told("sweep", "futures_position", {"size": 50}, "--grid", '{"leverage": [2, 60]}', symbol=market.symbol)
