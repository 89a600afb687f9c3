"""A live worker that dies at every step: nothing is lost, doubled or sent twice."""

from __future__ import annotations

import os
import signal

import pytest
from django.db import connection, connections

from bots import live, runs, services
from bots.models import Order, Run
from markets.models import SimulatedExecution, SimulatedOrder, SimulatedTransfer
from markets.simulated_money import holdings, wallets
from tests.bots.conftest import MINUTE, START, bars
from tests.bots.test_funding import FIRST, paid, rates, short_bot, swap  # noqa: F401 (fixtures)
from tests.bots.test_live import account, fault, on_book, rows  # noqa: F401 (a fixture)
from tests.bots.test_runs import exact, expected, stored, wandering


class Dying:
    """Kills its own process in the place of a statement: between any two of ours, of the exchange's, or of both."""

    def __init__(self, statements: int) -> None:
        self.left = statements

    def __call__(self, execute, *statement):
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return execute(*statement)


def work_and_die(statements: int) -> bool:
    """A worker process that lives for so many statements; True when it found nothing left to do before."""
    connections.close_all()
    child = os.fork()
    if child == 0:
        try:
            with connection.execute_wrapper(Dying(statements)):
                live.advance_due()
        finally:
            connections.close_all()
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return not os.WIFSIGNALED(status)


def deaths_until_done(most: int) -> int:
    """How many workers died, each a statement later than the one before, until one left nothing to do."""
    deaths = 0
    for statements in range(most):
        if not work_and_die(statements):
            deaths += 1
        elif not live.due().exists():  # an exchange that did not answer ends a turn as well
            return deaths
    return pytest.fail(f"there is something to do after {most} workers")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("count", "faults"), [(40, {}), (12, {"time_out_one_in": 3, "repeat": True})], ids=["calm", "timeouts"]
)
def test_killed_at_every_step_it_trades_as_if_nothing_had_been(bot, close, exchange, count, faults):
    fault(exchange, **faults)
    run, candles = services.start(bot, START), wandering(count)
    close(candles)
    live.advance(run.pk, until=int(candles.time[0]))  # compiled, for all the children
    deaths = 0
    for statements in range(200):
        deaths += not work_and_die(statements)
        if Run.objects.get(pk=run.pk).bar_time == candles.time[-1]:
            break
    assert deaths > 15
    for _ in range(20):
        live.advance_due()
    assert stored(run) == exact(expected(bot, candles))
    assert on_book(run) == rows(run, "open")
    assert SimulatedOrder.objects.count() == Order.objects.filter(run=run).count()
    assert SimulatedExecution.objects.count() == len(stored(run))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("closes", [True, False])
def test_killed_at_every_step_of_a_stop_it_withdraws_and_sells_once(bot, close, exchange, account, closes):  # noqa: F811
    run = services.start(bot, START)
    close(wandering(30)[:22])
    live.advance_due()
    services.stop(bot, close_position=closes)
    close(wandering(30)[22:24])
    deaths = deaths_until_done(90)
    assert deaths > 20
    live.advance_due()
    run.refresh_from_db()
    assert run.status == Run.Status.STOPPED
    assert on_book(run) == rows(run, "open", "pending", "canceling") == set()
    sales = Order.objects.filter(run=run, tag="close")
    assert sales.count() == closes
    assert (run.position == 0) == closes
    held = holdings(exchange, f"a{account.pk}")
    assert {b.currency: b.free for b in account.balances.all() if b.free} == {c: a for c, a in held.items() if a}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("faults", [{}, {"time_out_one_in": 2, "repeat": True}], ids=["calm", "timeouts"])
def test_killed_at_every_step_of_a_run_on_a_swap_it_neither_loses_nor_doubles_money(
    short_bot, close, rates, exchange, account, faults  # noqa: F811
):  # fmt: skip
    """From the transfer of its margin over a payment of funding to the transfer back."""
    rates(0.0005)
    fault(exchange, **faults)
    begin = FIRST - 2 * MINUTE
    candles = bars((100, 100, 99, 100), (100, 101, 98, 99), (99, 99, 97, 98), (98, 98, 98, 98), start=begin)
    run = services.start(short_bot, begin)
    live.kept_engine(run)
    close(candles[:3])
    deaths = deaths_until_done(60)
    for _ in range(10):
        live.advance_due()
    backtest = runs.backtest(run.kind, run.params, run.market, 60, run.allocation, candles[:3])
    run.refresh_from_db()
    assert stored(run) == exact(backtest)
    assert paid(run) == [(p.time, p.rate, p.price, p.position, p.paid) for p in backtest.payments] != []
    assert wallets(exchange, f"a{account.pk}")[f"r{run.pk}"] == {"USDT": run.cash, "SOL": run.position}
    assert holdings(exchange, f"a{account.pk}")["USDT"] == account.balances.get(currency="USDT").free == 9000
    services.stop(short_bot, close_position=True)
    close(candles[3:])
    deaths += deaths_until_done(60)
    for _ in range(10):
        live.advance_due()
    run.refresh_from_db()
    assert deaths > 50
    assert (run.status, run.position) == ("stopped", 0)
    assert holdings(exchange, f"a{account.pk}")["USDT"] == account.balances.get(currency="USDT").free == 9000 + run.cash
    assert set(wallets(exchange, f"a{account.pk}")[f"r{run.pk}"].values()) == {0}
    assert SimulatedTransfer.objects.count() == 2
    assert SimulatedOrder.objects.count() == Order.objects.filter(run=run).count()
