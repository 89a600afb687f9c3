"""What kinds that enter on a signal share: sizes, stops, targets, time limits, and the orders that come of them.

A bit of the signal at a close asks for an entry or an exit at the next price. Once in, the stop loss, the trailing stop
and the ladder of take profits are alternatives: each of them takes what is left, and a target that is hit shrinks the
stops.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np

from bots.engine.kernel import inlined, kernel
from bots.engine.orders import alarm, cancel, cancel_all, note, place, place_cost
from bots.engine.types import BUY, KIND_NOTE, LIMIT, MARKET, NEVER, NONE, SELL, STOP, TRAIL, Terms
from bots.kinds.parameters import Problems, parameter
from bots.risk import NOISE
from bots.rules.tree import Value
from markets.series import Column

LONG_ENTRY, LONG_EXIT, SHORT_ENTRY, SHORT_EXIT = 1, 2, 4, 8  # bits of a signal
TAGS: Final = (
    "", "long entry", "short entry", "exit", "reversal", "stop loss", "take profit", "trailing stop", "time limit",
    "activation", "close",
)  # fmt: skip
LONG, SHORT, EXIT, REVERSAL, STOP_LOSS, TAKE_PROFIT, TRAILING, TIME_LIMIT, ACTIVATION, CLOSE = range(1, 11)
NOT_KNOWN, COOLS_DOWN, IS_HELD, CONTRADICTS = range(KIND_NOTE, KIND_NOTE + 4)
TARGETS: Final = 4
REASONS: Final = {
    "long entry": "the entry rule was true",
    "short entry": "the entry rule was true",
    "exit": "the exit rule was true",
    "reversal": "the entry rule of the other side was true",
    "stop loss": "the stop loss was touched",
    "take profit": "a target was reached",
    "trailing stop": "the price turned by the trailing distance",
    "time limit": "the time limit was over",
    "close": "the bot ended and closes what it holds",
}
NOTES: Final = {
    NOT_KNOWN: "An entry was signalled at {price}, but the distance of its stop is not known yet: not entered.",
    COOLS_DOWN: "An entry was signalled at {price} during the cooldown: not entered.",
    IS_HELD: "An entry was signalled at {price} while entries are held: not entered.",
    CONTRADICTS: "Entries of both sides, or an entry and its exit, were signalled at {price}: not entered.",
}

# Slots. A market order enters or leaves.
_TRADE, _STOP, _TRAIL, _TARGET = range(4)
# Layout of the parameter vector; the ladder's targets, then its shares, stand at the end.
_BY, _QUOTE, _EQUITY, _RISK, _LOSS, _ATRS, _ACTIVATE, _DISTANCE, _TIME, _COOLDOWN, _REVERSE, _LADDER = range(12)
_BY_QUOTE, _BY_EQUITY, _BY_RISK = range(3)
SIZES: Final = ("quote", "equity", "risk")
# Memory.
_NEXT, _ATR, _ASKED, _COOL_UNTIL, _PRICE, _SIZE = range(6)


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
    sizes = {"quote": params.size_quote or most, "equity": most * params.size_equity / 100.0, "risk": most}
    if sizes[params.size_by] < terms.min_cost:
        return {
            "allocation": f"allocation must make a position of the market's minimum order {terms.min_cost:.15g}, "
            f"not one of {sizes[params.size_by]:.15g}."
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


def exits_vector(params: Exits) -> Column:
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
        return _TARGET + steps
    if params.trailing_distance:
        return _TRAIL + 1
    return _STOP + 1 if params.stop_loss or params.stop_atr else _TRADE + 1


def inputs_of(params: Exits) -> tuple[Value, ...]:
    """The values that must stand beside the signals."""
    return (Value("atr", (params.atr_period,), "atr"),) if params.stop_atr else ()


@kernel
def held(run: Any) -> int:
    """Side of the position, 0 when there is none but float noise."""
    if abs(run["position"]) <= NOISE * run["memory"][_SIZE]:
        return 0
    return BUY if run["position"] > 0.0 else SELL


@kernel
def stop_distance(params: Any, price: float, atr: float) -> float:
    """Of the stop loss from the entry, as a fraction of the price; 0 for none."""
    if params[_ATRS] > 0.0:
        return float(params[_ATRS] * atr / price)
    return float(params[_LOSS])


@kernel
def money(run: Any, setup: Any, params: Any, side: int) -> float:
    """Quote money for a position, its entry fee included: never more than the margin allows."""
    fee = setup["taker"]
    leverage = max(setup["leverage"], 1.0)
    # Margin and fee together take the equity: n / leverage + n fee = equity.
    most = run["cash"] * leverage / (1.0 + leverage * fee)
    if side == BUY:
        most *= 1.0 + fee
    if params[_BY] == _BY_QUOTE:
        return float(min(most, params[_QUOTE]))
    if params[_BY] == _BY_RISK:
        distance = stop_distance(params, run["price"], run["memory"][_ATR]) + 2.0 * fee
        return float(min(most, run["cash"] * params[_RISK] / distance))
    return float(most * params[_EQUITY])


@kernel
def enter(run: Any, orders: Any, setup: Any, params: Any, notes: Any, side: int) -> None:
    """Want a position at the next price."""
    run["memory"][_NEXT] = 0.0
    if params[_ATRS] > 0.0 and not run["memory"][_ATR] > 0.0:
        note(run, notes, NOT_KNOWN, _TRADE, 0.0)
        return
    tag = LONG if side == BUY else SHORT
    place_cost(run, orders, setup, notes, _TRADE, side, money(run, setup, params, side), tag)
    if orders[_TRADE]["type"] < NONE:
        # A signal is for now: released hours later it would be another one.
        cancel(orders, _TRADE)
        note(run, notes, IS_HELD, _TRADE, 0.0)


@kernel
def leave(run: Any, orders: Any, setup: Any, notes: Any, tag: int) -> None:
    """Want the position gone at the next price."""
    cancel_all(orders)
    side = SELL if run["position"] > 0.0 else BUY
    place(run, orders, setup, notes, _TRADE, MARKET, side, 0.0, abs(run["position"]), tag)


@kernel
def guard(run: Any, orders: Any, setup: Any, params: Any, notes: Any, side: int) -> None:
    """Place what leaves a fresh position: stop loss, trailing stop or the alarm that arms it, targets."""
    price, size = run["memory"][_PRICE], abs(run["position"])
    distance = stop_distance(params, price, run["memory"][_ATR])
    if distance > 0.0 and distance * side < 1.0:
        place(run, orders, setup, notes, _STOP, STOP, -side, price * (1.0 - side * distance), size, STOP_LOSS)
    if params[_DISTANCE] > 0.0 and params[_ACTIVATE] > 0.0:
        alarm(run, orders, _TRAIL, side, price * (1.0 + side * params[_ACTIVATE]), ACTIVATION)
    elif params[_DISTANCE] > 0.0:
        trail(run, orders, setup, params, notes, side, price)
    left, shares = size, 0.0
    for step in range(TARGETS):
        target, share = params[_LADDER + step], params[_LADDER + TARGETS + step]
        limit = price * (1.0 + side * target)
        if share == 0.0 or limit <= 0.0:
            break
        shares += share
        # The last of a full ladder takes what rounding left.
        amount = left if shares >= 1.0 - NOISE else size * share
        if place(run, orders, setup, notes, _TARGET + step, LIMIT, -side, limit, amount, TAKE_PROFIT):
            left -= orders[_TARGET + step]["amount"]


@kernel
def trail(run: Any, orders: Any, setup: Any, params: Any, notes: Any, side: int, price: float) -> None:
    """A trailing stop whose best price so far is `price`."""
    distance = params[_DISTANCE]
    trigger = price * (1.0 - side * distance)
    place(run, orders, setup, notes, _TRAIL, TRAIL, -side, trigger, abs(run["position"]), TRAILING, distance)


@kernel
def shrink(run: Any, orders: Any, setup: Any, notes: Any) -> None:
    """A target was hit: the stops are for what is left."""
    size = abs(run["position"])
    for slot in range(_STOP, _TARGET):
        order = orders[slot]
        if order["type"] == STOP or order["type"] == TRAIL:
            place(
                run, orders, setup, notes, slot, order["type"], order["side"], order["price"], size, order["tag"],
                order["distance"],
            )  # fmt: skip


@kernel
def left_position(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """Nothing is held any more: withdraw the rest, and go on to the other side if that is what it was for."""
    cancel_all(orders)
    run["wake_time"] = NEVER
    side = int(run["memory"][_NEXT])
    if side != 0:
        enter(run, orders, setup, params, notes, side)
    else:
        run["memory"][_COOL_UNTIL] = run["time"] + params[_COOLDOWN]


@kernel
def on_start(run: Any, orders: Any, setup: Any, params: Any, notes: Any, price: float) -> None:
    """Waits for its first signal."""


@inlined
def on_fill(run: Any, orders: Any, setup: Any, params: Any, notes: Any, trade: Any) -> None:
    tag = trade["tag"]
    if tag in (LONG, SHORT):
        run["memory"][_PRICE], run["memory"][_SIZE] = trade["price"], trade["amount"]
        guard(run, orders, setup, params, notes, trade["side"])
        if params[_TIME] > 0.0:
            run["wake_time"] = int(run["memory"][_ASKED] + params[_TIME])
    elif tag == ACTIVATION:
        trail(run, orders, setup, params, notes, trade["side"], run["price"])
    elif held(run) == 0:
        left_position(run, orders, setup, params, notes)
    elif tag == TAKE_PROFIT:
        shrink(run, orders, setup, notes)


@kernel
def turn(run: Any, orders: Any, setup: Any, params: Any, notes: Any, asked: int, side: int) -> None:
    """A signal while a position of `side` is held."""
    out, other, other_out = (LONG_EXIT, SHORT_ENTRY, SHORT_EXIT) if side == BUY else (SHORT_EXIT, LONG_ENTRY, LONG_EXIT)
    exits = asked & out != 0
    enters = asked & other != 0 and asked & other_out == 0
    if enters and (exits or params[_REVERSE] != 0.0):
        run["memory"][_NEXT] = -side
        leave(run, orders, setup, notes, REVERSAL)
    elif exits:
        leave(run, orders, setup, notes, EXIT)


@kernel
def begin(run: Any, orders: Any, setup: Any, params: Any, notes: Any, asked: int) -> None:
    """A signal while nothing is held."""
    entries = asked & (LONG_ENTRY | SHORT_ENTRY)
    if entries == 0:
        return
    side = BUY if entries == LONG_ENTRY else SELL
    if entries == LONG_ENTRY | SHORT_ENTRY or asked & (LONG_EXIT if side == BUY else SHORT_EXIT) != 0:
        note(run, notes, CONTRADICTS, _TRADE, 0.0)
    elif run["time"] < run["memory"][_COOL_UNTIL]:
        note(run, notes, COOLS_DOWN, _TRADE, run["memory"][_COOL_UNTIL])
    else:
        enter(run, orders, setup, params, notes, side)


@inlined
def on_bar(run: Any, orders: Any, setup: Any, params: Any, notes: Any, signal: int, inputs: Any) -> None:
    side = held(run)
    if signal != 0:
        # The time limit counts from the candle that asked, and the stop is its average range away.
        run["memory"][_ASKED] = run["time"]
        if params[_ATRS] > 0.0:
            run["memory"][_ATR] = inputs[0]
        if side == 0:
            begin(run, orders, setup, params, notes, signal)
        else:
            turn(run, orders, setup, params, notes, signal, side)
    if run["time"] >= run["wake_time"]:
        run["wake_time"] = NEVER
        if side != 0 and orders[_TRADE]["type"] != MARKET:
            leave(run, orders, setup, notes, TIME_LIMIT)
