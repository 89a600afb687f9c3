"""The kill switch: nothing trades any more on some accounts, or on all, after one transaction.

No exchange is asked, so it works while one is down. What was halted stays so until somebody releases it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from bots import guards, rows, services, writes
from bots.models import Account, Bot, Event, Halt, Mode, Run
from bots.outcomes import event_row
from orchestrator import notify

# Whatever a run's state or figures are, they must not keep the others from being halted.
FAULTS = (ValueError, ArithmeticError, LookupError, TypeError)
SHARD = 200  # runs sold in one transaction


@dataclass(slots=True)
class Halted:
    """What became of the runs that were alive."""

    paused: dict[int, int] = field(default_factory=dict)  # with their positions: run -> account
    sold: int = 0  # these runs are over
    unsold: dict[int, str] = field(default_factory=dict)  # run -> which bot was not sold, and why

    def __str__(self) -> str:
        words = [f"{_bots(len(self.paused))} paused"] if self.paused or not self.sold else []
        words += [f"{_bots(self.sold)} stopped and sold"] if self.sold else []
        unsold = f"; {_bots(len(self.unsold))} could not be sold" if self.unsold else ""
        return ", ".join(words) + unsold


def halt(accounts: QuerySet[Account] | None, who: str, close_positions: bool) -> Halted:
    """Halt accounts, or all there are and will be (None): withdraw every order, let nothing start or resume.

    One transaction pauses all bots. Then, when asked for, positions are sold at the last price and their bots stopped,
    shard by shard: whatever fails or dies there, nothing trades any more. A bot that cannot be sold says why. Waits for
    what a worker is just storing; what it claims later is halted already.
    """
    done = Halted()
    with transaction.atomic():
        guards.shut()
        halted = _mark(accounts, f"Halted by {who}.")
        _pause(done, list(_alive(halted).filter(status=Run.Status.RUNNING)), f"Halted by {who}")
        _record(halted, Event.Level.WARNING, "halted", _told(halted, done, who))
    if close_positions:
        left = list(_alive(halted, locked=False).filter(status=Run.Status.PAUSED).values_list("pk", flat=True))
        for start in range(0, len(left), SHARD):
            _sell(done, left[start : start + SHARD], f"Halted by {who}")
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


def pause_deactivated() -> Halted:
    """Pause the bots that run for users who are not active; they can be resumed when these are active again.

    The admin does so in the transaction that clears the flag. A worker does at the begin of every cycle, so none is led
    on for long whatever else has cleared it.
    """
    done = Halted()
    # Three steps, as PostgreSQL takes milliseconds for one over all three tables, and most often the first says it all.
    users = list(get_user_model().objects.filter(is_active=False).values_list("pk", flat=True))
    bots = list(Bot.objects.filter(owner__in=users, status=Bot.Status.RUNNING).order_by().values_list("pk", flat=True))
    if bots:
        with transaction.atomic():
            guards.shut()
            running = Run.objects.filter(bot__in=bots, status=Run.Status.RUNNING).order_by("pk")
            runs = list(running.select_related("bot__account", "market").select_for_update(of=("self",)))
            _pause(done, runs, "Paused, as its user is not active any more")
            notify.changed(notify.bot_topic(run.bot.owner_id, run.bot_id) for run in runs)
    return done


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


def _alive(accounts: Sequence[Account], locked: bool = True) -> QuerySet[Run]:
    """The runs that are not over. Locked: whoever steps one has finished."""
    runs = Run.objects.filter(bot__account__in=accounts).exclude(status=Run.Status.STOPPED).order_by("pk")
    return runs.select_related("bot__account", "market").select_for_update(of=("self",)) if locked else runs


def _pause(done: Halted, runs: Sequence[Run], opening: str) -> None:
    """Pause many runs: one statement a table."""
    now, events = timezone.now(), []
    sentence = f"{opening}: its orders are withdrawn, its position is kept."
    for run in runs:
        run.status = Run.Status.PAUSED
        run.bot.status, run.bot.reason, run.bot.updated_at = Bot.Status.PAUSED, sentence, now
        events.append(event_row(run, (Event.Level.INFO, "halted", sentence, {}), now))
        done.paused[run.pk] = run.bot.account_id
    services.withdraw(runs)
    rows.update(runs, "status")
    rows.update([run.bot for run in runs], "status", "reason", "updated_at")
    Event.objects.bulk_create(events)


@transaction.atomic
def _sell(done: Halted, ids: Sequence[int], opening: str) -> None:
    """Stop paused runs and sell what they hold; what was released and resumed meanwhile goes on."""
    outcomes, unsold = [], []
    runs = Run.objects.filter(pk__in=ids, status=Run.Status.PAUSED).order_by("pk")
    for run in runs.select_related("bot__account", "market").select_for_update(of=("self",)):
        try:
            if run.mode == Mode.LIVE:
                services.end_live(run, True, opening)
            else:
                outcomes.append(services.ending(run, True, "halted", opening))
        except FAULTS as error:
            unsold.append(_unsold(done, run, opening, str(error)))
            continue
        done.sold += 1
        done.paused.pop(run.pk, None)
    writes.write(outcomes)
    rows.update([event.bot for event in unsold if event.bot], "reason", "updated_at")
    Event.objects.bulk_create(unsold)


def _unsold(done: Halted, run: Run, opening: str, why: str) -> Event:
    """The Event of a bot that stays paused as it cannot be sold; its reason says so too."""
    run.refresh_from_db()  # what was booked before the fault is not stored
    why = f"{why[:1].upper()}{why[1:]}"
    done.unsold[run.pk] = f"{run.bot.name}: {why}"
    sentence = f"{opening}: its orders are withdrawn, its position is kept. {why}"
    run.bot.reason, run.bot.updated_at = sentence[:300], timezone.now()
    event = event_row(run, (Event.Level.WARNING, "halted", sentence, {}), timezone.now())
    event.bot = run.bot
    return event


def _told(accounts: Sequence[Account], done: Halted, who: str) -> dict[int, str]:
    paused = Counter(done.paused.values())
    return {one.pk: f"halted by {who}: {_bots(paused[one.pk])} paused" for one in accounts}


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
