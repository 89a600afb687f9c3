"""What a person lets a bot do at most: the same limits for every kind, in the units of the form.

The engine keeps to them while a run lives. This module says what they are, which of them make no sense, and how much
a bot may come to hold, of which an account's exposure is the sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from bots.engine import types
from bots.engine.types import Terms
from bots.kinds import parameters
from bots.kinds.contract import Kind
from bots.kinds.parameters import Parameter, ParamsError, Problems, parameter

SELL, KEEP = "sell", "keep"


@dataclass(frozen=True, slots=True)
class Limits:
    """None and 0 mean no limit."""

    max_position: float | None = parameter(
        "number",
        "Maximum position",
        "No order may bring what the bot holds above this value.",
        unit="quote",
        least=0,
        most=1e18,  # the largest whole float that JSON's readers take for an integer of 64 bits has 18 zeros
        default=None,
    )
    max_open_orders: int | None = parameter(
        "whole",
        "Maximum open orders",
        "No order that adds to the position is placed beside so many; what closes it always is.",
        least=0,
        most=10_000,
        default=None,
    )
    max_daily_loss: float | None = parameter(
        "number",
        "Maximum daily loss",
        "Of the allocation, since midnight UTC, at the close of a candle. Beyond it entries are held until the next "
        "day; exits go on.",
        unit="%",
        least=0,
        most=100,
        default=None,
    )
    max_drawdown: float | None = parameter(
        "number",
        "Maximum drawdown",
        "Of the highest equity of the run, at the close of a candle. Beyond it the run ends.",
        unit="%",
        least=0,
        most=100,
        default=None,
    )
    at_drawdown: str = parameter(
        "choice",
        "At the maximum drawdown",
        "What becomes of the position when the drawdown ends the run.",
        choices=((SELL, "Stop and sell"), (KEEP, "Stop and keep")),
        default=SELL,
    )
    loss_cooldown: int | None = parameter(
        "whole",
        "Cooldown after a loss",
        "Entries are held for so long after a trade that lost; exits go on.",
        unit="s",
        least=0,
        most=2_592_000,
        default=None,
    )


def described() -> list[Parameter]:
    """What a person must know about each limit."""
    return parameters.parameters_of(Limits)


def read(raw: Mapping[str, Any]) -> Limits:
    """Limits from JSON-like input, each value checked by itself. Raises ParamsError naming every bad field."""
    return parameters.read(Limits, raw, "the limits")


def plain(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Limits as they are stored: every value in its own type, what limits nothing left out. Raises ParamsError."""
    limits = read(raw)
    return {
        entry.name: value for entry in described() if (value := getattr(limits, entry.name)) and value != entry.default
    }


def for_engine(limits: Limits, allocation: float) -> types.Limits:
    """The same in the engine's units: quote, fractions and ms."""
    return types.Limits(
        max_position=limits.max_position or 0.0,
        max_open_orders=limits.max_open_orders or 0,
        max_daily_loss=(limits.max_daily_loss or 0.0) / 100.0 * allocation,
        max_drawdown=(limits.max_drawdown or 0.0) / 100.0,
        loss_cooldown=1000 * (limits.loss_cooldown or 0),
        keep_at_drawdown=limits.at_drawdown == KEEP,
    )


def check(limits: Limits, params: Any, kind: Kind, terms: Terms, allocation: float) -> Problems:
    """Sentences about limits under which the bot could never trade."""
    most = limits.max_position
    if not most:
        return {}
    if most < terms.min_cost:
        return {
            "max_position": f"max_position must be at least the market's minimum order {terms.min_cost:.15g} quote, "
            f"not {most:.15g}: nothing could be bought."
        }
    first = kind.first_order(params, terms, allocation) if kind.first_order else 0.0
    if most < first:
        return {
            "max_position": f"max_position must be at least the first order of {first:.15g} quote, not {most:.15g}: "
            "it would be refused, and nothing bought."
        }
    return {}


def validate(raw: Mapping[str, Any], params: Any, kind: Kind, terms: Terms, allocation: float) -> Limits:
    """Limits that make sense together with the rest. Raises ParamsError."""
    limits = read(raw)
    problems = check(limits, params, kind, terms, allocation)
    if problems:
        raise ParamsError(problems)
    return limits


def exposure(allocation: Decimal, leverage: float, limits: Mapping[str, Any]) -> Decimal:
    """Most quote money that a bot's position may be worth when it is bought: allocation × leverage, or max_position.

    limits are as they are stored.
    """
    most = allocation * Decimal(repr(leverage))
    limit = limits.get("max_position")
    return min(most, Decimal(repr(float(limit)))) if limit else most


def leverage_of(kind: Kind | None, params: Mapping[str, Any]) -> float:
    """The leverage that stored parameters say; 1 for a kind that has none or is not installed."""
    described = {entry.name: entry for entry in kind.parameters()} if kind else {}
    if "leverage" not in described:
        return 1.0
    return float(params.get("leverage", described["leverage"].default) or 1.0)
