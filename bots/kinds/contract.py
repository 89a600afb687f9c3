"""What a bot kind is: its parameters, and the functions that say which orders it wants.

The parameters are a frozen dataclass whose fields are made by parameter(): forms, validation, command, API and docs
all come from there. The functions are compiled with numba and see nothing but their arguments.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from bots.engine.types import Terms
from markets.series import Column


class ParamsError(ValueError):
    """Parameters that cannot be used. problems: field name -> one sentence; the empty name is for the whole."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        super().__init__(" ".join(self.problems.values()))


@dataclass(frozen=True, slots=True)
class Parameter:
    """One field of a kind's parameters, as a person sees it."""

    name: str
    type: Literal["price", "number", "whole", "flag", "choice"]
    label: str
    help: str
    unit: str = ""
    default: Any = None
    required: bool = False
    least: float | None = None
    most: float | None = None
    choices: tuple[tuple[str, str], ...] = ()

    def read(self, value: Any) -> Any:
        """The value as the engine wants it. Raises ValueError with a sentence without a subject."""
        if value is None or value == "":
            if self.required:
                raise ValueError("is needed.")
            return self.default
        if self.type == "flag":
            return self._flag(value)
        if self.type == "choice":
            return self._choice(value)
        return self._number(value)

    def _flag(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError(f"must be true or false, not {value!r}.")
        return value

    def _choice(self, value: Any) -> str:
        names = [name for name, _ in self.choices]
        if value not in names:
            raise ValueError(f"must be one of {', '.join(names)}, not {value!r}.")
        return str(value)

    def _number(self, value: Any) -> float | int:
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
            raise ValueError(f"must be a number, not {value!r}.")
        try:
            number = float(value)
        except (ValueError, OverflowError):
            raise ValueError(f"must be a number, not {value!r}.") from None
        if not math.isfinite(number):
            raise ValueError(f"must be a finite number, not {value!r}.")
        if self.type == "whole" and number != int(number):
            raise ValueError(f"must be a whole number, not {number:.15g}.")
        if self.least is not None and number < self.least:
            raise ValueError(f"must be at least {self.least:.15g}{self._space_unit}, not {number:.15g}.")
        if self.most is not None and number > self.most:
            raise ValueError(f"must be at most {self.most:.15g}{self._space_unit}, not {number:.15g}.")
        return int(number) if self.type == "whole" else number

    @property
    def _space_unit(self) -> str:
        return f" {self.unit}" if self.unit else ""


def parameter(type: Literal["price", "number", "whole", "flag", "choice"], label: str, help: str, **rest: Any) -> Any:
    """A dataclass field with what a person must know about it; `default` absent means required."""
    required = "default" not in rest
    described = {"type": type, "label": label, "help": help, "required": required, **rest}
    return field(**({} if required else {"default": rest["default"]}), metadata=described, kw_only=True)


Problems = dict[str, str]


@dataclass(frozen=True, eq=False, slots=True)
class Kind:
    """A bot kind.

    slots(params): how many orders it may want at once. vector(params, terms): the parameters as the compiled
    functions read them, float64. check(params, terms, allocation): sentences about parameters that do not fit each
    other, the market or the money. on_start(run, orders, setup, params, notes, price), on_fill(…, trade) and
    on_bar(…, inputs) change orders through bots.engine.orders. example is a set of parameters for prices around 100;
    tags and notes give the words for their numbers,
    reasons the words for why an order of a tag is there; in a note's text {price} and {value} stand for its figures.
    """

    slug: str
    label: str
    summary: str
    params: type[Any]
    slots: Callable[[Any], int]
    vector: Callable[[Any, Terms], Column]
    check: Callable[[Any, Terms, float], Problems]
    on_start: Any
    on_fill: Any
    on_bar: Any
    example: Mapping[str, Any]
    tags: tuple[str, ...]
    reasons: Mapping[str, str]
    notes: Mapping[int, str]
    warnings: frozenset[int] = frozenset()  # notes that a person should look at

    def parameters(self) -> list[Parameter]:
        return [
            Parameter(name=entry.name, **entry.metadata) for entry in dataclasses.fields(self.params) if entry.metadata
        ]

    def read(self, raw: Mapping[str, Any]) -> Any:
        """Params from JSON-like input, each value checked by itself. Raises ParamsError naming every bad field."""
        described = {entry.name: entry for entry in self.parameters()}
        problems = {name: self._unknown(name, list(described)) for name in raw if name not in described}
        values = {}
        for name, entry in described.items():
            try:
                values[name] = entry.read(raw.get(name))
            except ValueError as error:
                problems[name] = f"{name} {error}"
        if problems:
            raise ParamsError(problems)
        return self.params(**values)

    def validate(self, raw: Mapping[str, Any], terms: Terms, allocation: float) -> Any:
        """Params that fit each other, the market and the money. Raises ParamsError."""
        params = self.read(raw)
        problems = self.check(params, terms, allocation)
        if problems:
            raise ParamsError(problems)
        return params

    def _unknown(self, name: str, names: list[str]) -> str:
        near = difflib.get_close_matches(name, names, 1)
        hint = f"did you mean {near[0]}?" if near else f"it knows {', '.join(names)}."
        return f"{name} is not a parameter of the {self.slug} kind: {hint}"
