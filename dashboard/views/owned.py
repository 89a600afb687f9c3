from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from bots import why
from bots.models import Bot
from dashboard import figures


def owned_bot(request: HttpRequest, bot_id: int) -> Any:
    """The visitor's own bot with its figures, orders and feeds; another's is a 404 like one that is not there."""
    bots = figures.with_figures(Bot.objects.owned_by(request.user))
    return get_object_or_404(why.with_orders(bots), pk=bot_id)
