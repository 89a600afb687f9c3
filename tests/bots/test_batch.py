"""The states of a claimed shard side by side: the same engines as one by one."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bots import claims, runs, services
from bots.batch import Batch
from bots.engine.layouts import LAYOUTS
from bots.engine.simulate import step_many
from bots.kinds import KINDS
from bots.models import Bot, Run
from tests.bots.conftest import MINUTE, START, bars
from tests.bots.test_runs import wandering

SPOT = [slug for slug, kind in KINDS.items() if not kind.margin and kind.observe is None]


@pytest.fixture
def shard(bot, account, close):
    """Three runs of every kind, led through some candles."""
    account.balances.update(free=Decimal(100_000))
    for number in range(3 * len(SPOT)):
        kind = KINDS[SPOT[number % len(SPOT)]]
        made = Bot.objects.create(
            owner=bot.owner, account=account, market=bot.market, name=f"Bot {number}", kind=kind.slug, timeframe=60,
            allocation=Decimal(700 + number), params=dict(kind.example),
        )  # fmt: skip
        services.start(made, START)
    close(wandering(40))
    runs.advance_due()
    return list(Run.objects.select_related("bot", "market").order_by("id"))


def test_engines_of_a_batch_are_those_of_their_runs(shard):
    batch = Batch(shard)
    assert batch.faults == {}
    for run in shard:
        alone, together = claims.engine_of(run), batch.engines[run.pk]
        assert together.save() == alone.save()
        assert together.setup.tobytes() == alone.setup.tobytes()


def test_what_lies_side_by_side_is_stepped_where_it_lies(shard):
    batch = Batch(shard)
    engines = [batch.engines[run.pk] for run in shard]
    alone = [claims.engine_of(run) for run in shard]
    candles = wandering(60)[40:]
    stretches = [runs.Stretch(candles)] * len(shard)
    step_many(engines, stretches, batch.laid)
    step_many(alone, stretches)
    assert [engine.save() for engine in engines] == [engine.save() for engine in alone]
    wholes = {id(whole) for _, whole in batch.laid}
    assert all(id(engine.run.base) in wholes for engine in engines)


def test_a_run_is_untouched_when_only_its_time_and_price_moved(shard, close):
    batch = Batch(shard)
    price = float(wandering(40).close[-1])
    still = bars((price, price, price, price), start=START + 40 * MINUTE)
    step_many([batch.engines[run.pk] for run in shard], [runs.Stretch(still)] * len(shard), batch.laid)
    same = batch.untouched()
    for run in shard:
        now = batch.engines[run.pk].save()
        before = bytes(run.state), bytes(run.orders)
        moved = claims.engine_of(run)
        moved.run["time"], moved.run["price"] = batch.engines[run.pk].run["time"], batch.engines[run.pk].run["price"]
        assert (run.pk in same) == (now == moved.save()), (run.kind, before)
    assert len(same) > len(shard) // 2


def test_a_state_of_an_earlier_layout_and_a_broken_one_stand_beside_the_others(shard):
    earlier, broken = shard[0], shard[1]
    states = claims.engine_of(earlier)
    run_dtype, order_dtype = LAYOUTS[1]
    old = [
        records[list(dtype.names)].astype(dtype)
        for records, dtype in ((states.run, run_dtype), (states.orders, order_dtype))
    ]
    old[0]["version"] = 1
    earlier.state, earlier.orders = (records.tobytes() for records in old)
    broken.state = b"broken"
    batch = Batch(shard)
    assert set(batch.faults) == {broken.pk}
    assert batch.engines[earlier.pk].orders.tobytes() == states.orders.tobytes()
    assert set(batch.engines) == {run.pk for run in shard} - {broken.pk}
    assert earlier.pk not in batch.untouched()
