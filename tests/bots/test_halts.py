"""The kill switch: everything is ended at once, nothing starts beside it, and it stays so until it is released."""

from __future__ import annotations

import threading
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import IntegrityError, connection, connections, transaction

from bots import halts, runs, services
from bots.bars import StoredBars
from bots.models import Account, Balance, Bot, Event, Halt, Order, Run, Trade
from bots.services import Refused
from markets.models import Exchange, Market
from tests.bots.conftest import GRID, MINUTE, START, bars
from tests.bots.test_money import wait_for_lock
from tests.bots.test_races import assert_money_adds_up
from tests.bots.test_runs import wandering

PASS = ((100, 101, 99, 100), (100, 100, 91, 92), (92, 104, 92, 104), (104, 104, 97, 98))


def make_bot(account, market, name, allocation=1000) -> Bot:
    return Bot.objects.create(
        owner=account.owner, account=account, market=market, name=name, kind="grid", timeframe=60,
        allocation=Decimal(allocation), params=GRID,
    )  # fmt: skip


def only(account):
    return Account.objects.filter(pk=account.pk)


@pytest.fixture
def other(account):
    """A second account of the same owner."""
    return services.open_paper_account(account.owner, "Other", account.exchange, {"USDT": Decimal(10_000)})


@pytest.fixture
def trading(bot, close):
    """The bot's run after a few trades, holding a position."""
    run = services.start(bot, START)
    close(bars(*PASS))
    runs.advance_due()
    run.refresh_from_db()
    assert run.position > 0
    return run


def reread(*rows):
    for row in rows:
        row.refresh_from_db()


def refused(act, *arguments) -> str:
    with pytest.raises(Refused) as caught:
        act(*arguments)
    return str(caught.value)


def test_halting_withdraws_every_order_and_keeps_positions(bot, account, trading, close):
    cash, position = trading.cash, trading.position
    done = halts.halt(only(account), "ann", close_positions=False)
    assert str(done) == "1 bot paused"
    reread(bot, trading, account)
    assert (bot.status, trading.status) == ("paused", "paused")
    assert bot.reason == "Halted by ann: its orders are withdrawn, its position is kept."
    assert (trading.cash, trading.position) == (cash, position)
    assert not Order.objects.filter(status="open").exists()
    assert account.halted_reason == "Halted by ann."
    assert account.halted_at is not None
    close(bars(*PASS, start=START + 4 * MINUTE))
    assert runs.advance_due() == 0


def test_it_is_told_of_each_bot_and_each_account(bot, account, other, trading):
    halts.halt(Account.objects.filter(owner=account.owner), "ann", close_positions=False)
    assert bot.events.order_by("-id")[0].code == "halted"
    assert list(Event.objects.filter(bot=None).order_by("id").values_list("level", "code", "message")) == [
        ("warning", "halted", "Account Paper halted by ann: 1 bot paused."),
        ("warning", "halted", "Account Other halted by ann: 0 bots paused."),
    ]


def test_positions_can_be_sold_at_the_last_price(bot, account, trading):
    Market.objects.update(last=103.0)
    done = halts.halt(only(account), "ann", close_positions=True)
    assert str(done) == "1 bot stopped and sold"
    reread(bot, trading)
    assert (bot.status, trading.status, trading.position) == ("stopped", "stopped", 0)
    assert bot.reason == "Halted by ann: its orders are withdrawn, its position is sold."
    assert Trade.objects.filter(run=trading).order_by("-number")[0].price == 103
    assert_money_adds_up(account)


def test_a_paused_bot_is_sold_too_and_without_selling_left_alone(bot, account, trading):
    services.pause(bot, by="ann")
    halts.halt(only(account), "boss", close_positions=False)
    reread(bot)
    assert bot.reason == "Paused by ann: its orders are withdrawn, its position is kept."
    halts.halt(only(account), "boss", close_positions=True)
    reread(bot)
    assert (bot.status, Balance.objects.filter(currency="SOL").exists()) == ("stopped", False)


def test_a_bot_that_cannot_be_sold_is_paused_says_why_and_holds_back_no_other(bot, account, market, trading, feed):
    fine = make_bot(account, market, "Fine")
    services.start(fine, START)
    runs.advance_due()
    Run.objects.filter(pk=trading.pk).update(state=b"no state")
    done = halts.halt(None, "boss", close_positions=True)
    assert str(done) == "1 bot paused, 1 bot stopped and sold; 1 bot could not be sold"
    reread(bot, fine, trading)
    assert (bot.status, fine.status) == ("paused", "stopped")
    assert bot.reason.startswith("Halted by boss: its orders are withdrawn, its position is kept. Grid cannot go on: ")
    assert trading.position > 0
    assert bot.events.filter(code="halted", level="warning").exists()
    assert not Order.objects.filter(status="open").exists()


