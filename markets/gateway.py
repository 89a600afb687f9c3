"""The way to an exchange: connect() gives an object with the gateway's surface. ccxt is imported in gateway_*.py."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

from django.conf import settings

from markets import simulated
from markets.budget import CLOCK, PATIENCE_S, Clock
from markets.forming import Key
from markets.gateway_client import CcxtExchange
from markets.gateway_errors import translated
from markets.gateway_loading import exchange_class, require_exchange, stream_class
from markets.gateway_stream import Heard, Stream
from markets.models import FILE, Exchange, Market
from markets.simulated_quotes import SimulatedQuotes
from markets.surface import Gateway, GatewayError, Trading
from markets.trading import SimulatedTrading

__all__ = [
    "FILE",
    "Gateway",
    "GatewayError",
    "Heard",
    "Stream",
    "Trading",
    "check",
    "connect",
    "connect_trading",
    "follow",
]

# Credentials belong to accounts, which seal them.
_CREDENTIALS = {"apiKey", "secret", "password", "uid", "login", "privateKey", "walletAddress", "token", "twofa"}
_clients = threading.local()
_KEPT = 32


def connect(exchange: Exchange, clock: Clock = CLOCK, patience: float = PATIENCE_S) -> Gateway:
    """An object with the gateway's surface; one per thread and configuration, as it keeps its markets and connection.

    patience: seconds that a request may wait for its turn. Raises GatewayError (permanent) when the exchange is from
    files alone, unknown, or wrongly configured.
    """
    if exchange.ccxt_id == FILE:
        raise GatewayError(f"{exchange.name} is known from imported files alone and has no connection.", permanent=True)
    if exchange.is_simulated:
        return _simulated(exchange)
    return _connected(exchange, clock, patience)


def check(exchange: Exchange) -> None:
    """Whether an exchange could be connected to as it is set up. Raises GatewayError (permanent)."""
    if exchange.is_simulated:
        _simulated(exchange)
    elif exchange.ccxt_id != FILE:
        checked_config(exchange)
        require_exchange(exchange.ccxt_id)


def connect_trading(
    market: Market, account: str, label: str, timeframe: int, since: int, leverage: float = 1.0
) -> Trading:
    """A market's exchange as an account trades on it.

    label: whose orders; timeframe in seconds and since, ms UTC: the candles they are led along, where an exchange is
    simulated; leverage: of a swap. Raises GatewayError (permanent) where orders cannot be placed from here.
    """
    if not market.exchange.is_simulated:
        raise GatewayError(f"Orders cannot be placed on {market.exchange.name} yet.", permanent=True)
    return SimulatedTrading(market, account, label, timeframe, since, leverage)


def follow(exchange: Exchange, wanted: Sequence[Key], tell: Callable[[Heard], None]) -> Stream | None:
    """Have the candles and tickers of these markets told as they change; None where the exchange has no stream.

    tell is called from another thread. Raises GatewayError (permanent) when the exchange is wrongly configured.
    """
    if exchange.is_simulated or exchange.ccxt_id == FILE:
        return None
    config = checked_config(exchange)
    found = stream_class(exchange.ccxt_id)
    return (
        None if found is None else Stream(found, config, lambda: _connected(exchange, CLOCK, PATIENCE_S), wanted, tell)
    )


def _simulated(exchange: Exchange) -> SimulatedQuotes:
    config = exchange.ccxt_config
    created = int(exchange.created_at.timestamp() * 1000)
    try:
        seed, anchor = int(config.get("seed", 42)), int(config.get("anchor_ms", created))
    except (AttributeError, TypeError, ValueError):
        raise GatewayError(
            f"ccxt_config of {exchange.name} must hold whole numbers seed and anchor_ms, not {config}.", permanent=True
        ) from None
    return SimulatedQuotes(seed, anchor, settings.SIMULATED_SPEED, simulated.real_ms)


def _connected(exchange: Exchange, clock: Clock, patience: float) -> CcxtExchange:
    kept: dict[tuple[str, str, Clock, float], CcxtExchange] = _clients.__dict__.setdefault("kept", {})
    key = exchange.ccxt_id, json.dumps(exchange.ccxt_config, sort_keys=True), clock, patience
    if key not in kept:
        made = _client(exchange.ccxt_id, checked_config(exchange), clock, patience)
        while len(kept) >= _KEPT:  # those of configurations that have been changed since
            del kept[next(iter(kept))]
        kept[key] = made
    return kept[key]


def _client(ccxt_id: str, config: dict[str, Any], clock: Clock, patience: float) -> CcxtExchange:
    client_class = exchange_class(ccxt_id)
    with translated(ccxt_id, "a connection"):
        try:
            return CcxtExchange(client_class, config, clock, patience)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise GatewayError(f"ccxt_config does not fit ccxt's {ccxt_id}: {error}.", permanent=True) from error


def checked_config(exchange: Exchange) -> dict[str, Any]:
    """What is merged into ccxt's constructor. Raises GatewayError (permanent)."""
    config = exchange.ccxt_config
    if not isinstance(config, dict):
        raise GatewayError(f"ccxt_config of {exchange.name} must be a JSON object, not {config!r:.60}.", permanent=True)
    secrets = sorted(_CREDENTIALS & config.keys())
    if secrets:
        raise GatewayError(
            f"ccxt_config of {exchange.name} must not hold {', '.join(secrets)}: it is not sealed, and public data "
            "needs no key.",
            permanent=True,
        )
    return config
