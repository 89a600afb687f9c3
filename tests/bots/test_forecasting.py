"""A prediction bot decides by the same predictions in a backtest, on paper and in a replay, stored or not."""

from __future__ import annotations

import json
from decimal import Decimal
from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from bots import forecasting, predictions, runs, services, tasks
from bots.bars import STORED, SeriesBars
from bots.forecasts import FORECASTERS
from bots.models import Bot, Event, Prediction, Run
from bots.predictions import Series
from markets import candles as store
from markets.series import VALUES, Candles
from tests.bots.conftest import MINUTE, START
from tests.bots.test_runs import exact, stored

LEAD = FORECASTERS["logistic"].lead
PARAMS = {"enter_above": 0.52, "exit_below": 0.5, "stop_loss": 1}
BARS = 150


def swinging(count: int, start: int) -> Candles:
    """Prices that swing around 100 in ten candles, so that there is something to predict."""
    index = (start - START) // MINUTE + np.arange(count)
    noise = np.random.RandomState(3).normal(0, 0.3, 20_000)[index + 10_000]
    close = np.round(100 + np.sin(index / 10 * 2 * np.pi) + noise, 2)
    before = np.round(100 + np.sin((index - 1) / 10 * 2 * np.pi), 2)
    high, low = np.round(np.maximum(close, before) + 0.1, 2), np.round(np.minimum(close, before) - 0.1, 2)
    return Candles(start + np.arange(count, dtype=np.int64) * MINUTE, before, high, low, close, np.ones(count))


HISTORY, CANDLES = swinging(3000, START - 3000 * MINUTE), swinging(BARS, START)


@pytest.fixture
def series(market):
    return Series(market.pk, 60, "logistic")


@pytest.fixture
def prediction_bot(bot, close):
    bot.kind, bot.params = "prediction", PARAMS
    bot.save()
    close(HISTORY)
    return bot


def rows() -> list[tuple[int, float]]:
    return list(Prediction.objects.order_by("time").values_list("time", "value"))


def expected(bot: Bot):
    return runs.backtest(bot.kind, bot.params, bot.market, 60, bot.allocation, CANDLES)


def on_paper(bot, close, lengths, cycle) -> Run:
    """A paper run over the candles as they come, in stretches; cycle(): what a worker does after each."""
    run, at = services.start(bot, START), 0
    for length in lengths:
        close(CANDLES[at : at + length])
        cycle()
        at += length
    assert at == BARS
    return run


IN_SEVENS = [7] * 21 + [3]


@pytest.mark.parametrize("lengths", [[BARS], IN_SEVENS], ids=["at once", "in sevens"])
def test_paper_trades_as_the_backtest_however_the_candles_come(prediction_bot, close, lengths):
    run = on_paper(prediction_bot, close, lengths, tasks.advance_runs)
    backtest = expected(prediction_bot)
    assert len(backtest.trades) > 20
    assert stored(run) == exact(backtest)


def test_a_prediction_that_comes_after_its_candle_changes_nothing(prediction_bot, close, series):
    """A candle that closes between the work on predictions and the step is decided with its prediction all the same."""
    run = on_paper(prediction_bot, close, IN_SEVENS, runs.advance_due)
    assert not rows()
    assert stored(run) == exact(expected(prediction_bot))
    before = exact(expected(prediction_bot))
    forecasting.train(series)
    assert len(rows()) > BARS
    assert exact(expected(prediction_bot)) == before


def test_the_task_stores_what_the_bots_then_read(prediction_bot, close, monkeypatch):
    run = services.start(prediction_bot, START)
    close(CANDLES)
    assert forecasting.extend(runs.due) == BARS + 1  # and that of the candle before, which the kind is shown too
    assert forecasting.extend(runs.due) == 0
    monkeypatch.setattr(forecasting, "FORECASTERS", {})  # none is asked any more
    runs.advance_due()
    assert forecasting.extend(runs.due) == 0  # it has seen them all
    assert stored(run) == exact(expected(prediction_bot))


def test_candle_by_candle_it_trades_as_the_backtest_and_predicts_as_trained_at_once(prediction_bot, close, series):
    run = on_paper(prediction_bot, close, [1] * BARS, tasks.advance_runs)
    assert stored(run) == exact(expected(prediction_bot))
    one_by_one = rows()
    Prediction.objects.all().delete()
    forecasting.train(series)
    assert rows()[-len(one_by_one) :] == one_by_one
    assert forecasting.train(series).written == 0


def test_a_stored_prediction_is_what_counts(prediction_bot, close, series):
    close(CANDLES)
    predictions.upsert(series, CANDLES.time, np.where(np.arange(BARS) == 50, 0.9, 0.51))
    (trade,) = expected(prediction_bot).trades[:1]
    assert trade.time.timestamp() * 1000 == CANDLES.time[51]


def test_without_enough_history_it_never_trades(bot, close):
    bot.kind, bot.params = "prediction", PARAMS
    bot.save()
    run = on_paper(bot, close, [BARS], tasks.advance_runs)
    assert stored(run) == exact(expected(bot)) == []
    assert not rows()