def test_bots_that_were_paused_before_are_not_taken_for_those_paused_now(bot, account, market, trading):
    before = make_bot(account, market, "Before")
    services.start(before, START)
    services.pause(before)
    Run.objects.filter(pk=trading.pk).update(state=b"no state")
    done = halts.halt(only(account), "ann", close_positions=True)
    assert str(done) == "1 bot paused, 1 bot stopped and sold; 1 bot could not be sold"


def test_without_a_price_the_position_is_kept_and_the_bot_says_so(bot, account, trading):
    Market.objects.update(last=None)
    Run.objects.update(last_price=None)
    halts.halt(only(account), "ann", close_positions=True)
    reread(bot)
    assert bot.status == "paused"
    assert "its position is kept. SOL/USDT has no price yet" in bot.reason


def test_it_works_while_the_exchange_is_down(bot, account, trading):
    """No gateway can be made of this exchange: whoever asked it would be refused."""
    Exchange.objects.update(ccxt_id="file")
    halts.halt(None, "boss", close_positions=True)
    reread(bot)
    assert bot.status == "stopped"


def test_while_halted_nothing_starts_or_resumes_and_the_refusal_is_an_event(bot, account, market, trading):
    halts.halt(only(account), "ann", close_positions=False)
    idle = make_bot(account, market, "Idle")
    sentence = refused(services.start, idle)
    assert sentence.startswith("Account Paper is halted since 20")
    assert sentence.endswith(" UTC. Halted by ann.")
    assert refused(services.resume, bot) == sentence
    assert [event.message for event in Event.objects.filter(code="refused").order_by("id")] == [sentence] * 2
    assert not idle.runs.exists()
    services.stop(bot, close_position=False)


def test_other_accounts_go_on(bot, account, other, market, trading):
    apart = make_bot(other, market, "Apart")
    services.start(apart, START)
    halts.halt(only(account), "ann", close_positions=True)
    reread(apart)
    assert apart.status == "running"


def test_halting_all_holds_for_accounts_made_afterwards_too(bot, account, market, trading):
    halts.halt(None, "boss", close_positions=False)
    reread(account)
    assert account.halted_at is None
    late = services.open_paper_account(account.owner, "Late", account.exchange, {"USDT": Decimal(5000)})
    assert refused(services.start, make_bot(late, market, "Late")).startswith("All accounts are halted since 20")


def test_halting_twice_keeps_the_first_time_and_reason(account, bot):
    for who in ("ann", "bob"):
        halts.halt(only(account), who, close_positions=False)
        halts.halt(None, who, close_positions=False)
    reread(account)
    assert (account.halted_reason, Halt.objects.get().reason) == ("Halted by ann.", "Halted by ann.")


def test_a_release_lets_bots_start_again_and_says_who(bot, account, trading):
    halts.halt(only(account), "ann", close_positions=False)
    assert halts.release(only(account), "bob") == 1
    reread(account, bot)
    assert (account.halted_at, account.halted_reason, bot.status) == (None, "", "paused")
    assert Event.objects.filter(bot=None).order_by("-id")[0].message == "Account Paper released by bob."
    services.resume(bot)
    assert halts.release(only(account), "bob") == 0


def test_an_account_that_was_halted_by_itself_outlives_the_halt_of_all(bot, account):
    halts.halt(only(account), "ann", close_positions=False)
    halts.halt(None, "boss", close_positions=False)
    halts.release(None, "boss")
    assert not Halt.objects.exists()
    assert refused(services.start, bot).startswith("Account Paper is halted")


def test_one_that_was_killed_halfway_leaves_nothing_done(bot, account, trading):
    with transaction.atomic():
        halts.halt(None, "boss", close_positions=True)
        transaction.set_rollback(True)
    reread(bot, trading)
    assert (bot.status, Halt.objects.exists(), Trade.objects.count()) == ("running", False, trading.trades_count)


