"""What a bot kind is: its parameters, and the functions that say which orders it wants.

The parameters are a frozen dataclass whose fields are made by parameter(): forms, validation, command, API and docs
all come from there. The functions are compiled with numba and see nothing but their arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bots.engine.simulate import Seen
from bots.engine.types import Terms
from bots.kinds.parameters import Parameter, ParamsError, Problems, parameters_of, read
from markets.series import Candles, Column


def no_columns(params: Any) -> tuple[str, ...]:
    """Of a kind that looks at candles alone, or at nothing."""
    return ()


@dataclass(frozen=True, eq=False, slots=True)
class Kind:
    """A bot kind.

    slots(params): how many orders it may want at once. vector(params, terms): the parameters as the compiled
    functions read them, float64. check(params, terms, allocation): sentences about parameters that do not fit each
    other, the market or the money. on_start(run, orders, setup, params, notes, price), on_fill(…, trade) and
    on_bar(…, signal, inputs) change orders through bots.engine.orders. example is a set of parameters for prices
    around 100; tags and notes give the words for their numbers ("close" is one of the tags), reasons the words for why
    an order of a tag is there; in a note's text {price} and {value} stand for its figures.

    observe(params, candles, timeframe in s, columns) says at which closes on_bar is called, and with what;
    lead(params, timeframe) how many candles it must be shown before the first one that counts; columns are further
    series aligned with the candles, by name: those that columns(params) asks for, slugs of models whose predictions
    (bots/forecasts/) they hold, NaN where there is none.

    suits: for which market or wish it is made, and what speaks against it, in a sentence or two.

    margin: it needs a market that is traded on margin, a swap; its parameters may have a field `leverage`.
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
    suits: str = ""
    warnings: frozenset[int] = frozenset()  # notes that a person should look at
    margin: bool = False
    columns: Callable[[Any], tuple[str, ...]] = no_columns
    lead: Callable[[Any, int], int] | None = None
    observe: Callable[[Any, Candles, int, Mapping[str, Column]], Seen] | None = None
    # first_order(params, terms, allocation): quote value of the order that opens a position, where it is known before.
    first_order: Callable[[Any, Terms, float], float] | None = None

    def parameters(self) -> list[Parameter]:
        return parameters_of(self.params)

    def read(self, raw: Mapping[str, Any]) -> Any:
        """Params from JSON-like input, each value checked by itself. Raises ParamsError naming every bad field."""
        return read(self.params, raw, f"the {self.slug} kind")

    def validate(self, raw: Mapping[str, Any], terms: Terms, allocation: float) -> Any:
        """Params that fit each other, the market and the money. Raises ParamsError."""
        if self.margin and not terms.margin:
            raise ParamsError({"market": f"market must be a swap for the {self.slug} kind, not spot."})
        params = self.read(raw)
        problems = self.check(params, terms, allocation)
        if problems:
            raise ParamsError(problems)
        return params
