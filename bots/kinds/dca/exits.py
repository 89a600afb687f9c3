"""How a DCA deal ends well or badly: take-profit steps, the trailing sale, the stop and its move to break-even."""

from __future__ import annotations

from typing import Any

from bots.engine.kernel import kernel
from bots.engine.orders import alarm, cancel, cancel_all, note, place, place_trailing
from bots.engine.types import BUY, LIMIT, MARKET, NEVER, SELL, STOP
from bots.kinds.dca.layout import (
    BASE_COST,
    BEYOND,
    BEYOND_SINCE,
    BEYOND_STOP,
    BREAK_EVEN,
    DEAL_FEES,
    EVEN,
    EVENED,
    EXIT_SLOT,
    FIRST_SAFETY,
    HEAD,
    PART_SOLD,
    PROFIT,
    RECOVERED,
    START_PRICE,
    STEPS_DONE,
    STOP_LOSS,
    STOP_SLOT,
    TAKE_PROFIT,
    TARGET,
    TOUCHED,
    TRAILS,
    V_ACTIVE,
    V_COUNT,
    V_EVEN_PROFIT,
    V_EVEN_STEP,
    V_LEAST_PROFIT,
    V_LOSS,
    V_ON_BASE,
    V_STEPS,
    V_TIMEOUT,
    V_TRAILING,
)
from markets.precision import FINE, ceil_to_step, floor_to_step, order_fault, round_to_step


@kernel
def price_at(run: Any, params: Any, profit: float) -> float:
    """Price at which the deal has made `profit`, a fraction of what its profit counts on."""
    memory = run["memory"]
    cost = run["cost"] + memory[DEAL_FEES]
    counts = memory[BASE_COST] if params[V_ON_BASE] != 0.0 else cost
    return float((cost + counts * profit) / run["position"])


@kernel
def even_price(run: Any, setup: Any) -> float:
    """Price at which a stop loses nothing: what the position cost, with the fees of both sides."""
    cost = run["cost"] + run["memory"][DEAL_FEES]
    sale = (1.0 - setup["taker"]) * (1.0 - setup["slippage"])
    return float(ceil_to_step(cost / run["position"] / sale, setup["tick"]))


@kernel
def stop_price(run: Any, setup: Any, params: Any) -> float:
    """Where the stop is; 0 without one."""
    memory = run["memory"]
    if memory[EVEN] != 0.0:
        return even_price(run, setup)
    return float(memory[START_PRICE] * (1.0 - params[V_LOSS])) if params[V_LOSS] > 0.0 else 0.0


@kernel
def step_slot(params: Any) -> int:
    """Slot of the first take-profit step."""
    return int(FIRST_SAFETY + params[V_ACTIVE])


@kernel
def even_slot(params: Any) -> int:
    """Slot of the alarm that moves the stop to break-even, behind those of all steps but the last."""
    return int(step_slot(params) + params[V_STEPS] - 1.0)


