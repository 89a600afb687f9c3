"""What a live account may still give to bots: what its exchange says it holds, less what its bots hold."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from django.db import transaction

from bots.brokers import exchange_account
from bots.guards import Refused
from bots.models import Account, Balance, Bot, Mode, Run
from markets.gateway import GatewayError, connect_trading
from markets.models import Exchange
from markets.trading import deposit


def require_simulated(exchange: Exchange) -> None:
    """Raises Refused when money or orders on an exchange are not ours to move yet."""
    if not exchange.is_simulated:
        raise Refused(f"{exchange.name} is not a simulated exchange; live accounts trade on simulated ones only.")


def require_tradable(bot: Bot) -> None:
    """Raises Refused when a live account cannot trade a bot's market."""
    require_simulated(bot.account.exchange)
    if bot.market.type != "spot":
        raise Refused(f"{bot.market.symbol} is a {bot.market.type}; live bots trade spot markets only.")


def open_account(owner: Any, name: str, exchange: Exchange, money: dict[str, Decimal]) -> Account:
    """A live account on the simulated exchange, with money there: currency -> amount. Raises Refused."""
    require_simulated(exchange)
    with transaction.atomic():
        account = Account.objects.create(owner=owner, name=name, mode=Mode.LIVE, exchange=exchange)
        give(account, money)
        mirror(account, Held(money, {}))
    return account


def give(account: Account, money: dict[str, Decimal]) -> None:
    """Put money on the simulated exchange, or take it out when an amount is negative."""
    deposit(account.exchange, exchange_account(account.pk), money)


class Held(NamedTuple):
    """By currency: what an exchange says an account holds, and what the account's bots held before it was asked."""

    said: dict[str, Decimal]
    taken: dict[str, Decimal]


def ask(bot: Bot) -> Held | None:
    """What a bot's account holds; None for accounts on paper. Raises Refused."""
    if bot.account.mode != Mode.LIVE:
        return None
    require_simulated(bot.account.exchange)
    account, taken = exchange_account(bot.account_id), _taken(bot.account)
    try:
        return Held(connect_trading(bot.market, account, "", bot.timeframe, 0).fetch_balance(), taken)
    except GatewayError as error:
        raise Refused(f"{bot.account.exchange.name} does not say what the account holds: {error}") from error


def mirror(account: Account, held: Held) -> None:
    """Take over what the exchange said; inside the transaction of the caller, who has locked the account.

    What bots spent between the question and now is not there twice. Those that are still ending keep theirs.
    """
    now = _taken(account)
    known = dict.fromkeys(account.balances.values_list("currency", flat=True), Decimal(0))
    for currency, amount in (known | held.said).items():
        bound = max(held.taken.get(currency, Decimal(0)), now.get(currency, Decimal(0)))
        free = max(amount - bound, Decimal(0))
        Balance.objects.update_or_create(account=account, currency=currency, defaults={"free": free})


def _taken(account: Account) -> dict[str, Decimal]:
    """What the bots of an account hold that are not over, by currency."""
    taken: dict[str, Decimal] = {}
    alive = Run.objects.filter(bot__account=account).exclude(status=Run.Status.STOPPED).select_related("market")
    for run in alive:
        for currency, amount in ((run.market.quote, run.cash), (run.market.base, run.position)):
            taken[currency] = taken.get(currency, Decimal(0)) + amount
    return taken
