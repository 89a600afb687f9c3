"""Text -> rule. What cannot be read gets one sentence: where, what was expected, and the nearest name. Pure."""

from __future__ import annotations

import difflib
import math
from functools import cache, lru_cache
from typing import Any, Final, cast, get_args

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from bots.rules.tree import (
    Arithmetic,
    Both,
    Column,
    Compare,
    Comparison,
    Condition,
    Constant,
    Cross,
    Either,
    Node,
    Not,
    Number,
    Operator,
    Value,
    sources,
)
from markets.indicators import INDICATORS
from markets.series import TIMEFRAMES, VALUES, timeframe_seconds

DEEPEST: Final = 100  # levels of a rule
GRAMMAR: Final = r"""
?start: either
?either: both | either "or" both -> either
?both: negated | both "and" negated -> both
?negated: comparison | "not" negated -> negation
?comparison: sum
    | sum COMPARISON sum -> compare
    | sum "crosses" DIRECTION sum -> cross
?sum: product | sum SIGN product -> arithmetic
?product: unary | product SCALE unary -> arithmetic
?unary: atom | SIGN unary -> signed
?atom: NUMBER -> constant
    | source
    | "(" either ")"
source: NAME output arguments timeframe
output: ["." NAME]
arguments: ["(" [argument ("," argument)*] ")"]
argument: [SIGN] NUMBER
timeframe: ["@" TIMEFRAME]

COMPARISON: "<=" | ">=" | "==" | "!=" | "<" | ">"
DIRECTION: "above" | "below"
SIGN: "+" | "-"
SCALE: "*" | "/"
NAME: /[a-z_][a-z_0-9]*/
TIMEFRAME: /[0-9]+[a-z]+/
NUMBER: /(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?/
%ignore /\s+/
"""
# Terminal -> its words, in the order in which a sentence names them.
WORDS: Final = {
    "NUMBER": "a number",
    "NAME": "a name",
    "TIMEFRAME": "a timeframe",
    "COMPARISON": "a comparison",
    "CROSSES": '"crosses"',
    "DIRECTION": '"above" or "below"',
    "AND": '"and"',
    "OR": '"or"',
    "LPAR": '"("',
    "COMMA": '","',
    "RPAR": '")"',
    "$END": "the end",
}
KEYWORDS: Final = {"AND": ["and"], "OR": ["or"], "CROSSES": ["crosses"], "DIRECTION": ["above", "below"]}
CONDITIONS: Final = (Compare, Cross, Both, Either, Not)


class RuleError(ValueError):
    """A rule that cannot be read. position: of the character that it is about, from 1 on."""

    def __init__(self, position: int, sentence: str) -> None:
        super().__init__(f"at character {position}: {sentence}")
        self.position = position


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", propagate_positions=True)


@lru_cache(maxsize=4096)
def parse(text: str) -> Condition:
    """The condition a text stands for; upper and lower case are the same. Raises RuleError."""
    for at, letter in enumerate(text):
        # Others change their length with their case, or are digits elsewhere.
        if not letter.isascii():
            raise RuleError(at + 1, f"{letter!r} means nothing here.")
    try:
        tree = _parser().parse(text.lower())
    except UnexpectedCharacters as error:
        at = int(error.pos_in_stream or 0)
        raise RuleError(at + 1, f"{text[at]!r} means nothing here.") from None
    except UnexpectedToken as error:
        raise _unexpected(text, error) from None
    rule = _condition(tree, 0, "a rule")
    if not any(sources(rule)):
        raise RuleError(1, "a rule must name a column or an indicator.")
    return rule


def _unexpected(text: str, error: UnexpectedToken) -> RuleError:
    expected = set(error.accepts or error.expected)
    words = [word for terminal, word in WORDS.items() if terminal in expected]
    listed = ", ".join(words[:-1]) + " or " * (len(words) > 1) + words[-1]
    if error.token.type == "$END":
        return RuleError(len(text) + 1, f"the rule ends where {listed} was expected.")
    keywords = [word for terminal in KEYWORDS if terminal in expected for word in KEYWORDS[terminal]]
    hint = _nearest(error.token, keywords) or "."
    return RuleError(_position(error.token), f"expected {listed}, not {str(error.token)!r}{hint}")


def _nearest(name: str, names: list[str]) -> str:
    """The end of a sentence about a wrong name; empty when none is near."""
    near = difflib.get_close_matches(name, names, 1)
    return f"; did you mean {near[0]}?" if near else ""


def _position(part: Token | Tree[Token]) -> int:
    start = part.start_pos if isinstance(part, Token) else part.meta.start_pos
    return (start or 0) + 1


