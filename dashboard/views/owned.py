from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpRequest

from bots import why
from bots.models import Bot
from dashboard import figures
from orchestrator.prepared import Given, Prepared


def owned_bot(request: HttpRequest, bot_id: int) -> Any:
    """The visitor's own bot with its figures, orders and feeds; another's is a 404 like one that is not there."""
    for bot in _OWNED.rows(owner=request.user.pk, bot=bot_id):
        return bot
    raise Http404


def _owned() -> QuerySet[Bot]:
    return why.with_orders(figures.with_figures(Bot.objects.owned_by(Given("owner")))).filter(pk=Given("bot"))


_OWNED = Prepared(_owned)
