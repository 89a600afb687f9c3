"""Which of an owner's runs a table is about: the filters that the tables have in common, in the address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from django.db.models import Q, QuerySet, Sum
from django.http import QueryDict

from bots.kinds import KINDS
from bots.models import Mode, Run
from dashboard import parameters
from orchestrator.prepared import Given, Prepared

Owner: TypeAlias = Any  # Django's user model is swappable, so its type is known at run time only.
LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Scope:
    """runs: ids, None when nothing is filtered away. bots: of these runs. trades: how many they have made, exactly."""

    runs: list[int] | None
    bots: list[int]
    trades: int


def chosen(query: QueryDict) -> dict[str, str]:
    """The filters as they were typed. bot and market: an id, or a part of the name."""
    return {
        "bot": parameters.text(query, "bot"),
        "market": parameters.text(query, "market"),
        "kind": parameters.choice(query, "kind", KINDS, ""),
        "mode": parameters.choice(query, "mode", Mode.values, ""),
    }


def scope(query: QueryDict, owner: Owner) -> Scope:
    """One query, over runs: there are as many as bots were started, however many trades they made."""
    narrowed = _narrowed(Run.objects.filter(bot__owner=owner).order_by(), chosen(query))
    if narrowed is None:
        return Scope(None, [], sum(made for _, made in _MADE.rows(owner=owner.pk)))
    found = list(narrowed.values_list("pk", "bot_id", "trades_count"))
    bots = sorted({bot for _, bot, _ in found})
    return Scope([pk for pk, _, _ in found], bots, sum(trades for _, _, trades in found))


def _made() -> QuerySet[Run, tuple[int, int]]:
    runs = Run.objects.filter(bot__owner=Given("owner")).order_by()
    return runs.values("bot__owner").annotate(made=Sum("trades_count")).values_list("bot__owner", "made")


_MADE = Prepared(_made)


def _narrowed(runs: QuerySet[Run], wanted: dict[str, str]) -> QuerySet[Run] | None:
    conditions = Q()
    if wanted["bot"]:
        conditions &= _id_or_name(wanted["bot"], "bot_id", "bot__name")
    if wanted["market"]:
        conditions &= _id_or_name(wanted["market"], "market_id", "market__symbol")
    for column in ("kind", "mode"):
        if wanted[column]:
            conditions &= Q(**{column: wanted[column]})
    return runs.filter(conditions) if conditions else None


def _id_or_name(text: str, pk: str, name: str) -> Q:
    # Other scripts' digits are digits to isdecimal() and int(); such a text is a name.
    if text.isascii() and text.isdecimal() and int(text) <= LARGEST_ID:
        return Q(**{pk: int(text)})
    return Q(**{f"{name}__icontains": text})
