"""The kill switch: everything that trades on some accounts, or on all, is ended in one transaction.

No exchange is asked, so it works while one is down. What was halted stays so until somebody releases it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from bots import guards, rows, services, writes
from bots.models import Account, Bot, Event, Halt, Mode, Order, Run
from bots.outcomes import Outcome, event_row
from orchestrator import notify

# Whatever a run's state or figures are, they must not keep the others from being halted.
FAULTS = (ValueError, ArithmeticError, LookupError, TypeError)


@dataclass(slots=True)
class Halted:
    """What became of the runs that were alive."""

    paused: list[Run] = field(default_factory=list)  # the position is kept, the run can be resumed after a release
    stopped: list[Outcome] = field(default_factory=list)  # the position is sold, the run is over
    unsold: dict[int, str] = field(default_factory=dict)  # of the paused: run -> why its position was not sold

    def __str__(self) -> str:
        words = [f"{_bots(len(self.paused))} paused"] if self.paused or not self.stopped else []
        words += [f"{_bots(len(self.stopped))} stopped and sold"] if self.stopped else []
        unsold = f"; {_bots(len(self.unsold))} could not be sold" if self.unsold else ""
        return ", ".join(words) + unsold


def halt(accounts: QuerySet[Account] | None, who: str, close_positions: bool) -> Halted:
    """Halt accounts, or all there are and will be (None): withdraw every order, let nothing start or resume.

    Bots are paused with their positions, or stopped and their positions sold at the last price; where that cannot be,
    the bot is paused and says why. Waits for what a worker is just storing; what it claims later is halted already.
    """
    with transaction.atomic():
        guards.shut()
        halted = _mark(accounts, f"Halted by {who}.")
        done = Halted()
        for run in _alive(halted, close_positions):
            _decide(done, run, f"Halted by {who}", close_positions)
        writes.write(done.stopped)
        _pause(done, f"Halted by {who}")
        _tell(halted, done, "halted", f"halted by {who}")
    return done


def release(accounts: QuerySet[Account] | None, who: str) -> int:
    """Let bots start and resume again on some accounts, or lift the halt of all (None); how many halts were lifted.

    What was paused stays paused. An account that was halted by itself outlives the halt of all.
    """
    with transaction.atomic():
        if accounts is None:
            count = Halt.objects.all().delete()[0]
            lifted = list(_everyone()) if count else []
        else:
            lifted = list(accounts.exclude(halted_at=None).order_by("pk"))
            count = Account.objects.filter(pk__in=[one.pk for one in lifted]).update(halted_at=None, halted_reason="")
        _record(lifted, Event.Level.INFO, "released", {one.pk: f"released by {who}" for one in lifted})
    return count


def _everyone() -> QuerySet[Account]:
    return Account.objects.exclude(mode=Mode.REPLAY).order_by("pk")


def _mark(accounts: QuerySet[Account] | None, reason: str) -> list[Account]:
    """Write down the halt; an older one keeps its time and reason. Returns the accounts concerned."""
    if accounts is None:
        Halt.objects.get_or_create(pk=1, defaults={"halted_at": timezone.now(), "reason": reason})
        return list(_everyone())
    concerned = list(accounts.exclude(mode=Mode.REPLAY).order_by("pk"))
    fresh = Account.objects.filter(pk__in=[account.pk for account in concerned], halted_at=None)
    fresh.update(halted_at=timezone.now(), halted_reason=reason)
    return concerned


def _alive(accounts: Sequence[Account], close_positions: bool) -> QuerySet[Run]:
    """The runs to be ended, locked: whoever steps one has finished. Paused ones only when they are to be sold."""
    runs = Run.objects.filter(bot__account__in=accounts).exclude(status=Run.Status.STOPPED)
    if not close_positions:
        runs = runs.filter(status=Run.Status.RUNNING).defer("state", "orders")
    return runs.select_related("bot__account", "market").select_for_update(of=("self",)).order_by("pk")


def _decide(done: Halted, run: Run, opening: str, close_positions: bool) -> None:
    if close_positions:
        try:
            done.stopped.append(services.ending(run, True, "halted", opening))
            return
        except FAULTS as error:
            run.refresh_from_db()  # what was booked before the fault is not stored
            done.unsold[run.pk] = f"{str(error)[:1].upper()}{str(error)[1:]}"
    done.paused.append(run)


def _pause(done: Halted, opening: str) -> None:
    """Pause many runs: one statement a table."""
    now, events = timezone.now(), []
    for run in done.paused:
        unsold = done.unsold.get(run.pk, "")
        sentence = f"{opening}: its orders are withdrawn, its position is kept. {unsold}".strip()
        level = Event.Level.WARNING if unsold else Event.Level.INFO
        run.status = Run.Status.PAUSED
        run.bot.status, run.bot.reason, run.bot.updated_at = Bot.Status.PAUSED, sentence[:300], now
        events.append(event_row(run, (level, "halted", sentence, {}), now))
    working = Order.objects.filter(run__in=done.paused, status=Order.Status.OPEN)
    working.update(status=Order.Status.CANCELED, updated_at=now)
    rows.update(done.paused, "status")
    rows.update([run.bot for run in done.paused], "status", "reason", "updated_at")
    Event.objects.bulk_create(events)


def _tell(accounts: Sequence[Account], done: Halted, code: str, what: str) -> None:
    """An Event of each account, with what became of its bots."""
    paused = Counter(run.bot.account_id for run in done.paused)
    sold = Counter(outcome.run.bot.account_id for outcome in done.stopped)
    words = {one.pk: f"{what}: {_bots(paused[one.pk])} paused, {sold[one.pk]} stopped and sold" for one in accounts}
    _record(accounts, Event.Level.WARNING, code, words)


def _record(accounts: Sequence[Account], level: str, code: str, words: dict[int, str]) -> None:
    Event.objects.bulk_create(
        Event(owner_id=one.owner_id, level=level, code=code, message=f"Account {one.name} {words[one.pk]}."[:500])
        for one in accounts
    )
    notify.changed(notify.user_topic(one.owner_id) for one in accounts)
    bots = Bot.objects.filter(account__in=accounts).values_list("owner_id", "pk")
    notify.changed(notify.bot_topic(owner, pk) for owner, pk in bots)


def _bots(count: int) -> str:
    return f"{count} {'bot' if count == 1 else 'bots'}"
