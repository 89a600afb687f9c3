from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from markets.models import Exchange, Market
from markets.series import Candles

# The first call of a compiled function compiles it: no limit per example.
settings.register_profile("markets", deadline=None)
settings.load_profile("markets")

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def real_candles(name: str) -> Candles:
    """Candles of a file of real data beside the project; skips the test where there is none."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"real candles {name} are not beside the project")
    with gzip.open(path, "rt") as file:
        reader = csv.reader(file)
        next(reader)
        return Candles.from_rows((int(row[0]), *map(float, row[1:])) for row in reader)


def made_candles(count: int, start: int = 1_700_000_040_000, timeframe: int = 60, seed: int = 1) -> Candles:
    """Consistent candles of a random walk; the same for the same arguments."""
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.001, count)))
    open_ = np.concatenate([[100.0], close[:-1]])
    wick = np.abs(random.normal(0, 0.1, (2, count)))
    time = start - start % (timeframe * 1000) + np.arange(count, dtype=np.int64) * timeframe * 1000
    high, low = np.maximum(open_, close) + wick[0], np.minimum(open_, close) - wick[1]
    return Candles(time, open_, high, low, close, random.gamma(2.0, 1.0, count))


@pytest.fixture
def exchange(db):
    return Exchange.objects.create(slug="test", name="Test", ccxt_id="simulated", ccxt_config={"seed": 42})


@pytest.fixture
def market(exchange):
    return Market.objects.create(
        exchange=exchange, symbol="BTC/USDT", base="BTC", quote="USDT", tick="0.01", lot="0.00001"
    )


@pytest.fixture
def other_market(exchange):
    return Market.objects.create(
        exchange=exchange, symbol="ETH/USDT", base="ETH", quote="USDT", tick="0.01", lot="0.0001"
    )
