"""What a live account may still give to bots: what its exchange says it holds, less what its bots hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Q

from bots import live_margin
from bots.brokers import exchange_account
from bots.guards import Refused
from bots.live_ends import Margin
from bots.models import Account, Balance, Bot, Mode, Run
from markets.gateway import GatewayError, Trading, connect_trading
from markets.models import Exchange
from markets.simulated_money import Money, deposit


def require_simulated(exchange: Exchange) -> None:
    """Raises Refused when money or orders on an exchange are not ours to move yet."""
    if not exchange.is_simulated:
        raise Refused(f"{exchange.name} is not a simulated exchange; live accounts trade on simulated ones only.")


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


Share = tuple[int, str]  # a run and a currency


class Held(NamedTuple):
    """What an exchange says an account holds, by currency, and what of it belonged to the account's bots then.

    known: those shares that the exchange itself told.
    """

    said: Money
    taken: dict[Share, Decimal]
    known: frozenset[Share] = frozenset()


def ask(bot: Bot) -> Held | None:
    """What a bot's account holds; None for accounts on paper. Raises Refused."""
    if bot.account.mode != Mode.LIVE:
        return None
    require_simulated(bot.account.exchange)
    account, taken = exchange_account(bot.account_id), _taken(bot.account)
    try:
        trading = connect_trading(bot.market, account, "", bot.timeframe, 0)
        # Margin that is on its way counts where it was: what comes is asked for after the balance, what goes before.
        known = _asked(trading, bot.account, Margin.TO_ADD)
        said = trading.fetch_balance()
        known |= _asked(trading, bot.account, Margin.TO_RETURN)
    except GatewayError as error:
        raise Refused(f"{bot.account.exchange.name} does not say what the account holds: {error}") from error
    return Held(said, taken | known, frozenset(known))


def _asked(trading: Trading, account: Account, margin: str) -> dict[Share, Decimal]:
    """What is in the account of runs whose margin is being moved."""
    moving = Run.objects.filter(bot__account=account, session__margin=margin).select_related("market")
    shares = {}
    for run in moving:
        adds = margin == Margin.TO_ADD
        done = trading.fetch_transfer(live_margin.adding_id(run) if adds else live_margin.returning_id(run))
        moved = done.amount if done else Decimal(0)
        shares[run.pk, run.market.quote] = run.allocation - moved if adds else moved
    return shares


def mirror(account: Account, held: Held) -> None:
    """Take over what the exchange said; inside the transaction of the caller, who has locked the account.

    What bots spent between the question and now is not there twice. Those that are still ending keep theirs. When
    money moved right beside the question, less is free until it is asked again, never more.
    """
    now = _taken(account, held.taken)
    bound: dict[str, Decimal] = defaultdict(Decimal)
    for share in held.taken.keys() | now.keys():
        before, after = held.taken.get(share, Decimal(0)), now.get(share, Decimal(0))
        bound[share[1]] += before if share in held.known else max(before, after)
    names = dict.fromkeys(account.balances.values_list("currency", flat=True), Decimal(0))
    for currency, amount in (names | held.said).items():
        free = max(amount - bound[currency], Decimal(0))
        Balance.objects.update_or_create(account=account, currency=currency, defaults={"free": free})


def _taken(account: Account, before: Collection[Share] | None = None) -> dict[Share, Decimal]:
    """What of an account's money is of bots that are not over. Margin that was moved is in the account no more.

    before: the shares when the exchange was asked; whatever came since was in the account then.
    """
    alive = ~Q(status=Run.Status.STOPPED) | Q(session__margin__in=live_margin.MOVING)
    taken: dict[Share, Decimal] = {}
    for run in Run.objects.filter(alive, bot__account=account).select_related("market", "session"):
        quote = (run.pk, run.market.quote)
        if run.market.type != "swap":
            taken |= {quote: run.cash, (run.pk, run.market.base): run.position}
        elif run.session.margin == Margin.TO_ADD or (before is not None and quote not in before):
            taken[quote] = run.allocation
        else:
            taken[quote] = run.cash if run.session.margin == Margin.TO_RETURN else Decimal(0)
    return taken
