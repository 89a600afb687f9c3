"""DCA: a base order, safety orders that buy a fall at growing distances, and take profits for all of it.

A deal begins with the base order at P0. Safety order k rests at P0 (1 − D_k), D_k = s (m^k − 1) / (m − 1) with step
s and step scale m (k s when m is 1), for safety_order v^(k − 1) quote with volume scale v; or a list gives both. Each
safety fill moves the targets: on the total, cost (1 + tp) / amount; on the base order, (cost + base tp) / amount; cost
with fees paid. A stop lies below the base order and may move to where the deal loses nothing.
"""

from __future__ import annotations

from bots.engine.types import Terms
from bots.kinds.contract import Kind
from bots.kinds.dca.checks import check
from bots.kinds.dca.deal import on_bar, on_fill, on_start
from bots.kinds.dca.layout import LOST, NOTES, TAGS
from bots.kinds.dca.params import Params, slots, vector


def first_order(params: Params, terms: Terms, allocation: float) -> float:
    return params.base_order


KIND = Kind(
    slug="dca",
    label="DCA",
    summary="Buys a falling price in growing steps and sells everything at one profit.",
    suits="Suits markets that fall and recover. Each further order needs money, so a long fall ties all of it up.",
    params=Params,
    slots=slots,
    vector=vector,
    check=check,
    first_order=first_order,
    on_start=on_start,
    on_fill=on_fill,
    on_bar=on_bar,
    example={"base_order": 100.0, "safety_order": 100.0},
    tags=TAGS,
    reasons={
        "base order": "a deal begins",
        "safety order": "the price fell to a safety order",
        "take profit": "the deal reached its profit",
        "stop loss": "the stop loss was touched",
        "break-even": "the price came back to break-even",
        "close": "the bot ended and sells what it holds",
    },
    notes=NOTES,
    warnings=frozenset({LOST}),
)
