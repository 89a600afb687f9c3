"""What a rule is made of: numbers (columns, indicators, arithmetic) and conditions over them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from markets.indicators import indicator
from markets.series import TIMEFRAME_NAMES

Operator: TypeAlias = Literal["+", "-", "*", "/"]
Comparison: TypeAlias = Literal["<", "<=", ">", ">=", "==", "!="]


@dataclass(frozen=True, slots=True)
class Constant:
    value: float


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the candles, or one aligned with them. timeframe: seconds, 0 for the bot's own."""

    name: str
    timeframe: int = 0

    def __str__(self) -> str:
        return self.name + _at(self.timeframe)


@dataclass(frozen=True, slots=True)
class Value:
    """An output of an indicator; parameters in the declared order. timeframe: seconds, 0 for the bot's own."""

    indicator: str
    parameters: tuple[float, ...]
    output: str
    timeframe: int = 0

    def __str__(self) -> str:
        main = self.output == indicator(self.indicator).outputs[0]
        output = "" if main else f".{self.output}"
        given = ", ".join(f"{number:.15g}" for number in self.parameters)
        return f"{self.indicator}{output}({given}){_at(self.timeframe)}"


@dataclass(frozen=True, slots=True)
class Arithmetic:
    operator: Operator
    left: Number
    right: Number


@dataclass(frozen=True, slots=True)
class Compare:
    operator: Comparison
    left: Number
    right: Number


@dataclass(frozen=True, slots=True)
class Cross:
    """above: left - right goes from 0 or less to more; else from 0 or more to less."""

    above: bool
    left: Number
    right: Number


@dataclass(frozen=True, slots=True)
class Both:
    left: Condition
    right: Condition


@dataclass(frozen=True, slots=True)
class Either:
    left: Condition
    right: Condition


@dataclass(frozen=True, slots=True)
class Not:
    condition: Condition


Source: TypeAlias = Column | Value
Number: TypeAlias = Constant | Source | Arithmetic
Condition: TypeAlias = Compare | Cross | Both | Either | Not
Node: TypeAlias = Number | Condition


def _at(timeframe: int) -> str:
    return f"@{TIMEFRAME_NAMES[timeframe]}" if timeframe else ""


def sources(node: Node) -> Iterator[Source]:
    """The columns and indicators that a rule reads, as often as it names them."""
    if isinstance(node, Column | Value):
        yield node
    elif isinstance(node, Not):
        yield from sources(node.condition)
    elif not isinstance(node, Constant):
        yield from sources(node.left)
        yield from sources(node.right)


def compared(rule: Condition) -> Iterator[tuple[Number, Number]]:
    """The pairs of numbers whose difference a rule looks at, as often as it does."""
    if isinstance(rule, Not):
        yield from compared(rule.condition)
    elif isinstance(rule, Both | Either):
        yield from compared(rule.left)
        yield from compared(rule.right)
    else:
        yield rule.left, rule.right
