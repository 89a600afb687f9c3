"""Typed parameters: one dataclass field says its bounds, unit and words; forms, validation, API and docs follow it."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, TypeVar

Type = Literal["price", "number", "whole", "flag", "choice", "text"]
LONGEST_TEXT = 1000
LARGEST = 1e15  # of a number that has no bound of its own: beyond it a float has no cents
Problems = dict[str, str]  # field name -> one sentence
T = TypeVar("T")


class ParamsError(ValueError):
    """Parameters that cannot be used. problems: field name -> one sentence; the empty name is for the whole."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        super().__init__(" ".join(self.problems.values()))


@dataclass(frozen=True, slots=True)
class Parameter:
    """One field of a kind's parameters, as a person sees it."""

    name: str
    type: Type
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
        if self.type == "text":
            return self._text(value)
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

    def _text(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError(f"must be a text, not {value!r}.")
        if len(value) > LONGEST_TEXT:
            raise ValueError(f"must be at most {LONGEST_TEXT} characters long, not {len(value)}.")
        return value.strip()

    def _number(self, value: Any) -> float | int:
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
            raise ValueError(f"must be a number, not {value!r}.")
        if isinstance(value, str) and (not value.isascii() or "_" in value):  # Python reads "１_0" as 10
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


def parameter(type: Type, label: str, help: str, **rest: Any) -> Any:
    """A dataclass field with what a person must know about it; `default` absent means required."""
    required = "default" not in rest
    if type in ("price", "number", "whole"):
        rest.setdefault("most", LARGEST)
    described = {"type": type, "label": label, "help": help, "required": required, **rest}
    return field(**({} if required else {"default": rest["default"]}), metadata=described, kw_only=True)


def parameters_of(params: type[Any]) -> list[Parameter]:
    """What a person must know about each field of a dataclass whose fields are made by parameter()."""
    return [Parameter(name=entry.name, **entry.metadata) for entry in dataclasses.fields(params) if entry.metadata]


def read(params: type[T], raw: Mapping[str, Any], what: str) -> T:
    """An instance from JSON-like input, each value checked by itself; what: of what it is, for the sentences.

    Raises ParamsError naming every bad field.
    """
    described = {entry.name: entry for entry in parameters_of(params)}
    problems = {name: _unknown(name, list(described), what) for name in raw if name not in described}
    values = {}
    for name, entry in described.items():
        try:
            values[name] = entry.read(raw.get(name))
        except ValueError as error:
            problems[name] = f"{name} {error}"
    if problems:
        raise ParamsError(problems)
    return params(**values)


def _unknown(name: str, names: list[str], what: str) -> str:
    near = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]}?" if near else f"it knows {', '.join(names)}."
    return f"{name} is not a parameter of {what}: {hint}"
