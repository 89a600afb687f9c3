"""The currency whose money a page shows first: kept in the browser, as its colours and time zone are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from bots.models import Run
from bots.sentences import one_of
from dashboard.scope import Owner

COOKIE = "currency"
SECONDS = 365 * 86_400
_CURRENCY = re.compile(r"[^\s:;,]{1,20}")


def preferred(request: HttpRequest) -> str:
    """As the browser has it; "" without one. Anybody can write a cookie: it is compared with, and never shown."""
    found = request.COOKIES.get(COOKIE, "")
    return found if _CURRENCY.fullmatch(found) else ""


def first(request: HttpRequest, keys: Iterable[str]) -> list[str]:
    """Keys of books (mode:currency), those of the visitor's currency before the others, else as they were."""
    wanted = preferred(request)
    return sorted(keys, key=lambda key: key.partition(":")[2] != wanted)


class CurrencyForm(forms.Form):
    def __init__(self, owner: Owner, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own = _currencies(owner)
        self.fields["currency"] = forms.ChoiceField(
            choices=[("", "The one with most in it"), *((one, one) for one in own)],
            required=False,
            help_text="Which of your currencies the overview and the performance page open with.",
            widget=forms.Select(attrs={"class": "form-select"}),
            error_messages=one_of("currency", [*own, "empty"]),
        )


def _currencies(owner: Owner) -> list[str]:
    found = Run.objects.filter(bot__owner=owner).exclude(mode="replay").values_list("market__quote", flat=True)
    return sorted(set(found.distinct()))


@require_POST
def choose_currency(request: HttpRequest) -> HttpResponse:
    form = CurrencyForm(request.user, request.POST)
    answer = redirect("settings")
    if not form.is_valid():
        messages.warning(request, f"No currency was chosen: {form.errors['currency'][0]}")
        return answer
    chosen = form.cleaned_data["currency"]
    if chosen:
        answer.set_cookie(
            COOKIE, chosen, max_age=SECONDS, secure=settings.SESSION_COOKIE_SECURE, httponly=True, samesite="Lax"
        )
    else:
        answer.delete_cookie(COOKIE, samesite="Lax")
    messages.success(request, f"{chosen} comes first." if chosen else "The currency with most in it comes first.")
    return answer