def _node(tree: Tree[Token], depth: int) -> Node:
    """A rule's tree of our own out of the parser's."""
    if depth > DEEPEST:
        raise RuleError(_position(tree), f"the rule is nested deeper than {DEEPEST} levels.")
    return _BUILDERS[tree.data](tree, depth + 1)


def _condition(tree: Any, depth: int, what: str) -> Condition:
    node = _node(tree, depth)
    if not isinstance(node, CONDITIONS):
        raise RuleError(_position(tree), f"{what} must be a condition such as close > sma(20), not a number.")
    return node


def _number(tree: Any, depth: int, what: str) -> Number:
    node = _node(tree, depth)
    if isinstance(node, CONDITIONS):
        raise RuleError(_position(tree), f"what {what} must be a number, not a condition.")
    return node


def _either(tree: Tree[Token], depth: int) -> Node:
    return Either(*(_condition(part, depth, "each side of or") for part in tree.children))


def _both(tree: Tree[Token], depth: int) -> Node:
    return Both(*(_condition(part, depth, "each side of and") for part in tree.children))


def _negation(tree: Tree[Token], depth: int) -> Node:
    return Not(_condition(tree.children[0], depth, "what follows not"))


def _compare(tree: Tree[Token], depth: int) -> Node:
    left, operator, right = tree.children
    assert operator in get_args(Comparison)
    what = f"{operator} compares"
    return Compare(cast(Comparison, str(operator)), _number(left, depth, what), _number(right, depth, what))


def _cross(tree: Tree[Token], depth: int) -> Node:
    left, direction, right = tree.children
    return Cross(direction == "above", _number(left, depth, "crosses"), _number(right, depth, "is crossed"))


def _arithmetic(tree: Tree[Token], depth: int) -> Node:
    left, operator, right = tree.children
    what = f"stands beside {operator}"
    return Arithmetic(cast(Operator, str(operator)), _number(left, depth, what), _number(right, depth, what))


def _signed(tree: Tree[Token], depth: int) -> Node:
    sign, part = tree.children
    number = _number(part, depth, f"follows {sign}")
    return number if sign == "+" else Arithmetic("-", Constant(0.0), number)


def _constant(tree: Tree[Token], depth: int) -> Node:
    number = float(str(tree.children[0]))
    if not math.isfinite(number):
        raise RuleError(_position(tree), f"a number must be below 1.8e308, not {tree.children[0]}.")
    return Constant(number)


def _source(tree: Tree[Token], depth: int) -> Node:
    """A column or an indicator by its name."""
    name, output, arguments, timeframe = cast(tuple[Token, Tree[Token], Tree[Token], Tree[Token]], tree.children)
    values = [_argument(part) for part in arguments.children if isinstance(part, Tree)]
    seconds = _timeframe(timeframe)
    if name in VALUES:
        if output.children[0] or any(child is not None for child in arguments.children):
            raise RuleError(_position(name), f"{name} is a column: it takes no numbers and has no outputs.")
        return Column(str(name), seconds)
    if name not in INDICATORS:
        names = [*INDICATORS, *VALUES]
        hint = _nearest(name, names) or f"; there are {', '.join(names)}."
        raise RuleError(_position(name), f"no column or indicator is called {str(name)!r}{hint}")
    try:
        parameters = INDICATORS[name].parameters(values)
    except ValueError as error:
        raise RuleError(_position(name), f"{name} {error}") from None
    return Value(str(name), tuple(parameters.values()), _output(name, output), seconds)


def _argument(tree: Tree[Token]) -> float:
    sign, number = tree.children
    return float(str(number)) * (-1.0 if sign == "-" else 1.0)


def _output(name: Token, tree: Tree[Token]) -> str:
    outputs, chosen = INDICATORS[name].outputs, cast(Token | None, tree.children[0])
    if chosen is None:
        return outputs[0]
    if chosen not in outputs:
        raise RuleError(_position(chosen), f"{name} has {', '.join(outputs)}, not {str(chosen)!r}.")
    return str(chosen)


def _timeframe(tree: Tree[Token]) -> int:
    chosen = cast(Token | None, tree.children[0])
    if chosen is None:
        return 0
    if chosen not in TIMEFRAMES:
        raise RuleError(_position(chosen), f"timeframe must be one of {', '.join(TIMEFRAMES)}, not {str(chosen)!r}.")
    return timeframe_seconds(chosen)


_BUILDERS: Final = {
    "either": _either,
    "both": _both,
    "negation": _negation,
    "compare": _compare,
    "cross": _cross,
    "arithmetic": _arithmetic,
    "signed": _signed,
    "constant": _constant,
    "source": _source,
}
