from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from bots import services
from bots.kinds import KINDS
from bots.models import Bot, Mode, Run
from bots.services.configuration import differences
from dashboard import changes
from dashboard.forms import USUAL_DAYS, OwnBotForm, own_form_for, settings_typed
from dashboard.turns import one_after_the_other
from dashboard.views.bot_form import TYPED, form_context, render_preview, typed_in_address
from dashboard.views.fragments import varies, wants_fragment
from dashboard.views.owned import owned_bot

SEEN = "seen"
OF_THE_RUN = ("review", "apply")
CHANGED = (
    "Nothing was saved: %s was changed since this form was opened. Below is what you typed; its own page tells who "
    "changed what. Save again to have what you typed."
)
SENT_BESIDE = ("csrfmiddlewaretoken", "then", "rest")


@require_http_methods(["GET", "HEAD", "POST"])
@varies
def edit_bot(request: HttpRequest, bot_id: int) -> HttpResponse:
    """The form of a bot, tried on the past. Of one that runs the exact difference is shown before it is changed.

    POST then=save or later stores the settings, for the next start of one that is alive; then=review shows the
    difference; then=apply changes the run.
    """
    bot = owned_bot(request, bot_id)
    if bot.kind not in KINDS:
        messages.warning(request, f"{bot.name} is of the kind {bot.kind}, which is not installed.")
        return redirect(bot)
    alive = bot.status in services.ALIVE
    shown = settings_typed(bot)
    sent = _sent(request, shown) if request.method == "POST" else {}
    first = shown | {"days": USUAL_DAYS}
    typed = sent or (first | typed_in_address(request) if TYPED in request.GET else first)
    fragment = wants_fragment(request) and request.method == "GET"
    form = own_form_for(bot.kind)(typed, instance=_copy(bot), owner=request.user, trying=fragment)
    if fragment:
        return render_preview(request, form, _released(bot))
    if request.method == "POST":
        with one_after_the_other(request.user, bot_id, alive and request.POST.get("then") in OF_THE_RUN):
            was_changed = _was_changed(request, settings_typed(_copy(bot)))
            if not was_changed and form.is_valid():
                return _saved(request, bot, form, alive)
        if was_changed:
            bot = owned_bot(request, bot_id)
            messages.warning(request, CHANGED % bot.name)
    return _again(request, bot, form, alive)


def _seen(shown: dict[str, str]) -> str:
    """Of the settings that a form was opened with."""
    return hashlib.blake2b(json.dumps(shown, sort_keys=True).encode(), digest_size=16).hexdigest()


def _was_changed(request: HttpRequest, shown: dict[str, str]) -> bool:
    """Whether a form was opened with other settings than there are: sent as it is, it would turn those back."""
    return request.POST.get(SEEN, _seen(shown)) != _seen(shown)


def _sent(request: HttpRequest, shown: dict[str, str]) -> dict[str, Any]:
    """What was typed. Fields that a run holds fixed are not sent, though it may have ended since they were shown."""
    return {name: shown[name] for name in services.FIXED_WHILE_ALIVE if name in shown} | request.POST.dict()


def _again(request: HttpRequest, bot: Any, form: OwnBotForm, alive: bool) -> HttpResponse:
    context = form_context(request, form, [(bot.market_id, str(bot.market))], _released(bot))
    return render(request, "dashboard/bot_form.html", context | _about(bot, alive))


def _about(bot: Any, alive: bool) -> dict[str, Any]:
    return {
        "bot": bot,
        "alive": alive,
        "heading": f"Edit {bot.name}",
        "seen": _seen(settings_typed(bot)),
        "kind": KINDS[bot.kind],
        "has_account": True,
        "simulated": bot.account.mode == Mode.PAPER or bot.market.exchange.is_simulated,
    }


def _copy(bot: Any) -> Bot:
    """A bot that the form may write into."""
    return get_object_or_404(Bot.objects.select_related("market__exchange", "account__owner", "owner"), pk=bot.pk)


def _released(bot: Any) -> Decimal:
    """Money that is back in the account before the new settings take theirs."""
    alive = Run.objects.filter(bot=bot).exclude(status=Run.Status.STOPPED)
    return alive.aggregate(found=Sum("equity"))["found"] or Decimal(0)


def _saved(request: HttpRequest, bot: Any, form: OwnBotForm, alive: bool) -> HttpResponse:
    then, by = request.POST.get("then"), request.user.get_username()
    try:
        if alive and then == "review":
            return _review(request, bot, form)
        if alive and then == "apply":
            services.change(form.save(commit=False), request.POST.get("rest") == "sell", by)
            messages.success(request, f"{bot.name} goes on with its new settings.")
            return redirect(bot)
    except services.Refused as refusal:
        messages.warning(request, f"Nothing was changed: {refusal}")
        return _again(request, bot, form, alive)
    if not alive and then == "review":
        messages.warning(request, f"{bot.name} does not run any more: there is no run to change, save it instead.")
        return _again(request, bot, form, alive)
    saved = form.stored(by)
    if saved is None:
        return _again(request, bot, form, alive)
    if not alive and then == "apply":
        messages.warning(request, f"{saved.name} was stopped meanwhile: it is saved, and holds from the next start.")
        return redirect(saved)
    messages.success(request, f"{saved.name} is saved{'; it holds from the next start' if alive else ''}.")
    return redirect(saved)


def _review(request: HttpRequest, bot: Any, form: OwnBotForm) -> HttpResponse:
    wanted = form.save(commit=False)
    found = services.foresee(wanted, sell_rest=False)
    context = {
        "nav": "bots",
        **_about(bot, alive=True),
        "changes": changes.told(differences(_copy(bot), wanted)),
        "consequences": changes.consequences(found, wanted),
        "orders": changes.order_lines(found, bot.market),
        "rest": f"{abs(found.left).normalize():f} {bot.market.base}" if found.left else "",
        "sent": [(name, value) for name, value in request.POST.items() if name not in SENT_BESIDE],
    }
    return render(request, "dashboard/bot_change.html", context)
