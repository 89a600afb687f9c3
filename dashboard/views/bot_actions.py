from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from bots import services
from bots.models import Bot, Mode, Position
from dashboard import formats, rows
from dashboard.views.fragments import varies, wants_fragment
from dashboard.views.owned import owned_bot


class Action(NamedTuple):
    """One thing to do with a bot. look: classes of the link that asks; sure: of the button that does it."""

    name: str
    label: str
    icon: str
    look: str
    sure: str
    statuses: tuple[str, ...]
    done: str
    run: Callable[[Bot, HttpRequest], Any]


_STATUS = Bot.Status
ACTIONS = {
    action.name: action
    for action in (
        Action(
            "start", "Start", "player-play", "btn-primary", "btn-primary",
            (_STATUS.DRAFT, _STATUS.STOPPED, _STATUS.FAILED), "started",
            lambda bot, request: services.start(bot),
        ),
        Action(
            "pause", "Pause", "player-pause", "", "btn-primary",
            (_STATUS.RUNNING,), "paused",
            lambda bot, request: services.pause(bot, by=request.user.get_username()),
        ),
        Action(
            "resume", "Resume", "player-play", "btn-primary", "btn-primary",
            (_STATUS.PAUSED,), "resumed",
            lambda bot, request: services.resume(bot),
        ),
        Action(
            "stop", "Stop", "player-stop", "btn-outline-danger", "btn-danger",
            (_STATUS.RUNNING, _STATUS.PAUSED), "stopped",
            lambda bot, request: services.stop(
                bot, close_position=request.POST.get("close_position") == "1", by=request.user.get_username()
            ),
        ),
    )
}  # fmt: skip


def actions_for(status: str) -> list[Action]:
    return [action for action in ACTIONS.values() if status in action.statuses]


@require_http_methods(["GET", "HEAD", "POST"])
@varies
def bot_action(request: HttpRequest, bot_id: int, name: str) -> HttpResponse:
    """GET says what the action will do and asks; POST does it and returns to the bot."""
    action = ACTIONS.get(name)
    if action is None:
        raise Http404
    bot = owned_bot(request, bot_id)
    if request.method == "POST":
        return _done(request, bot, action)
    if bot.status not in action.statuses:
        messages.info(request, f"{bot.name} is {bot.status}: there is nothing to {action.label.lower()}.")
        return redirect(bot)
    position = _position(bot)
    context = {
        "nav": "bots",
        "bot": bot,
        "action": action,
        "consequences": _consequences(bot, name) + _closing(bot, name, position),
        "position": position,
        "simulated": bot.account.mode == Mode.PAPER or bot.market.exchange.is_simulated,
    }
    template = "dashboard/_confirm.html" if wants_fragment(request) else "dashboard/confirm.html"
    return render(request, template, context)


def _done(request: HttpRequest, bot: Bot, action: Action) -> HttpResponse:
    try:
        action.run(bot, request)
    except services.Refused as refusal:
        messages.warning(request, str(refusal))
    else:
        messages.success(request, f"{bot.name} is {action.done}.")
    return redirect(bot)


def _position(bot: Bot) -> rows.PositionRow | None:
    found = Position.objects.filter(bot=bot, status=Position.Status.OPEN).select_related("bot__account", "market")
    return next((rows.position_row(position, timezone.now()) for position in found[:1]), None)


def _closing(bot: Any, name: str, position: rows.PositionRow | None) -> list[str]:
    """An account can keep coins, but no position on a swap: it is not asked what becomes of it."""
    if name != "stop" or position is None or bot.market.type != "swap":
        return []
    return [f"Its position of {position.amount} {bot.market.base} is closed at the market price."]


def _consequences(bot: Any, name: str) -> list[str]:
    """What will happen to the money, the open orders and the position, in sentences."""
    orders = f"{bot.open_orders} open {'order is' if bot.open_orders == 1 else 'orders are'}"
    given = f"{formats.money(bot.allocation, bot.market.quote)} {bot.market.quote}"
    simulated = bot.account.mode == Mode.PAPER or bot.market.exchange.is_simulated
    money = "Simulated money" if simulated else "Real money"
    return {
        "start": [
            f"{money}: it is given {given} of the account {bot.account.name} and never spends more.",
            "It sees the candles that open from now on and places its first orders when one closes.",
        ],
        "pause": [
            f"Its {orders} withdrawn from {bot.market.exchange.name}.",
            "Its position is kept but not watched: no stop loss and no take profit works until it is resumed.",
            "Its money stays reserved.",
        ],
        "resume": [
            "Its orders are placed again at the prices they had.",
            "What the price did in the meantime is not made up for.",
        ],
        "stop": [
            f"Its {orders} withdrawn from {bot.market.exchange.name}.",
            f"This run ends; what is left of its money goes back to the account {bot.account.name}.",
        ],
    }[name]
