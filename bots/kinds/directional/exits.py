"""What a directional kind is asked for: size and exits, and which of them cannot work."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from bots.engine.types import Terms
from bots.kinds.directional.layout import (
    SIZES,
    STOP_SLOT,
    TARGET_SLOT,
    TARGETS,
    TRADE_SLOT,
    TRAIL_SLOT,
)
from bots.kinds.parameters import Problems, parameter
from bots.risk import NOISE
from bots.rules.tree import Value
from markets.series import Column


@dataclass(frozen=True)
class Exits:
    """Parameters of size and exits."""

    leverage: float = parameter(
        "number", "Leverage", "Of positions on a swap; 1 on a spot market.", least=1, most=125, default=1.0
    )
    size_by: str = parameter(
        "choice",
        "Size by",
        "What the size of a position follows from.",
        choices=(
            ("equity", "A part of the equity"),
            ("quote", "A fixed amount"),
            ("risk", "What the stop loss may cost"),
        ),
        default="equity",
    )
    size_equity: float = parameter(
        "number", "Part of equity", "Of the equity, times the leverage.", unit="%", least=0.1, most=100, default=100.0
    )
    size_quote: float | None = parameter(
        "number", "Fixed amount", "Value of a position.", unit="quote", least=1e-12, default=None
    )
    size_risk: float = parameter(
        "number",
        "Risk",
        "Part of the equity that is lost, with both fees, when the stop loss is touched.",
        unit="%",
        least=0.01,
        most=50,
        default=1.0,
    )
    stop_loss: float | None = parameter(
        "number", "Stop loss", "Leave this far beyond the entry price.", unit="%", least=0.05, most=99, default=None
    )
    stop_atr: float | None = parameter(
        "number",
        "Stop loss in ATR",
        "Leave this many average true ranges beyond the entry price.",
        least=0.1,
        most=50,
        default=None,
    )
    atr_period: int = parameter("whole", "ATR period", "Candles.", least=2, most=500, default=14)
    take_profit: str = parameter(
        "text",
        "Take profit",
        "Up to four targets in percent of the entry price, each with its share of the position: 2: 50, 4: 30, 8: 20. "
        "Without shares they are equal.",
        default="",
    )
    trailing_distance: float | None = parameter(
        "number",
        "Trailing distance",
        "Leave when the price has turned by so much from its best.",
        unit="%",
        least=0.05,
        most=50,
        default=None,
    )
    trailing_activation: float = parameter(
        "number", "Trailing activation", "Follow the price from this profit on.", unit="%", least=0, most=1000,
        default=0.0,
    )  # fmt: skip
    time_limit: int = parameter(
        "whole", "Time limit", "Leave so long after the entry; 0 stays.", unit="s", least=0, most=31_536_000, default=0
    )
    cooldown: int = parameter(
        "whole", "Cooldown", "No entry for so long after an exit.", unit="s", least=0, most=2_592_000, default=0
    )
    opposite: str = parameter(
        "choice",
        "Entry of the other side",
        "While a position is held.",
        choices=(("reverse", "Reverse the position"), ("ignore", "Ignore it")),
        default="reverse",
    )

    def leaves(self) -> bool:
        """True when a position is left without a rule that says so."""
        given = (self.stop_loss, self.stop_atr, self.take_profit, self.trailing_distance, self.time_limit)
        return any(given)


def ladder(text: str) -> list[tuple[float, float]]:
    """(target, share) of each step as fractions, of "2: 50, 4: 50" or "2, 4". Raises ValueError without a subject."""
    steps = [part.strip() for part in text.split(",")] if text else []
    if len(steps) > TARGETS:
        raise ValueError(f"must have at most {TARGETS} targets, not {len(steps)}.")
    found: list[tuple[float, float]] = []
    for step in steps:
        target, _, share = step.partition(":")
        found.append((_percent(step, target, 1000.0), _percent(step, share or f"{100 / len(steps)!r}", 100.0)))
    if any(later[0] <= earlier[0] for earlier, later in pairwise(found)):
        raise ValueError(f"must have rising targets, not {text!r}.")
    if sum(share for _, share in found) > 1.0 + NOISE:
        raise ValueError(f"must share out at most 100 %, not {100 * sum(share for _, share in found):.15g} %.")
    return found


def _percent(step: str, text: str, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = np.nan
    if not 0.0 < number <= most:
        raise ValueError(f"must be made of targets such as 2: 50, above 0 and at most {most:.15g} %, not {step!r}.")
    return number / 100.0


def check_exits(params: Exits, terms: Terms, allocation: float) -> Problems:
    problems: Problems = {}
    if params.stop_loss and params.stop_atr:
        problems["stop_atr"] = "stop_atr must be empty when stop_loss is given: there is one stop loss."
    if params.size_by == "risk" and not (params.stop_loss or params.stop_atr):
        problems["size_by"] = "size_by must be equity or quote without a stop loss: there is no risk to size by."
    if params.size_by == "quote" and not params.size_quote:
        problems["size_quote"] = "size_quote is needed when the size is a fixed amount."
    if params.leverage != 1.0 and not terms.margin:
        problems["leverage"] = f"leverage must be 1 on a spot market, not {params.leverage:.15g}."
    problems |= _check_size(params, terms, allocation) | _check_targets(params, terms)
    return problems


class Side(NamedTuple):
    """Names of the two parameters that open and leave a position of a side."""

    entry: str
    exit: str


def check_sides(params: Exits, terms: Terms, long: Side, short: Side) -> Problems:
    """A bot that would never trade, sell short what cannot be, or hold a position that nothing ever leaves."""
    problems: Problems = {}
    if not getattr(params, long.entry) and not getattr(params, short.entry):
        problems[long.entry] = f"{long.entry} or {short.entry} must be given: the bot would never trade."
    if getattr(params, short.entry) and not terms.margin:
        problems[short.entry] = f"{short.entry} must be empty on a spot market: only a swap can be sold short."
    for side, other in ((long, short), (short, long)):
        reverses = params.opposite == "reverse" and getattr(params, other.entry)
        if getattr(params, side.entry) and not (getattr(params, side.exit) or params.leaves() or reverses):
            problems[side.exit] = f"{side.exit}, or another exit, must be given: the position would be held for ever."
    return problems


def _check_size(params: Exits, terms: Terms, allocation: float) -> Problems:
    most = allocation * params.leverage
    if params.size_by == "quote" and params.size_quote and params.size_quote > most:
        return {
            "size_quote": f"size_quote must be at most the allocation times the leverage ({most:.15g}), "
            f"not {params.size_quote:.15g}."
        }
    # Margin and fee together take the allocation; a size in quote holds the fee of a buy.
    net = most / (1.0 + params.leverage * terms.taker)
    quote = (params.size_quote or most) / (1.0 + terms.taker)
    sizes = {"quote": min(net, quote), "equity": net * params.size_equity / 100.0, "risk": net}
    if sizes[params.size_by] < terms.min_cost:
        return {
            "allocation": f"allocation must make a position of the market's minimum order {terms.min_cost:.15g}, "
            f"not one of {sizes[params.size_by]:.6g}."
        }
    return {}


def _check_targets(params: Exits, terms: Terms) -> Problems:
    try:
        steps = ladder(params.take_profit)
    except ValueError as error:
        return {"take_profit": f"take_profit {error}"}
    fees = terms.taker + max(terms.maker, terms.taker)
    if steps and steps[0][0] <= fees:
        return {
            "take_profit": f"take_profit must be above both fees, {100 * fees:.3g} %, not {100 * steps[0][0]:.3g} %: "
            "it would lose."
        }
    return {}


def vector(params: Exits) -> Column:
    steps = ladder(params.take_profit)
    steps += [(0.0, 0.0)] * (TARGETS - len(steps))
    return np.array(
        [
            SIZES.index(params.size_by),
            params.size_quote or 0.0,
            params.size_equity / 100.0,
            params.size_risk / 100.0,
            (params.stop_loss or 0.0) / 100.0,
            params.stop_atr or 0.0,
            params.trailing_activation / 100.0,
            (params.trailing_distance or 0.0) / 100.0,
            params.time_limit * 1000.0,
            params.cooldown * 1000.0,
            params.opposite == "reverse",
            *(target for target, _ in steps),
            *(share for _, share in steps),
        ],
        np.float64,
    )


def slots(params: Exits) -> int:
    """No more than are needed: every one is looked at whenever something happens."""
    steps = len(ladder(params.take_profit))
    if steps:
        return TARGET_SLOT + steps
    if params.trailing_distance:
        return TRAIL_SLOT + 1
    return STOP_SLOT + 1 if params.stop_loss or params.stop_atr else TRADE_SLOT + 1


def inputs_of(params: Exits) -> tuple[Value, ...]:
    """The values that must stand beside the signals."""
    return (Value("atr", (params.atr_period,), "atr"),) if params.stop_atr else ()
