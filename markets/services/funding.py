"""Funding rates of the swaps that have a feed: asked for once an hour, as no exchange settles more often."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from django.db import transaction
from django.db.models import Q, QuerySet

from markets import funding, gateway
from markets.models import Exchange, Feed, Market
from markets.surface import Gateway, GatewayError, Rate
from orchestrator.sole import sole

logger = logging.getLogger(__name__)

HOUR_MS = 3_600_000
SETTLING_MS = 60_000  # after the hour an exchange takes to publish a rate
MINUTE_MS, AGAIN_MS = 60_000, 10_000
LATE_MS = 15 * MINUTE_MS  # a rate is waited for, before nothing counts as settled
HISTORY_MS = 60 * 24 * HOUR_MS  # asked for at first, page by page
PAGE = 200
_LOCKS = 0x66756E64  # namespace: one worker a market


def sync_funding() -> int:
    """Store the rates that swaps with an enabled feed miss; rows written or changed.

    An exchange that fails is asked again with the next sync; its bots wait for it, but not for ever (bots/runs.py).
    """
    swaps = Market.objects.filter(type="swap", pk__in=Feed.objects.alive().values("market"))
    exchanges = Exchange.objects.filter(pk__in=swaps.values("exchange")).order_by("pk")
    return sum(_sync_exchange(exchange, swaps.filter(exchange=exchange)) for exchange in exchanges)


def _sync_exchange(exchange: Exchange, swaps: QuerySet[Market]) -> int:
    written = 0
    try:
        source = gateway.connect(exchange)
        settled = source.now_ms() - SETTLING_MS
        behind = swaps.filter(Q(funding_to=None) | Q(funding_to__lt=settled // HOUR_MS * HOUR_MS))
        for pk in list(behind.order_by("pk").values_list("pk", flat=True)):
            written += _sync_market(source, pk, settled)
    except GatewayError as error:
        # Its feeds fail too, and tell the user.
        logger.warning("funding of %s: %s", exchange.slug, error)
    return written


def _sync_market(source: Gateway, pk: int, settled: int) -> int:
    """No row is locked while the exchange is waited for."""
    with sole(_LOCKS, [pk]) as mine:
        market = Market.objects.filter(pk__in=mine).first()
        if market is None:
            return 0
        if market.funding_to == _known_to(pk, settled) and settled % MINUTE_MS > AGAIN_MS:
            return 0  # a late rate is looked for at the begin of every minute
        written, upto = 0, settled - HISTORY_MS if market.funding_to is None else market.funding_to
        # Some give fewer at a time than they are asked for, so only an answer of nothing is the end.
        while rates := source.fetch_funding_rates(market.symbol, upto + 1, PAGE):
            upto = rates[-1].time
            written += _keep(pk, rates, upto)
        return written + _keep(pk, [], max(market.funding_to or 0, _known_to(pk, settled)))


@transaction.atomic
def _keep(pk: int, rates: Sequence[Rate], upto: int) -> int:
    Market.objects.filter(pk=pk).update(funding_to=upto)
    return funding.upsert(pk, rates)


def _known_to(pk: int, settled: int) -> int:
    """Up to when all rates are known that were told: not beyond one that must have settled, but may come late."""
    last = funding.latest(pk, 2)
    due = 2 * last[0][0] - last[1][0] if len(last) == 2 else 0
    return due - 1 if due <= settled < due + LATE_MS else settled
