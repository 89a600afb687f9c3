"""Every kind trades the same in a backtest and on paper, on every file of real candles beside the project."""

from __future__ import annotations

import gzip
from decimal import Decimal
from itertools import cycle, islice

import pytest

from bots import runs, services
from bots.bars import StoredBars
from bots.models import Bot, Run
from markets import candles as store
from markets.models import Exchange
from tests.bots import parity
from tests.bots.realistic import CAPITAL, DATA, EXCHANGE, FILES, capital, imported, params, suiting
from tests.bots.test_funding import paid
from tests.bots.test_runs import exact, stored

BEFORE, SHOWN = 3000, 450  # candles that are history when the bot starts, enough for a model; that it sees
LINES = 10_000  # of a file, more than are looked at; files are imported whole in the tests of that


class UnevenBars(StoredBars):
    """What is stored, a few candles at a time."""

    waits = False

    def __init__(self, end: int) -> None:
        self._end, self._sizes = end, cycle([1, 1, 2, 61, 7, 350, 3])

    def after(self, marks):
        size = next(self._sizes)
        found = {mark: candles[:size] for mark, candles in super().after(marks).items()}
        return {mark: candles[candles.time <= self._end] for mark, candles in found.items()}


@pytest.fixture
def rich(owner):
    """Enough money for every kind on every market."""
    exchange = Exchange.objects.create(slug=EXCHANGE, name="Files", ccxt_id="simulated", ccxt_config={"seed": 1})
    money = dict.fromkeys(("USDT", "BTC", "USD"), Decimal(20 * CAPITAL))
    return services.open_paper_account(owner, "Paper", exchange, money)


@pytest.mark.skipif(not FILES, reason="no real candles are beside the project")
@pytest.mark.parametrize("name", FILES)
def test_every_kind_trades_on_paper_as_in_the_backtest(name, rich, tmp_path):
    with gzip.open(DATA / name) as whole, gzip.open(tmp_path / name, "wb", 1) as head:
        head.writelines(islice(whole, LINES))
    market, timeframe = imported(name, folder=tmp_path)
    every = store.load(market.pk, timeframe)
    begin = min(BEFORE, len(every) // 3)
    candles = every[begin : begin + SHOWN]
    traded, money = 0, capital(market)
    for slug in suiting(market):
        bot = Bot.objects.create(
            owner=rich.owner, account=rich, market=market, name=slug, kind=slug, timeframe=timeframe,
            allocation=Decimal(money), params=params(slug, float(candles.open[0]), timeframe, money),
        )  # fmt: skip
        services.start(bot, int(candles.time[0]))
    bars = UnevenBars(int(candles.time[-1]))
    while runs.advance(Run.objects.filter(status="running").order_by("market_id", "id"), bars):
        pass
    for run in Run.objects.select_related("bot"):
        backtest = runs.backtest(run.kind, run.params, market, timeframe, run.allocation, candles)
        assert stored(run) == exact(backtest), run.kind
        assert paid(run) == [(p.time, p.rate, p.price, p.position, p.paid) for p in backtest.payments]
        assert (run.cash, run.position, run.cost) == (backtest.book.cash, backtest.book.position, backtest.book.cost)
        traded += len(backtest.trades)
    assert traded > Run.objects.count()


def test_the_first_line_that_differs_is_told():
    assert parity.difference(["a\nb\n"] * 3) == ""
    assert parity.difference(["a\nb\n", "a\nb\n", "a\n"]) == (
        "DIFFERENT in line 2: backtest b; paper_replay b; live_replay None"
    )
