"""Signal: enters and leaves on rules over prices and indicators that a trader types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bots.engine.simulate import Seen
from bots.engine.types import Terms
from bots.kinds.contract import Kind
from bots.kinds.directional import exits, layout, orders
from bots.kinds.directional.exits import Exits, Side
from bots.kinds.parameters import ParamsError, Problems, parameter
from bots.rules import evaluate
from bots.rules.parse import RuleError, parse
from bots.rules.tree import Condition
from markets.series import Candles, Column

# In the order of the bits of a signal.
RULES = ("long_entry", "long_exit", "short_entry", "short_exit")


@dataclass(frozen=True)
class Rules:
    long_entry: str = parameter(
        "text",
        "Buy when",
        "A rule such as: sma(10) crosses above sma(50) and rsi(14) < 70, or: close > ema(200)@4h. Empty: never.",
        default="",
    )
    long_exit: str = parameter(
        "text", "Sell when", "Leaves what was bought. Empty: only the exits below do.", default=""
    )
    short_entry: str = parameter("text", "Sell short when", "On a swap. Empty: never.", default="")
    short_exit: str = parameter(
        "text", "Buy back when", "Leaves what was sold short. Empty: only the exits below do.", default=""
    )


@dataclass(frozen=True)
class Params(Exits, Rules):
    """The rules first, then size and exits."""


def rules_of(params: Params) -> list[Condition | None]:
    """The rules in the order of the bits; None where none is given. Raises RuleError."""
    return [parse(text) if text else None for text in (getattr(params, name) for name in RULES)]


def vector(params: Params, terms: Terms) -> Column:
    return exits.vector(params)


def check(params: Params, terms: Terms, allocation: float) -> Problems:
    problems = _broken(params) | exits.check_sides(params, terms, Side(*RULES[:2]), Side(*RULES[2:]))
    return exits.check_exits(params, terms, allocation) | problems


def _broken(params: Params) -> Problems:
    problems: Problems = {}
    for name in RULES:
        try:
            if text := getattr(params, name):
                parse(text)
        except RuleError as error:
            problems[name] = f"{name}, {error}"
    return problems


def lead(params: Params, timeframe: int) -> int:
    """Raises ParamsError about rules that need more candles than are loaded, or a timeframe that cannot be made."""
    needed = 1
    problems: Problems = {}
    for name, rule in zip(RULES, rules_of(params), strict=True):
        try:
            needed = max(needed, evaluate.lead([rule], timeframe, exits.inputs_of(params)))
        except ValueError as error:
            problems[name] = f"{name}: {error}"
    if problems:
        raise ParamsError(problems)
    return needed


def observe(params: Params, candles: Candles, timeframe: int, columns: Mapping[str, Column]) -> Seen:
    rules, beside = rules_of(params), exits.inputs_of(params)
    return Seen(*evaluate.signals_and_values(rules, beside, candles, timeframe, columns))


KIND = Kind(
    slug="signal",
    label="Signal",
    summary="Enters and leaves on rules over prices and indicators, with stop loss, targets and trailing stop.",
    suits="Suits a rule of your own, tested on the past first; trends and breakouts most of all.",
    params=Params,
    slots=exits.slots,
    vector=vector,
    check=check,
    on_start=orders.on_start,
    on_fill=orders.on_fill,
    on_bar=orders.on_bar,
    example={"long_entry": "sma(10) crosses above sma(50)", "long_exit": "sma(10) crosses below sma(50)"},
    tags=layout.TAGS,
    reasons=layout.REASONS,
    notes=layout.NOTES,
    lead=lead,
    observe=observe,
)
