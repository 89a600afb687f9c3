"""Set-based updates: many rows, one statement, every type as its column holds it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from bots import rows, services
from bots.models import Bot, Run
from tests.bots.conftest import GRID, START

FIELDS = ("cash", "position", "equity", "trades_count", "last_price", "state", "reason", "stopped_at", "bar_time")
VALUES = {
    "cash": Decimal("12345678901234567890.123456789012345678"),
    "position": Decimal("-0.000000000000000001"),
    "equity": Decimal(0),
    "trades_count": 2_000_000_000,
    "last_price": 0.1 + 0.2,
    "state": bytes(range(256)),
    "reason": "it's “100 %” {done}\n\\N",
    "stopped_at": datetime(2024, 2, 29, 23, 59, 59, 999_999, UTC),
    "bar_time": 2**62,
}


@pytest.fixture
def made(bot, account):
    """Three runs of three bots."""
    bots = [
        Bot.objects.create(
            owner=bot.owner, account=account, market=bot.market, name=name, kind="grid", timeframe=60,
            allocation=Decimal(1000), params=GRID,
        )
        for name in "abc"
    ]  # fmt: skip
    return [services.start(each, START) for each in bots]


def stored(run: Run, names=FIELDS) -> dict:
    row = Run.objects.get(pk=run.pk)
    return {name: bytes(row.state) if name == "state" else getattr(row, name) for name in names}


def test_values_of_every_type_arrive_exactly(made):
    for name, value in VALUES.items():
        setattr(made[0], name, value)
    rows.update(made[:1], *FIELDS)
    assert stored(made[0]) == VALUES


def test_null_is_written_where_it_is_allowed(made):
    made[0].last_price, made[0].stopped_at = None, None
    made[1].last_price = 5.0
    rows.update(made[:2], "last_price", "stopped_at")
    assert stored(made[0], ("last_price", "stopped_at")) == {"last_price": None, "stopped_at": None}
    assert stored(made[1], ("last_price",)) == {"last_price": 5.0}


def test_each_row_gets_its_own_values_and_only_the_named_fields_change(made):
    before = stored(made[2])
    for index, run in enumerate(made[:2]):
        run.cash, run.reason = Decimal(index), f"not named {index}"
    rows.update(made[:2], "cash")
    assert [stored(run, ("cash", "reason")) for run in made[:2]] == [{"cash": n, "reason": ""} for n in (0, 1)]
    assert stored(made[2]) == before


def test_many_rows_are_one_statement(made, django_assert_num_queries):
    # UPDATE … FROM unnest
    with django_assert_num_queries(1):
        rows.update(made, *FIELDS)


def test_no_rows_are_no_statement(made, django_assert_num_queries):
    with django_assert_num_queries(0):
        rows.update([], "cash")
