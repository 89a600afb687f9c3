"""What a bot is set to: checked in one place, stored in one place."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone

from bots import limits
from bots.kinds import KINDS
from bots.kinds.contract import Kind
from bots.kinds.parameters import ParamsError
from bots.models import Bot
from bots.records import terms_of
from markets.models import Market
from orchestrator import notify

ALIVE = (Bot.Status.RUNNING, Bot.Status.PAUSED)
CONFIGURED = ("owner", "account", "market", "name", "kind", "timeframe", "allocation", "params", "limits", "updated_at")
# The money of a run goes back where it came from, and its orders are on its market.
FIXED_WHILE_ALIVE = ("owner", "account", "market", "kind", "timeframe")


def validate(
    kind: str,
    params: dict[str, Any],
    market: Market,
    timeframe: int,
    allocation: Decimal,
    limited: dict[str, Any] | None = None,
) -> None:
    """Raises ParamsError (a ValueError) naming every field that is wrong.

    timeframe: of its candles, s; limited: limits, as bots.limits has them.
    """
    if kind not in KINDS:
        raise ParamsError({"kind": f"kind must be one of {', '.join(KINDS)}, not {kind!r}."})
    terms, money = terms_of(market), float(allocation)
    read = KINDS[kind].validate(params, terms, money)
    _check_leverage(getattr(read, "leverage", 1.0), market)
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


def configure(bot: Bot) -> None:
    """Store what a person may set, a new bot whole. What happened since the bot was read is not turned back."""
    bot.updated_at = timezone.now()
    if bot.pk is None:
        bot.save()
        return
    with transaction.atomic():
        now = Bot.objects.select_for_update().get(pk=bot.pk)
        fixed = FIXED_WHILE_ALIVE if now.status in ALIVE else ()
        bot.save(update_fields=[name for name in CONFIGURED if name not in fixed])
        notify.changed([notify.bot_topic(now.owner_id, bot.pk)])
