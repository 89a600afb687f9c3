from __future__ import annotations

from typing import Any, NamedTuple

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from bots import services
from bots.models import Bot, Mode
from dashboard.views.bot_actions import ACTIONS, Action
from dashboard.views.fragments import varies

MOST = 100
_SENTENCES = {
    "start": "Each is given its allocation and sees the candles that open from now on.",
    "pause": "Their orders are withdrawn; their positions are kept but not watched.",
    "resume": "Their orders are placed again at the prices they had.",
    "stop": "Their orders are withdrawn and their runs end; what is left of their money goes back to the account.",
}


class Refusal(NamedTuple):
    bot: Bot
    reason: str


@require_http_methods(["GET", "HEAD", "POST"])
@varies
def bulk(request: HttpRequest, name: str) -> HttpResponse:
    """The same done with several bots: GET says what it will do and asks, POST does it and lists what was refused."""
    action = ACTIONS.get(name)
    if action is None:
        raise Http404
    bots = _named(request)
    context: dict[str, Any] = {
        "nav": "bots",
        "action": action,
        "bots": bots,
        "most": MOST,
        "sentence": _SENTENCES[name],
        "simulated": any(bot.account.mode == Mode.PAPER for bot in bots),
    }
    if request.method == "POST":
        refused = [refusal for bot in bots if (refusal := _refusal(bot, action, request))]
        return render(
            request, "dashboard/bulk_done.html", context | {"refused": refused, "done": len(bots) - len(refused)}
        )
    fitting = [bot for bot in bots if bot.status in action.statuses]
    return render(request, "dashboard/bulk.html", context | {"fitting": fitting, "others": len(bots) - len(fitting)})


def _named(request: HttpRequest) -> list[Any]:
    """The owner's bots that the request names; those of others are not there."""
    given = request.POST if request.method == "POST" else request.GET
    named = {text for text in given.getlist("bot") if text.isascii() and text.isdecimal() and len(text) < 19}
    if len(named) > MOST:
        raise BadRequest(f"bot must be named at most {MOST} times, not {len(named)}.")
    return list(Bot.objects.owned_by(request.user).with_market().filter(pk__in=named).order_by("name"))


def _refusal(bot: Bot, action: Action, request: HttpRequest) -> Refusal | None:
    """Do it with one bot, in a transaction of its own: what is refused to one is not undone for another."""
    try:
        action.run(bot, request)
    except services.Refused as refused:
        return Refusal(bot, str(refused))
    return None
