"""What a bot is set to: checked in one place, stored in one place."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from bots import exactness, limits
from bots.kinds import KINDS
from bots.kinds.contract import Kind
from bots.kinds.parameters import ParamsError
from bots.models import Bot, BotChange
from bots.records import terms_of
from markets.models import Market
from orchestrator import notify

ALIVE = (Bot.Status.RUNNING, Bot.Status.PAUSED)
CONFIGURED = ("owner", "account", "market", "name", "kind", "timeframe", "allocation", "params", "limits", "updated_at")
NAME_ONCE = "bot_name_once"  # the constraint
# The money of a run goes back where it came from, and its orders are on its market.
FIXED_WHILE_ALIVE = ("owner", "account", "market", "kind", "timeframe")


def validate(
    kind: str,
    params: dict[str, Any],
    market: Market,
    timeframe: int,
    allocation: Decimal,
    limited: dict[str, Any] | None = None,
    lowest: float | None = None,
) -> None:
    """Raises ParamsError (a ValueError) naming every field that is wrong.

    timeframe: of its candles, s; limited: limits, as bots.limits has them; lowest: the lowest price it will see, where
    that is known, else the market's last one counts.
    """
    if kind not in KINDS:
        raise ParamsError({"kind": f"kind must be one of {', '.join(KINDS)}, not {kind!r}."})
    terms, money = terms_of(market), float(allocation)
    read = KINDS[kind].validate(params, terms, money)
    _check_leverage(getattr(read, "leverage", 1.0), market)
    if problems := exactness.check(read, terms, money, lowest or market.last):
        raise ParamsError(problems)
    if lead := KINDS[kind].lead:
        lead(read, timeframe)  # says so when it would be more candles than can be loaded
    limits.validate(limited or {}, read, KINDS[kind], terms, money)


def _check_leverage(leverage: float, market: Market) -> None:
    if leverage > market.max_leverage:
        most = f"{market.max_leverage.normalize():f}"
        raise ParamsError({"leverage": f"leverage must be at most {most} on {market.symbol}, not {leverage:.15g}."})


def plain_params(kind: Kind, raw: dict[str, Any]) -> dict[str, Any]:
    """Parameters as they are stored: every value in its own type, what equals the default left out."""
    params = kind.read(raw)
    return {
        entry.name: getattr(params, entry.name)
        for entry in kind.parameters()
        if entry.required or getattr(params, entry.name) != entry.default
    }


def configure(bot: Bot, by: str = "", note: str = "") -> None:
    """Store what a person may set, a new bot whole. What happened since the bot was read is not turned back.

    by: who sets it; note: since when it holds. Both are kept with what changed. Raises ParamsError when another bot
    took the name a moment ago.
    """
    bot.updated_at = timezone.now()
    try:
        _store(bot, by, note)
    except IntegrityError as error:
        if NAME_ONCE not in str(error):
            raise
        raise ParamsError({"name": name_taken(bot.owner, bot.name)}) from error


def name_taken(owner: Any, name: str | None) -> str:
    return f"name must be new among {owner}'s bots; {name!r} is taken."


def _store(bot: Bot, by: str, note: str) -> None:
    with transaction.atomic():
        if bot.pk is None:
            bot.save()
            BotChange.objects.create(bot=bot, by=by, note="Created.")
            return
        now = Bot.objects.select_for_update().get(pk=bot.pk)
        alive = now.status in ALIVE
        changed = differences(now, bot, FIXED_WHILE_ALIVE if alive else ())
        if changed:
            usual = "Holds from the next start." if alive else ""
            BotChange.objects.create(bot=bot, by=by, note=note or usual, changes=changed)
        bot.save(update_fields=[name for name in CONFIGURED if not alive or name not in FIXED_WHILE_ALIVE])
        notify.changed([notify.bot_topic(now.owner_id, bot.pk)])


def differences(before: Bot, after: Bot, fixed: Sequence[str] = ()) -> dict[str, list[Any]]:
    """Setting -> [before, after] as JSON has them; None for a parameter or limit that is not set."""
    old, new = (_settings(one) for one in (before, after))
    names = [name for name in (*old, *new) if name not in fixed]
    return {name: [old.get(name), new.get(name)] for name in names if old.get(name) != new.get(name)}


def _settings(bot: Bot) -> dict[str, Any]:
    own: dict[str, Any] = {
        "name": bot.name, "account": bot.account.name, "market": bot.market.symbol, "kind": bot.kind,
        "timeframe": bot.timeframe, "allocation": f"{Decimal(bot.allocation).normalize():f}",
    }  # fmt: skip
    return {**own, **bot.params, **{f"limit {name}": value for name, value in bot.limits.items()}}
