"""What is asked before a bot may start or go on: is its account halted, and has it room for one more?

Whoever starts or resumes holds the gate open, shared with all others who do; whoever halts shuts it and has it alone.
So a halt sees every run that came before it, and nothing starts beside it, in accounts that are made meanwhile too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from bots import limits
from bots.kinds import KINDS
from bots.models import Account, Bot, Event, Halt, Position, Run
from orchestrator import notify

GATE = 0x68616C74  # key of the advisory lock


class Refused(ValueError):
    """What was asked is not possible now; the message is a sentence for the person who asked."""


class Guarded(Refused):
    """Refused to protect the account; recorded as an Event of the bot."""


@contextmanager
def recorded(bot: Bot) -> Iterator[None]:
    """Record a refusal that protects the account, after everything else was rolled back."""
    try:
        yield
    except Guarded as refusal:
        owner = Bot.objects.values_list("owner", flat=True).get(pk=bot.pk)
        Event.objects.create(
            owner_id=owner, bot=bot, level=Event.Level.WARNING, code="refused", message=str(refusal)[:500]
        )
        notify.changed([notify.bot_topic(owner, bot.pk)])
        raise


def enter(bot: Bot) -> Account:
    """The bot's account, locked until the transaction ends, through the gate. Raises Refused for one that is gone.

    Two that start at once on one account come one after the other, so that the second sees what the first took.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [GATE])
    accounts = Account.objects.select_related("owner").select_for_update(no_key=True, of=("self",))
    account = accounts.filter(bots=bot).first()
    if account is None:
        raise Refused(f"{bot.name} was deleted.")
    return account


def shut() -> None:
    """Wait for those who are starting something, and keep others out until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [GATE])


def require_open(account: Account) -> None:
    """Raises Refused while the account's owner is not active, Guarded while it is halted, or all are."""
    if not account.owner.is_active:
        raise Refused(f"{account.owner} is not an active user; bots start and go on for active users only.")
    if sentence := halted(account, Halt.objects.first()):
        raise Guarded(sentence)


def halted(account: Account, everywhere: Halt | None) -> str:
    """Since when and why an account is halted; "" when it is not."""
    if everywhere is not None:
        return f"All accounts are halted since {everywhere.halted_at:%Y-%m-%d %H:%M} UTC. {everywhere.reason}"
    if account.halted_at is not None:
        return f"Account {account.name} is halted since {account.halted_at:%Y-%m-%d %H:%M} UTC. {account.halted_reason}"
    return ""


def require_room(account: Account, bot: Bot, quote: str, wanted: Decimal) -> None:
    """Raises Guarded when the account's bots would come to hold more than its max_exposure with this one."""
    if account.max_exposure is None:
        return
    if sentence := no_room(account, quote, wanted, taken(account, quote, bot)):
        raise Guarded(sentence)


def taken(account: Account, quote: str, besides: Bot | None) -> Decimal:
    """Quote money that the positions of an account's bots that are alive may be worth, but for one bot.

    What stopped bots kept counts with what it is worth, until somebody dismisses it.
    """
    runs = Run.objects.filter(bot__account=account, market__quote=quote).exclude(status=Run.Status.STOPPED)
    if besides is not None and besides.pk is not None:
        runs = runs.exclude(bot=besides)
    return sum((exposure(*row) for row in _constants(runs)), _kept(account, quote))


def _kept(account: Account, quote: str) -> Decimal:
    """What the kept positions of an account are worth at the last price, or cost where there is none."""
    rows = Position.objects.filter(bot__account=account, status=Position.Status.KEPT, market__quote=quote)
    figures = rows.order_by().values_list("amount", "market__last", "average_price")
    return sum((amount * (Decimal(repr(last)) if last else paid) for amount, last, paid in figures), Decimal(0))


def _constants(runs: QuerySet[Run]) -> QuerySet[Run, tuple[Any, ...]]:
    return runs.values_list("kind", "allocation", "params", "limits")


def exposure(kind: str, allocation: Decimal, params: dict[str, Any], limits_: dict[str, Any]) -> Decimal:
    """Most quote money that the position of a bot or run with these constants may be worth."""
    return limits.exposure(allocation, limits.leverage_of(KINDS.get(kind), params), limits_)


def no_room(account: Account, quote: str, wanted: Decimal, held: Decimal) -> str:
    """Why an account has no room for a bot that may hold `wanted` beside the `held` of others; "" when it has."""
    most = account.max_exposure
    if most is None or wanted + held <= most:
        return ""
    beside = f" and the account's other bots {_plain(held)}" if held else ""
    return (
        f"max_exposure of account {account.name} is {_plain(most)} {quote}; this bot may hold {_plain(wanted)}{beside}."
    )


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"
