"""ccxt's exceptions as one, with a sentence that says what happened and what is to be done about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import InvalidOperation

from markets.gateway_loading import ccxt_errors
from markets.surface import GatewayError

_LONGEST = 200
_ADDRESS = re.compile(r"(?:\b(?:GET|POST|PUT|DELETE|PATCH) )?https?://\S+")


@contextmanager
def translated(name: str, what: str) -> Iterator[None]:
    """name: of the exchange; what: was asked for, as in "candles of BTC/USDT"."""
    ccxt = ccxt_errors()
    try:
        yield
    except GatewayError:
        raise
    except (ccxt.RateLimitExceeded, ccxt.DDoSProtection) as error:
        raise GatewayError(f"{name} asks for fewer requests: {_short(error)}", permanent=False) from error
    except ccxt.OnMaintenance as error:
        raise GatewayError(f"{name} is in maintenance; it is asked again: {_short(error)}", permanent=False) from error
    except ccxt.RequestTimeout as error:
        raise GatewayError(f"{name} did not answer in time: {_short(error)}", permanent=False) from error
    except ccxt.NetworkError as error:
        raise GatewayError(f"{name} cannot be reached: {_short(error)}", permanent=False) from error
    except ccxt.BaseError as error:
        raise _refused(name, what, error) from error
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, InvalidOperation) as error:
        raise GatewayError(f"{name} gave {what} that cannot be read: {_short(error)}", permanent=False) from error


def _refused(name: str, what: str, error: Exception) -> GatewayError:
    ccxt = ccxt_errors()
    if isinstance(error, ccxt.NotSupported):
        return GatewayError(f"{name} refused: ccxt cannot ask it for {what}.", permanent=True)
    if isinstance(error, ccxt.BadSymbol):
        return GatewayError(f"{name} refused {what}, load its list of markets again: {_short(error)}", permanent=True)
    hopeless = ccxt.AuthenticationError, ccxt.PermissionDenied, ccxt.BadRequest, ccxt.ArgumentsRequired
    return GatewayError(f"{name} refused: {_short(error)}", permanent=isinstance(error, hopeless))


def _short(error: Exception) -> str:
    """Its text in one line, without the address that was asked: with some exchanges that holds a signature."""
    # An answer may hold a NUL or half a character, which no column takes.
    seen = "".join(character if character.isprintable() else " " for character in str(error))
    text = " ".join(_ADDRESS.sub("", seen).split())
    if isinstance(error, KeyError | TypeError | AttributeError) or len(text.split()) < 2:
        # "binance GET https://…" is all that ccxt tells of a connection; the cause says what happened to it.
        text = f"{type(error.__cause__ or error).__name__} {text}".strip()
    return f"{text.rstrip('.')}." if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
