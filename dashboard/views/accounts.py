from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from bots.models import Mode
from dashboard.account_rows import account_rows


@never_cache
@require_safe
def accounts(request: HttpRequest) -> HttpResponse:
    """The visitor's accounts with the money in them: free, in bots, and coins that stopped bots have left."""
    shown = account_rows(request.user)
    context = {
        "nav": "settings",
        "accounts": shown,
        "simulated": any(row.account.mode == Mode.PAPER or row.account.exchange.is_simulated for row in shown),
    }
    return render(request, "dashboard/accounts.html", context)