@pytest.mark.django_db(transaction=True)
def test_when_selling_breaks_off_everything_is_paused_already(bot, account, trading):
    """The books cannot be stored: the database itself refuses the balance."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE bots_balance ADD CONSTRAINT no_more CHECK (free <= 9000)")
    try:
        with pytest.raises(IntegrityError):
            halts.halt(None, "boss", close_positions=True)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE bots_balance DROP CONSTRAINT no_more")
    reread(bot, trading)
    assert (bot.status, trading.status, Halt.objects.exists()) == ("paused", "paused", True)
    assert not Order.objects.filter(status="open").exists()
    assert str(halts.halt(None, "boss", close_positions=True)) == "1 bot stopped and sold"


def test_many_bots_cost_no_more_statements_than_one(bot, account, market, django_assert_num_queries):
    """1 savepoint, 2 gate, 3 accounts, 4 mark, 5 runs, 6 orders, 7 run rows, 8 bot rows, 9 bot events,
    10 account events, 11 notify accounts, 12 bots, 13 notify bots, 14 release of the savepoint.
    """
    for number in range(8):
        services.start(make_bot(account, market, f"Grid {number}"), START)
    with django_assert_num_queries(14):
        halts.halt(only(account), "ann", close_positions=False)


# --- two at once -----------------------------------------------------------------------------------------------------


def together(*acts):
    """Run acts in threads of their own, begun at one moment; their exceptions."""
    ready, faults = threading.Barrier(len(acts)), []

    def work(act):
        ready.wait()
        try:
            act()
        except Refused:
            pass
        except Exception as fault:  # a thread's exception would be lost
            faults.append(fault)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=[act]) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return faults


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_holds_the_run_finishes_first_and_then_has_it_no_more(bot, account, close):
    """The halt waits for the stretch that is being stored; the next one is not stepped any more."""
    run = services.start(bot, START)
    close(wandering()[:40])
    held, go = threading.Event(), threading.Event()

    class SlowBars(StoredBars):
        def after(self, marks):
            held.set()
            assert go.wait(60)
            return super().after(marks)

    def work():
        runs.advance(runs.due(), SlowBars())
        close(wandering()[40:80])
        runs.advance_due()

    def halt():
        assert held.wait(60)
        halts.halt(None, "boss", close_positions=False)

    def let_go():
        assert held.wait(60)
        wait_for_lock()
        go.set()

    assert together(work, halt, let_go) == []
    reread(run, bot)
    assert (run.status, bot.status) == ("paused", "paused")
    assert run.bar_time == wandering().time[39]
    assert Trade.objects.filter(run=run).count() == run.trades_count
    assert not Order.objects.filter(status="open").exists()
    assert runs.advance_due() == 0


@pytest.mark.django_db(transaction=True)
def test_nothing_that_starts_or_steps_at_the_same_moment_slips_through(owner, account, market, close):
    for round_ in range(6):
        bots = [make_bot(account, market, f"Grid {round_} {n}", 500) for n in range(3)]
        late = services.open_paper_account(owner, f"Late {round_}", account.exchange, {"USDT": Decimal(500)})
        bots.append(make_bot(late, market, f"Late {round_}", 500))
        services.start(bots[0], START)
        close(wandering()[: 40 * (round_ + 1)])
        sell = bool(round_ % 2)
        assert (
            together(
                lambda bots=bots: services.start(bots[1], START),
                lambda bots=bots: services.start(bots[2], START),
                lambda bots=bots: services.start(bots[3], START),
                lambda sell=sell: halts.halt(None, "boss", sell),
                runs.advance_due,
            )
            == []
        )
        assert not Run.objects.filter(status="running").exists()
        assert not Bot.objects.filter(status="running").exists()
        assert not Order.objects.filter(status="open").exists()
        assert runs.advance_due() == 0
        halts.release(None, "boss")
        for bot in Bot.objects.filter(status="paused"):
            services.stop(bot, close_position=True)


# --- the command -----------------------------------------------------------------------------------------------------


def command(capsys, *arguments) -> str:
    call_command("halt", *arguments)
    return capsys.readouterr().out


def test_the_command_halts_all_and_releases(bot, trading, capsys):
    assert command(capsys) == "Halted: 1 bot paused.\n"
    reread(bot)
    assert bot.reason.startswith("Halted by the command line: ")
    assert command(capsys, "--release") == "Released: bots can be started and resumed.\n"
    assert command(capsys, "--release") == "Nothing to release: it was not halted.\n"


def test_the_command_takes_one_account_and_sells(bot, account, other, trading, capsys):
    assert command(capsys, "--account", "Paper", "--close-positions") == "Halted: 1 bot stopped and sold.\n"
    reread(account, other)
    assert account.halted_at is not None
    assert other.halted_at is None
    assert command(capsys) == "Halted: 0 bots paused.\n"
    assert command(capsys, "--account", "ann/Paper", "--release") == (
        "Released, but all accounts are halted: release them without --account.\n"
    )


def test_the_command_names_what_it_could_not_sell_and_what_stays_halted(bot, account, trading, capsys):
    Market.objects.update(min_cost=1_000_000)
    halts.halt(only(account), "ann", close_positions=False)
    told = command(capsys, "--close-positions")
    assert "Grid: The position cannot be closed: cost must be at least 1000000, not " in told
    assert command(capsys, "--release").endswith("ann/Paper stays halted: Halted by ann.\n")


def test_the_command_refuses_in_a_sentence(bot, account, exchange, django_user_model):
    services.open_paper_account(django_user_model.objects.create(username="bob"), "Paper", exchange, {})
    for arguments, sentence in (
        (["--account", ""], "--account must name an account, not ''."),
        (["--account", "Gone"], "--account must name an account, not 'Gone'."),
        (["--account", "Paper"], "--account must be one of ann/Paper, bob/Paper, not 'Paper'."),
        (["--release", "--close-positions"], "--close-positions does not go with --release: a release sells nothing."),
    ):
        with pytest.raises(CommandError) as caught:
            call_command("halt", *arguments)
        assert (str(caught.value), caught.value.returncode) == (sentence, 2)
    assert not Halt.objects.exists()
