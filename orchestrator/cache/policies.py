"""The one table of what is cached and for how long."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """seconds: how long an entry counts as fresh; grace: how long after that it is served while one process renews it;
    patience: how long a reader without anything to serve waits for another that computes it, before it does so itself.
    """

    name: str
    seconds: int
    help: str
    grace: int = 30
    patience: float = 2.0


EXCHANGES = Policy("exchanges", 3600, "What an exchange offers: its markets, fees and limits.")
MARKETS = Policy("markets", 300, "Lists and figures of markets.")
CANDLES = Policy("candles", 300, "Candles as charts and tables show them.")
FUNDING = Policy("funding", 300, "Funding rates of swaps.")
INDICATORS = Policy("indicators", 900, "Columns of an indicator over the latest candles.")
DAILY_PNL = Policy("daily_pnl", 900, "Profit and loss by day.")
TICKER = Policy("ticker", 60, "Latest prices.", grace=10)
PERFORMANCE = Policy("performance", 60, "Summaries of how bots and accounts did.")
ORDER_BOOK = Policy("order_book", 30, "Order books.", grace=5)
ASKED = Policy("asked", 10, "What a worker was asked to fetch, so that it is asked once.", grace=0, patience=0.2)
PORTFOLIO = Policy("portfolio", 30, "What an owner holds.", grace=10)
PAGES = Policy("pages", 60, "Whole pages and fragments, by user, address and version.", grace=0)

POLICIES = {
    policy.name: policy
    for policy in (
        EXCHANGES, MARKETS, CANDLES, FUNDING, INDICATORS, DAILY_PNL, TICKER, PERFORMANCE, ORDER_BOOK, ASKED, PORTFOLIO,
        PAGES,
    )
}  # fmt: skip


def policy(name: str) -> Policy:
    """Raises ValueError with the names there are."""
    try:
        return POLICIES[name]
    except KeyError:
        raise ValueError(f"policy must be one of {', '.join(POLICIES)}, not {name!r}.") from None
