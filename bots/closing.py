"""The end of a run's position: how much of it the market takes, and what is told of the rest."""

from __future__ import annotations

from decimal import Decimal

from bots.engine.run import Engine
from bots.engine.types import NONE
from bots.models import Run
from markets.precision import floor_to_step


def want_closed(run: Run, engine: Engine) -> None:
    """Want the position closed at the next price: on spot as many whole lots as the market has now.

    An exchange may have made its lot coarser since the run began. On a swap what only reduces is never too odd.
    """
    engine.want_flat()
    if run.market.type != "swap":
        order = engine.orders[0]
        order["amount"] = floor_to_step(float(order["amount"]), float(run.market.lot))
        if not order["amount"]:
            order["type"] = NONE


def told(run: Run, sold: bool) -> str:
    """What became of a position that was to be closed, for the end of a sentence. sold: some of it was."""
    word = "closed" if run.market.type == "swap" else "sold"
    if not run.position:
        return f", its position is {word}" if sold else ""
    if sold:
        return f", its position is {word} but for {_left(run)}, which is too little for the market and is kept"
    return f", its position of {_left(run)} could not be {word} and is kept"


def kept(run: Run) -> str:
    """A sentence, after another one, of what a run that ended itself has left to its account; "" for nothing."""
    if not run.position or run.market.type == "swap":
        return ""
    return f" Its position of {_left(run)} is kept in the account."


def _left(run: Run) -> str:
    return f"{abs(Decimal(run.position)).normalize():f} {run.market.base}"
