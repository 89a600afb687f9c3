"""Money in the preview of a bot: what it needs, what its account has, what a cycle costs and earns."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from bots import limits, prospects, records
from bots.kinds.parameters import ParamsError
from bots.models import Account, Balance, Mode
from dashboard import formats
from dashboard.forms import OwnBotForm, accounts_of, funded
from markets.models import Market


def fact(label: str, value: Any, note: str = "", hint: str = "") -> dict[str, Any]:
    return {"label": label, "value": value, "note": note, "hint": hint}


def facts(form: OwnBotForm, market: Market, free: Decimal | None) -> list[dict[str, Any]]:
    """Least and most money, and what a cycle costs and earns, as far as the parameters can be read."""
    kind, terms, found = form.bot_kind, records.terms_of(market), []
    params = form.instance.params
    try:
        read = kind.read(params or {})
    except ParamsError:
        return []
    if not any(name.startswith("param_") for name in form.errors):
        least = prospects.least_allocation(kind, read, terms, market.last)
        if least is not None:
            value = f"{formats.number(least, prospects.digits_shown(least))} {market.quote}"
            found.append(fact("Least investment", value, "for the market's least order"))
    found += _most(form, market, params or {}, free)
    if any(name.startswith("param_") for name in form.errors):
        return found
    cycle = prospects.cycle(read, terms)
    found.append(fact("Fees of a cycle", _span(cycle.fees), "of what was bought"))
    if cycle.profit is not None:
        found.append(fact("Profit of a grid", _span(cycle.profit), "after fees"))
    return found


def free(account: Account, currency: str) -> Decimal:
    found = Balance.objects.filter(account=account, currency=currency).values_list("free", flat=True).first()
    return found or Decimal(0)


def unfunded(account: Account, currency: str, free: Decimal, wanted: Decimal | None) -> str:
    """One sentence where an account of play money has less than the allocation; else "".

    What a live one has is asked of its exchange at the start.
    """
    if wanted is None or free >= wanted or account.mode != Mode.PAPER:
        return ""
    has = f"{formats.money(free, currency)} {currency} free, of the {formats.money(wanted, currency)} of the allocation"
    way = "deposit it under Settings, Accounts" if account.owner.is_staff else "ask an administrator to deposit it"
    alike = accounts_of(account.owner).filter(mode=account.mode, exchange=account.exchange_id)
    others = [one for one in funded(alike, currency) if one != account]
    choice = f", or choose {others[0].name}, which has {currency}" if others and not free else ""
    return f"Account {account.name} has {has if free else f'no {currency} free'}: to start the bot, {way}{choice}."


def _most(form: OwnBotForm, market: Market, params: Mapping[str, Any], free: Decimal | None) -> list[dict[str, Any]]:
    account: Account | None = form.cleaned_data.get("account")
    if account is None or free is None:
        return []
    most, note = free, f"free on {account.name}"
    if account.max_exposure is not None:
        room = account.max_exposure / Decimal(repr(limits.leverage_of(form.bot_kind, params)))
        if room < most:
            most, note = room, f"max_exposure of {account.name}"
    return [fact("Most investment", f"{formats.money(most, market.quote)} {market.quote}", note)]


def _span(ends: tuple[float, float]) -> str:
    least, most = (formats.percent(end) for end in ends)
    return least if least == most else f"{least} … {most}"