def test_one_bot_that_cannot_be_read_stops_no_other(prediction_bot, close, account, caplog):
    other = Bot.objects.create(
        owner=prediction_bot.owner, account=account, market=prediction_bot.market, name="Broken", kind="prediction",
        timeframe=60, allocation=Decimal(1000), params=PARAMS,
    )  # fmt: skip
    good, bad = services.start(prediction_bot, START), services.start(other, START)
    Run.objects.filter(pk=bad.pk).update(params={"model": "oracle"})
    close(CANDLES)
    tasks.advance_runs()
    assert f"no predictions for run {bad.pk}" in caplog.text
    assert stored(good) == exact(expected(prediction_bot))
    other.refresh_from_db()
    assert (other.status, other.reason) == ("failed", "model must be one of logistic, not 'oracle'.")


def test_bots_on_a_market_share_their_predictions(
    prediction_bot, close, account, django_assert_num_queries, monkeypatch
):
    for number in range(6):
        bot = Bot.objects.create(
            owner=prediction_bot.owner, account=account, market=prediction_bot.market, name=f"Bot {number}",
            kind="prediction", timeframe=60, allocation=Decimal(500),
            params=PARAMS | {"enter_above": 0.9 + number / 100},
        )  # fmt: skip
        services.start(bot, START)
    close(CANDLES[:1])
    runs.advance_due()
    close(CANDLES[1:2])
    forecasting.extend(runs.due)
    # A savepoint and its end, claim, states, new candles (2), those before, one series of predictions; each remembers
    # something of the candle, so books and rows; whom it concerns.
    with django_assert_num_queries(11, connection=connection):
        assert runs.advance(runs.due(), STORED) == 6


def test_no_prediction_bots_cost_one_query(bot, close, django_assert_num_queries):
    services.start(bot, START)
    close(CANDLES)
    with django_assert_num_queries(1):
        assert forecasting.extend(runs.due) == 0


def test_a_series_shows_a_model_what_the_database_does(market, close):
    close(HISTORY)
    close(CANDLES)
    series = SeriesBars(CANDLES)
    for end, count in ((0, 1), (0, 40), (-3, 2000), (5, LEAD), (BARS - 1, 7), (BARS - 1, 9999)):
        shown = series.before(market.pk, 60, START + end * MINUTE, count)
        known = STORED.before(market.pk, 60, START + end * MINUTE, count)
        assert all(np.array_equal(getattr(shown, name), getattr(known, name)) for name in ("time", *VALUES))


def asked(**options) -> list[str]:
    given = {"exchange": "sim", "market": "SOL/USDT", "timeframe": "1m"} | options
    return [part for name, value in given.items() for part in (f"--{name}", str(value))]


def command(name: str, *words: str, **options) -> str:
    out = StringIO()
    call_command(name, *words, *asked(**options), stdout=out)
    return out.getvalue()


def test_the_command_stores_predictions_and_says_how_good_they_are(market, series):
    store.upsert(market.pk, 60, HISTORY)
    document = json.loads(command("train_predictions", "--json"))
    assert document.keys() == {
        "model", "candles", "predictions", "written", "first", "last", "right", "rose", "seconds"
    }  # fmt: skip
    assert (document["model"], document["candles"]) == ("logistic", 3000)
    assert document["predictions"] == document["written"] == len(rows()) > 300
    assert (document["first"], document["last"]) == (rows()[0][0], rows()[-1][0])
    assert document["right"] > 0.7
    assert document["rose"] == pytest.approx(0.5, abs=0.1)
    assert json.loads(command("train_predictions", "--json"))["written"] == 0
    told = command("train_predictions")
    assert told.startswith(f"{document['predictions']} predictions of 3,000 candles, 0 written; from 2023-11-14T")
    assert "named the direction" in told


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"market": "X/Y"},
            "market must be one that is stored, not X/Y on sim: import or sync it first.",
        ),
        ({"model": "oracle"}, "--model must be one of logistic, not 'oracle'."),
        ({"timeframe": "2m"}, "--timeframe must be one of 1m, 5m, 15m, 30m, 1h, 4h, 1d, not '2m'."),
        (
            {},
            "logistic needs about 2,708 candles in a row before its first prediction, and 150 candles of 1m of "
            "SOL/USDT are stored: import or sync more.",
        ),
    ],
)
def test_the_command_refuses_with_a_sentence(market, options, sentence):
    store.upsert(market.pk, 60, CANDLES)
    with pytest.raises(CommandError) as caught:
        command("train_predictions", **options)
    assert str(caught.value).endswith(sentence)
    assert caught.value.returncode == 2
    assert not rows()


def test_backtest_and_replay_write_the_same_trades_whether_predictions_are_stored_or_not(market, tmp_path):
    store.upsert(market.pk, 60, HISTORY)
    store.upsert(market.pk, 60, CANDLES)
    params, since = json.dumps(PARAMS), "2023-11-14T22:14"
    written = []
    for trained in (False, True):
        if trained:
            command("train_predictions")
        for name in ("backtest", "paper_replay"):
            file = tmp_path / f"{name}-{trained}.csv"
            command(name, "prediction", params=params, start=since, trades=file)
            written.append(file.read_bytes())
    assert len(set(written)) == 1
    assert written[0].count(b"\n") > 20
    assert not Event.objects.exists()
