from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from bots.models import Bot
from dashboard import figures


def owned_bot(request: HttpRequest, bot_id: int) -> Any:
    """The visitor's own bot with its figures; another's is a 404 like one that is not there."""
    bots = figures.with_figures(Bot.objects.owned_by(request.user)).annotate(open_orders=figures.open_orders())
    return get_object_or_404(bots.prefetch_related("market__feeds"), pk=bot_id)
