"""The kill switch as a page: it says what will happen to orders and positions, asks, and does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from bots import halts
from bots.models import Account, Halt, Mode
from dashboard import figures, parameters
from dashboard.views.fragments import varies, wants_fragment


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose trading a visitor may end: one account, all of their own, or everybody's (a superuser alone)."""

    name: str
    label: str
    accounts: QuerySet[Account]
    everywhere: bool = False

    @property
    def target(self) -> QuerySet[Account] | None:
        return None if self.everywhere else self.accounts


def scopes(request: HttpRequest) -> list[Scope]:
    """What the visitor may choose from; one account when ?account= names it. Raises Http404 for another's."""
    everyone = Account.objects.exclude(mode=Mode.REPLAY)
    own = everyone.filter(owner=request.user.pk)
    whole = bool(getattr(request.user, "is_superuser", False))
    if "account" in request.GET:
        reach = everyone if whole else own
        one = reach.filter(pk=parameters.whole(request.GET, "account", 0, 0, 2**31 - 1))
        name = one.values_list("name", flat=True).first()
        if name is None:
            raise Http404
        return [Scope("account", f"Account {name}", one)]
    mine = Scope("own", "My accounts", own)
    return [mine, Scope("all", "Everybody's accounts, and those made later", everyone, True)] if whole else [mine]


@require_http_methods(["GET", "HEAD", "POST"])
@varies
def halt(request: HttpRequest) -> HttpResponse:
    """GET says what will happen and asks; POST halts."""
    offered = scopes(request)
    if request.method == "POST":
        chosen = _chosen(request, offered)
        done = halts.halt(chosen.target, request.user.get_username(), request.POST.get("close_positions") == "1")
        messages.warning(request, f"{chosen.label} halted: {done}.")
        return redirect("overview")
    choices = [(scope, _stakes(scope)) for scope in offered]
    return _asked(request, {"choices": choices, "several": len(choices) > 1}, "halt")


@require_http_methods(["GET", "HEAD", "POST"])
@varies
def release(request: HttpRequest) -> HttpResponse:
    """GET lists what is halted and asks; POST releases."""
    offered = scopes(request)
    if request.method == "POST":
        chosen = _chosen(request, offered)
        if halts.release(chosen.target, request.user.get_username()):
            messages.success(request, f"{chosen.label} released: paused bots can be resumed.")
        else:
            messages.info(request, f"{chosen.label}: nothing was halted.")
        return redirect("overview")
    choices = [(scope, _halts(scope)) for scope in offered]
    halted = next((scope.name for scope, words in choices if words), offered[0].name)
    return _asked(request, {"choices": choices, "several": len(choices) > 1, "checked": halted}, "release")


def _chosen(request: HttpRequest, offered: list[Scope]) -> Scope:
    """The scope that was asked for; the narrowest when none was."""
    wanted = request.POST.get("scope", offered[0].name)
    found = next((scope for scope in offered if scope.name == wanted), None)
    if found is None:
        raise Http404
    return found


def _asked(request: HttpRequest, context: dict[str, Any], name: str) -> HttpResponse:
    context |= {"nav": "overview", "address": request.get_full_path(), "name": name}
    fragment = wants_fragment(request)
    return render(request, f"dashboard/_{name}.html" if fragment else f"dashboard/{name}.html", context)


def _stakes(scope: Scope) -> str:
    """How much a halt would end, in one sentence."""
    counts = figures.at_stake(scope.accounts)
    words = [
        _count(counts[what], one, many)
        for what, one, many in (
            ("accounts", "account", "accounts"),
            ("running", "running bot", "running bots"),
            ("paused", "paused bot", "paused bots"),
            ("orders", "open order", "open orders"),
            ("positions", "position", "positions"),
        )
    ]
    return f"{', '.join(words)}."


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _halts(scope: Scope) -> str:
    """What is halted within a scope, in words; "" when nothing is."""
    if scope.everywhere:
        halts_ = [f"Since {one.halted_at:%Y-%m-%d %H:%M} UTC. {one.reason}" for one in Halt.objects.all()]
    else:
        rows = scope.accounts.exclude(halted_at=None)
        halts_ = [f"{one.name} since {one.halted_at:%Y-%m-%d %H:%M} UTC. {one.halted_reason}" for one in rows]
    return " ".join(halts_)
