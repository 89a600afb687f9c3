"""What kinds with a fixed range of price lines ask for: the same names, words and bounds in each."""

from __future__ import annotations

from typing import Any

from bots.kinds.parameters import parameter


def lower_parameter() -> Any:
    return parameter("price", "Lower price", "Lowest price line.", unit="quote", least=1e-12)


def upper_parameter() -> Any:
    return parameter("price", "Upper price", "Highest price line.", unit="quote", least=1e-12)


def lines_parameter(most: int) -> Any:
    return parameter(
        "whole", "Price lines", "Both ends included: 20 lines make 19 grids.", least=2, most=most, default=20
    )


def spacing_parameter() -> Any:
    return parameter(
        "choice",
        "Spacing",
        "Equal steps in price, or equal steps in percent.",
        choices=(("arithmetic", "Arithmetic"), ("geometric", "Geometric")),
        default="arithmetic",
    )


def size_parameter() -> Any:
    return parameter(
        "choice",
        "Order size",
        "The same amount of base, or the same value in quote, in every grid.",
        choices=(("base", "Equal base"), ("quote", "Equal quote")),
        default="base",
    )