@kernel
def guard(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """Place the exits for what the deal holds now, in the place of the old ones."""
    for slot in range(step_slot(params), even_slot(params)):
        cancel(orders, slot)
    cancel(orders, EXIT_SLOT)
    cancel(orders, STOP_SLOT)
    place_targets(run, orders, setup, params, notes)
    place_stop(run, orders, setup, params, notes)
    if params[V_EVEN_PROFIT] > 0.0 and run["memory"][EVEN] == 0.0:
        cost = run["cost"] + run["memory"][DEAL_FEES]
        price = cost * (1.0 + params[V_EVEN_PROFIT]) / run["position"]
        alarm(run, orders, even_slot(params), BUY, price, PROFIT)


@kernel
def tradable(setup: Any, amount: float, price: float) -> bool:
    return bool(order_fault(amount, price, setup["min_amount"], setup["min_cost"]) == FINE)


@kernel
def place_targets(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """Share the position out to the steps that are left; a part too small to be traded goes to the last one."""
    steps = int(params[V_STEPS])
    first = HEAD + 2 * int(params[V_COUNT])
    done = int(run["memory"][STEPS_DONE])
    parts = 0.0
    for step in range(done, steps):
        parts += params[first + steps + step]
    last = price_at(run, params, params[first + steps - 1])
    rest = run["position"]
    for step in range(done, steps - 1):
        price = price_at(run, params, params[first + step])
        amount = floor_to_step(run["position"] * params[first + steps + step] / parts, setup["lot"])
        after = round_to_step(rest - amount, setup["lot"])
        if tradable(setup, amount, price) and tradable(setup, after, last):
            place(run, orders, setup, notes, step_slot(params) + step, LIMIT, SELL, price, amount, TAKE_PROFIT)
            rest = after
    if params[V_TRAILING] > 0.0:
        least = price_at(run, params, params[V_LEAST_PROFIT]) / (1.0 - params[V_TRAILING])
        follows = max(last, least) if params[V_LEAST_PROFIT] > 0.0 else last
        alarm(run, orders, EXIT_SLOT, BUY, follows, TARGET)
    else:
        place(run, orders, setup, notes, EXIT_SLOT, LIMIT, SELL, last, rest, TAKE_PROFIT)


@kernel
def place_stop(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """The stop for what the deal holds now; none while the timeout of a touched one runs."""
    memory = run["memory"]
    cancel(orders, STOP_SLOT)
    stop = stop_price(run, setup, params)
    if stop == 0.0 or memory[BEYOND] != 0.0:
        return
    if params[V_TIMEOUT] > 0.0:
        alarm(run, orders, STOP_SLOT, SELL, stop, BEYOND_STOP)
    else:
        place(run, orders, setup, notes, STOP_SLOT, STOP, SELL, stop, run["position"], stop_tag(run))


@kernel
def stop_tag(run: Any) -> int:
    return BREAK_EVEN if run["memory"][EVEN] != 0.0 else STOP_LOSS


@kernel
def follow_high(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """The last target is reached: sell all that is left when the price turns."""
    for slot in range(step_slot(params), even_slot(params)):
        cancel(orders, slot)
    place_trailing(run, orders, setup, notes, EXIT_SLOT, SELL, params[V_TRAILING], run["position"], TAKE_PROFIT)
    note(run, notes, TRAILS, EXIT_SLOT, run["price"])


@kernel
def part_sold(run: Any, orders: Any, setup: Any, params: Any, notes: Any, trade: Any) -> None:
    """A step is done: what is left carries its share of the deal's cost, so the other targets stay where they are."""
    memory = run["memory"]
    kept = run["position"] / (run["position"] + trade["amount"])
    memory[DEAL_FEES] *= kept
    memory[BASE_COST] *= kept
    memory[STEPS_DONE] = max(memory[STEPS_DONE], trade["slot"] - step_slot(params) + 1.0)
    note(run, notes, PART_SOLD, trade["slot"], memory[STEPS_DONE])
    if params[V_EVEN_STEP] > 0.0 and memory[STEPS_DONE] >= params[V_EVEN_STEP]:
        move_to_even(run, setup, notes)
    place_stop(run, orders, setup, params, notes)


@kernel
def move_to_even(run: Any, setup: Any, notes: Any) -> None:
    """From now on the stop is at break-even, unless the price is not above it: fees may eat a small first step."""
    memory = run["memory"]
    price = even_price(run, setup)
    if memory[EVEN] == 0.0 and price < run["price"]:
        memory[EVEN] = 1.0
        note(run, notes, EVENED, STOP_SLOT, price)


@kernel
def touched(run: Any, setup: Any, params: Any, notes: Any) -> None:
    """The stop is touched: look at the closes, this candle's first."""
    run["memory"][BEYOND] = 1.0
    run["memory"][BEYOND_SINCE] = 0.0
    run["wake_time"] = run["time"]
    note(run, notes, TOUCHED, STOP_SLOT, stop_price(run, setup, params))


@kernel
def judge_stop(run: Any, orders: Any, setup: Any, params: Any, notes: Any) -> None:
    """At a close: sell when candles have closed beyond the stop for the timeout, forget it when one has not."""
    memory = run["memory"]
    stop = stop_price(run, setup, params)
    if run["price"] > stop:
        memory[BEYOND] = 0.0
        run["wake_time"] = NEVER
        note(run, notes, RECOVERED, STOP_SLOT, stop)
        place_stop(run, orders, setup, params, notes)
        return
    if memory[BEYOND_SINCE] == 0.0:
        memory[BEYOND_SINCE] = float(run["time"])
    if run["time"] - memory[BEYOND_SINCE] >= params[V_TIMEOUT]:
        memory[BEYOND] = 0.0
        run["wake_time"] = NEVER
        cancel_all(orders)
        place(run, orders, setup, notes, STOP_SLOT, MARKET, SELL, 0.0, run["position"], stop_tag(run))
