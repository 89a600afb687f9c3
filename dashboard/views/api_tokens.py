from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from bots.sentences import one_of, sentences
from dashboard import formats, tokens
from dashboard.api import reference
from dashboard.models import ApiToken
from dashboard.views.fragments import varies, wants_fragment

LASTS = {"30": "30 days", "90": "90 days", "365": "A year", "": "Until it is revoked"}
MOST = 50


class TokenForm(forms.Form):
    name = forms.CharField(
        max_length=60,
        help_text="What it is for, such as the script that uses it.",
        error_messages=sentences("name"),
    )
    scope = forms.ChoiceField(
        choices=ApiToken.Scope.choices,
        widget=forms.RadioSelect,
        initial=ApiToken.Scope.READ,
        error_messages=one_of("scope", ApiToken.Scope.values),
    )
    lasts = forms.ChoiceField(
        choices=list(LASTS.items()),
        initial="90",
        required=False,
        error_messages={"invalid_choice": "lasts must be 30, 90 or 365 days, or empty, not '%(value)s'."},
    )

    def __init__(self, owner: Any, *args: Any) -> None:
        super().__init__(*args)
        self.owner = owner

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if ApiToken.objects.filter(owner=self.owner, name=name).exists():
            raise forms.ValidationError(f"name must be new among your tokens; {name!r} is taken.")
        return name

    def clean(self) -> None:
        if ApiToken.objects.filter(owner=self.owner).count() >= MOST:
            raise forms.ValidationError(f"tokens must be at most {MOST}; revoke one that is not used any more.")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def api_tokens(request: HttpRequest) -> HttpResponse:
    """GET lists the tokens; POST makes one and shows it, this one time: no other page, cache or log has it."""
    form, made = TokenForm(request.user, *([request.POST] if request.method == "POST" else [])), ""
    if form.is_bound and form.is_valid():
        made = _made(request.user, form)
        form = TokenForm(request.user) if made else form
    now = timezone.now()
    own = ApiToken.objects.filter(owner_id=request.user.pk)
    context = {"nav": "settings", "form": form, "made": made, "tokens": [_row(token, now) for token in own]}
    return render(request, "dashboard/api_tokens.html", context, status=422 if form.errors else 200)


def _made(owner: Any, form: TokenForm) -> str:
    """The text of a new token; "" when its name was taken a moment ago."""
    asked = form.cleaned_data
    ends = timezone.now() + timedelta(days=int(asked["lasts"])) if asked["lasts"] else None
    try:
        return tokens.create(owner, asked["name"], asked["scope"], ends)[1]
    except IntegrityError:
        form.add_error("name", f"name must be new among your tokens; {asked['name']!r} was taken just now.")
        return ""


def _row(token: ApiToken, now: Any) -> dict[str, Any]:
    ends = "Never" if token.expires_at is None else f"{token.expires_at:%Y-%m-%d}"
    return {
        "id": token.pk,
        "name": token.name,
        "scope": token.get_scope_display(),
        "created": formats.when(token.created_at, now),
        "used": formats.when(token.used_at, now) if token.used_at else "Never",
        "ends": "Expired" if token.expired(now) else ends,
    }


@require_http_methods(["GET", "HEAD", "POST"])
@varies
def revoke_api_token(request: HttpRequest, token_id: int) -> HttpResponse:
    """GET says what will happen and asks; POST revokes."""
    token = get_object_or_404(ApiToken, owner_id=request.user.pk, pk=token_id)
    if request.method == "POST":
        tokens.revoke(token)
        messages.success(request, f"{token.name} is revoked.")
        return redirect("api-tokens")
    fragment = wants_fragment(request)
    template = "dashboard/_revoke_api_token.html" if fragment else "dashboard/revoke_api_token.html"
    return render(request, template, {"nav": "settings", "token": token})


@require_safe
def api_reference(request: HttpRequest) -> HttpResponse:
    """What the API can do, read off its schema."""
    return render(request, "dashboard/api_reference.html", {"nav": "settings", "sections": reference.sections()})
