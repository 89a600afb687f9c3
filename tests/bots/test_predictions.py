"""The door to stored predictions."""

from __future__ import annotations

import numpy as np
import pytest
from django.db import IntegrityError, connection
from django.db.migrations.executor import MigrationExecutor

from bots import predictions, retention
from bots.models import Prediction
from bots.predictions import Series
from tests.bots.conftest import MINUTE, START


@pytest.fixture
def series(market):
    return Series(market.pk, 60, "logistic")


def times(*minutes: int) -> np.ndarray:
    return START + MINUTE * np.array(minutes, np.int64)


def rows() -> list[tuple[int, float]]:
    return list(Prediction.objects.order_by("time").values_list("time", "value"))


def test_what_is_stored_comes_back_to_the_last_bit(series):
    values = np.random.default_rng(1).random(500)
    assert predictions.upsert(series, times(*range(500)), values) == 500
    assert predictions.load(series, times(*range(500))).tobytes() == values.tobytes()


def test_where_there_is_none_it_is_not_known_and_never_an_older_one(series):
    predictions.upsert(series, times(1, 3), np.array([0.25, 0.75]))
    found = predictions.load(series, times(0, 1, 2, 3, 4))
    assert np.isnan(found).tolist() == [True, False, True, False, True]
    assert found[[1, 3]].tolist() == [0.25, 0.75]
    assert predictions.load(series, times()).size == 0


def test_predictions_are_of_their_market_timeframe_and_model(series):
    predictions.upsert(series, times(1), np.array([0.25]))
    for other in (series._replace(timeframe=300), series._replace(model="other"), series._replace(market=0)):
        assert np.isnan(predictions.load(other, times(1))).all()


def test_the_same_again_writes_nothing_and_a_new_value_replaces(series):
    first, second = np.array([0.1, 0.2, np.nan]), np.array([0.1, 0.3, 0.4])
    assert predictions.upsert(series, times(0, 1, 2), first) == 2
    assert predictions.upsert(series, times(0, 1, 2), first) == 0
    assert predictions.upsert(series, times(0, 1, 2), second) == 2
    assert [value for _, value in rows()] == second.tolist()
    assert predictions.upsert(series, times(0), np.array([np.nan])) == 0


@pytest.mark.parametrize("value", [-0.1, 1.1, np.inf])
def test_what_is_no_probability_is_refused(series, value):
    with pytest.raises(ValueError, match=r"predictions must be from 0 to 1, not "):
        predictions.upsert(series, times(0), np.array([value]))
    with pytest.raises(IntegrityError, match="prediction_probability"):
        Prediction.objects.create(market_id=series.market, timeframe=60, model="m", time=0, value=value)


def test_reading_a_series_is_one_read_of_its_key(series):
    predictions.upsert(series, times(*range(100)), np.full(100, 0.5))
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan TO off")
        cursor.execute(
            "EXPLAIN SELECT time, value FROM bots_prediction WHERE market_id = 1 AND timeframe = 60 "
            "AND model = 'logistic' AND time BETWEEN 0 AND 10"
        )
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "bots_prediction_pkey" in plan


@pytest.mark.django_db(transaction=True)
def test_the_migration_can_be_taken_back():
    MigrationExecutor(connection).migrate([("bots", "0004_funding")])
    assert "bots_prediction" not in connection.introspection.table_names()
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    assert "bots_prediction" in connection.introspection.table_names()


def test_old_ones_go_with_their_candles(series, feed):
    feed.keep_days, feed.synced_to = 1, START + 2 * 86_400_000
    feed.save()
    predictions.upsert(series, times(0, 1440, 1441), np.full(3, 0.5))
    predictions.upsert(series._replace(timeframe=300), times(0), np.full(1, 0.5))
    assert retention.apply() == 1
    assert [time for time, _ in rows()] == [START, *times(1440, 1441).tolist()]
