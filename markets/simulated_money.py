"""Money on the simulated exchange: accounts, the margin of their swaps, and what was moved between them.

An account's margin on a swap is a wallet of its own for each label, so that one position never costs another's money.
What is moved has a client id, as orders have: whoever asks for it again is told what came of it the first time.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from django.db.models import F

from markets.models import Exchange, SimulatedBalance, SimulatedDesk, SimulatedTransfer
from markets.surface import Transfer

Money = dict[str, Decimal]  # currency -> amount


def deposit(exchange: Exchange, account: str, money: Money) -> None:
    """Give an account on the simulated exchange more money, or take it out when an amount is negative."""
    for currency, amount in money.items():
        SimulatedBalance.objects.get_or_create(exchange=exchange, account=account, currency=currency)
        rows = SimulatedBalance.objects.filter(exchange=exchange, account=account, currency=currency)
        rows.update(amount=F("amount") + amount)


def holdings(exchange: Exchange, account: str) -> Money:
    """What an account holds on the simulated exchange, its margin not included."""
    return dict(SimulatedBalance.objects.filter(exchange=exchange, account=account).values_list("currency", "amount"))


def wallet_of(account: str, label: str) -> str:
    """Where the margin of an account's swap is."""
    return f"{account}/{label}"


def wallets(exchange: Exchange, account: str) -> dict[str, Money]:
    """Label -> its margin: quote, less what its position cost, and the position in base, negative when short."""
    found: dict[str, Money] = defaultdict(dict)
    rows = SimulatedBalance.objects.filter(exchange=exchange, account__startswith=f"{account}/")
    for wallet, currency, amount in rows.values_list("account", "currency", "amount"):
        found[wallet.partition("/")[2]][currency] = amount
    return dict(found)


def close_account(exchange: Exchange, account: str) -> None:
    """Have the simulated exchange forget an account and all it did."""
    SimulatedDesk.objects.filter(market__exchange=exchange, account=account).delete()
    SimulatedTransfer.objects.filter(exchange=exchange, account=account).delete()
    for one in (account, *(wallet_of(account, label) for label in wallets(exchange, account))):
        SimulatedBalance.objects.filter(exchange=exchange, account=one).delete()


def fetch_transfer(exchange: Exchange, account: str, client_id: str) -> Transfer | None:
    row = SimulatedTransfer.objects.filter(exchange=exchange, account=account, client_id=client_id).first()
    return Transfer(row.client_id, row.amount, row.reason) if row else None


def add_margin(exchange: Exchange, account: str, label: str, wanted: Transfer, currency: str) -> Transfer:
    """Move money from an account to its margin, or say why not; inside a transaction that has locked the desk."""
    free = _locked(exchange, account, currency)
    if not wanted.reason and wanted.amount > free.amount:
        reason = f"the account holds {free.amount.normalize():f} {currency}"
        wanted = wanted._replace(reason=reason)
    return _move(free, _locked(exchange, wallet_of(account, label), currency), wanted)


def withdraw_margin(exchange: Exchange, account: str, label: str, client_id: str, currency: str, base: str) -> Transfer:
    """Move all margin back to the account, or say why not; inside a transaction that has locked the desk."""
    free, wallet = _locked(exchange, account, currency), _locked(exchange, wallet_of(account, label), currency)
    position = _locked(exchange, wallet.account, base).amount
    if position:
        reason = f"a position of {position.normalize():f} {base} is open"
        return _move(wallet, free, Transfer(client_id, wallet.amount, reason))
    return _move(wallet, free, Transfer(client_id, wallet.amount))


def _locked(exchange: Exchange, account: str, currency: str) -> SimulatedBalance:
    key = {"exchange": exchange, "account": account, "currency": currency}
    return SimulatedBalance.objects.select_for_update().get_or_create(**key, defaults={"amount": Decimal(0)})[0]


def _move(source: SimulatedBalance, target: SimulatedBalance, wanted: Transfer) -> Transfer:
    """Nothing when there is a reason against it; what came of it is remembered either way."""
    done = wanted._replace(amount=Decimal(0)) if wanted.reason else wanted
    for row, amount in ((source, -done.amount), (target, done.amount)):
        SimulatedBalance.objects.filter(pk=row.pk).update(amount=F("amount") + amount)
    account = source.account.partition("/")[0]
    SimulatedTransfer.objects.create(exchange_id=source.exchange_id, account=account, source=source.account,
        target=target.account, currency=source.currency, **done._asdict())  # fmt: skip
    return done
