"""The money adds up whatever is done, by however many at once; and each change is told."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest
from django.db import connection, connections, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bots import runs, services
from bots.bars import STORED
from bots.models import Bot, Run, Trade
from bots.services import Refused
from orchestrator import notify
from tests.bots.conftest import GRID, MINUTE, START, bars
from tests.bots.test_services import MONEY, PASS, free, refused

SECONDS = 10


def held(bot: Bot, name: str) -> Decimal:
    return sum(Run.objects.filter(bot=bot).exclude(status="stopped").values_list(name, flat=True), Decimal(0))


ACTS = st.lists(
    st.tuples(st.sampled_from(["start", "pause", "resume", "keep", "sell", "candles"]), st.integers(0, 1)),
    max_size=14,
)
DO = {
    "start": lambda bot: services.start(bot, START),
    "pause": services.pause,
    "resume": services.resume,
    "keep": lambda bot: services.stop(bot, close_position=False),
    "sell": lambda bot: services.stop(bot, close_position=True),
}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS)
def test_no_sequence_of_acts_makes_or_loses_money(bot, account, close, acts):
    """Account and bots together: what came in, less what the trades spent and their fees, to the last unit."""
    with transaction.atomic():
        other = Bot.objects.create(
            owner=bot.owner, account=account, market=bot.market, name="Other", kind="grid", timeframe=60,
            allocation=Decimal("9500.5"), params=GRID,
        )  # fmt: skip
        for act, which in acts:
            play(act, (bot, other)[which], close)
            total = {"USDT": MONEY, "SOL": Decimal(0)}
            for trade in Trade.objects.all():
                sign = 1 if trade.side == "buy" else -1
                total["SOL"] += sign * trade.amount
                total["USDT"] -= sign * trade.amount * trade.price + trade.fee
            assert free(account) + held(bot, "cash") + held(other, "cash") == total["USDT"]
            assert free(account, "SOL") + held(bot, "position") + held(other, "position") == total["SOL"]
            assert all(balance.free >= 0 for balance in account.balances.all())
        transaction.set_rollback(True)


def play(act: str, bot: Bot, close) -> None:
    """Do it, or be refused."""
    if act != "candles":
        with suppress(Refused):
            DO[act](bot)
        return
    run = Run.objects.filter(bot=bot).exclude(status="stopped").first()
    close(bars(*PASS, start=run.bar_time + MINUTE if run else START))
    runs.advance_due()


def test_two_bots_never_spend_the_same_balance(bot, account):
    other = Bot.objects.create(
        owner=bot.owner, account=account, market=bot.market, name="Other", kind="grid", timeframe=60,
        allocation=Decimal("9000.000000000000000001"), params=GRID,
    )  # fmt: skip
    services.start(bot)
    assert "more than account Paper has free" in refused(services.start, other)


def at_once(*acts) -> list:
    """What each act returned or raised, all begun together, each on its own connection."""
    together, results = threading.Barrier(len(acts)), [None] * len(acts)

    def work(index: int, act) -> None:
        together.wait(SECONDS)
        try:
            results[index] = act()
        except Refused as error:
            results[index] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()
    return results


@pytest.mark.django_db(transaction=True)
def test_of_two_starts_at_once_one_starts(bot, account):
    results = at_once(*[lambda: services.start(bot)] * 2)
    assert sorted(type(result).__name__ for result in results) == ["Refused", "Run"]
    assert "Grid is running already." in map(str, results)
    assert Run.objects.count() == 1
    assert free(account) == MONEY - 1000


@pytest.mark.django_db(transaction=True)
def test_bots_started_at_once_share_the_money_without_spending_it_twice(bot, account):
    others = [
        Bot.objects.create(
            owner=bot.owner, account=account, market=bot.market, name=f"Other {n}", kind="grid", timeframe=60,
            allocation=Decimal(4000), params=GRID,
        )
        for n in range(4)
    ]  # fmt: skip
    results = at_once(*[lambda each=each: services.start(each) for each in others])
    assert sorted(type(result).__name__ for result in results) == ["Refused", "Refused", "Run", "Run"]
    assert free(account) == MONEY - 8000


@pytest.mark.django_db(transaction=True)
def test_of_two_stops_at_once_one_pays_out(bot, account):
    services.start(bot)
    results = at_once(*[lambda: services.stop(bot, close_position=False)] * 2)
    assert sorted(map(str, results)) == ["Grid is not running.", "None"]
    assert free(account) == MONEY


@pytest.mark.django_db(transaction=True)
def test_a_stop_waits_for_the_worker_that_has_the_run_and_sells_what_it_bought(bot, account, close):
    run = services.start(bot, START)
    close(bars(*PASS))
    stopped = threading.Event()

    def stop() -> None:
        try:
            services.stop(bot, close_position=True)
            stopped.set()
        finally:
            connections.close_all()

    with transaction.atomic():
        runs.advance(runs.due(), STORED)
        thread = threading.Thread(target=stop)
        thread.start()
        wait_for_lock()
        assert not stopped.is_set()
    thread.join(SECONDS)
    assert stopped.is_set()
    run.refresh_from_db()
    trades = list(run.trades.order_by("number"))
    assert (run.status, run.position, run.trades_count) == ("stopped", 0, len(trades))
    assert trades[-1].tag == "close"
    assert free(account) == MONEY - 1000 + run.cash


def wait_for_lock() -> None:
    """Until a connection of this database waits for a lock: seen by a connection of its own, at most ten seconds."""
    deadline = timezone.now() + timedelta(seconds=SECONDS)
    with psycopg.connect(**connection.get_connection_params() | {"autocommit": True}) as watcher:
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        while not watcher.execute(waiting).fetchone()[0]:
            assert timezone.now() < deadline


@pytest.mark.django_db(transaction=True)
def test_each_change_is_told_to_the_owner_s_topic_once_it_is_committed(bot):
    with psycopg.connect(**connection.get_connection_params() | {"autocommit": True}) as listener:
        listener.execute(f"LISTEN {notify.CHANNEL}")
        for act in ("start", "pause", "resume", "keep"):
            with transaction.atomic():
                DO[act](bot)
                assert not list(listener.notifies(timeout=0))
            told = [note.payload for note in listener.notifies(timeout=SECONDS, stop_after=1)]
            assert set(told) == {f"user:{bot.owner_id}/bot:{bot.pk}"}
