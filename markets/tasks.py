"""Scheduled work, as thin as it can be: what is done, and why it is safe to do twice, is in services."""

from __future__ import annotations

from celery import shared_task

from markets import services
from markets.services.streaming import have_followed_up


@shared_task
def sync_candles() -> None:
    services.sync_funding()  # first: a bot must know what a candle pays before it sees it
    if services.sync():
        have_followed_up()


@shared_task
def repair_gaps() -> None:
    services.repair_gaps()


@shared_task
def refresh_tickers() -> None:
    services.refresh_tickers()


@shared_task
def refresh_quotes(market_id: int) -> None:
    services.refresh_quotes(market_id)


@shared_task
def refresh_listed(market_ids: list[int]) -> None:
    services.refresh_listed(market_ids)


@shared_task
def compute_indicators() -> None:
    """What has closed, hundreds of markets a task."""
    for feed_ids in services.stale_shards():
        compute_indicator_shard.apply_async((feed_ids,), expires=60)


@shared_task
def compute_indicator_shard(feed_ids: list[int]) -> int:
    return services.compute_indicators(feed_ids)


@shared_task
def apply_retention() -> None:
    services.apply_retention()
