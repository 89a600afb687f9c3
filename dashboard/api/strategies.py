"""The kinds of bots and what each can be told: read off the same descriptions that make the forms."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest
from ninja import Query, Router
from pydantic import Field

from bots import limits
from bots.kinds import KINDS
from bots.kinds.contract import Kind
from bots.kinds.parameters import Parameter
from dashboard.api.authentication import READ
from dashboard.api.rendering import choose
from dashboard.api.schema import Asked, Row

router = Router(auth=READ, tags=["Strategies"])


class Choice(Row):
    value: str
    label: str


class ParameterRow(Row):
    """least, most: bounds, both included. type: price, number, whole, flag, choice or text."""

    name: str
    type: str
    label: str
    help: str
    unit: str
    required: bool
    default: bool | int | float | str | None
    least: float | None
    most: float | None
    choices: list[Choice]


class Strategy(Row):
    """margin: whether it needs a swap. example: parameters for prices around 100."""

    kind: str
    label: str
    summary: str
    margin: bool
    parameters: list[ParameterRow]
    example: dict[str, Any]


class Strategies(Row):
    items: list[Strategy]
    limits: list[ParameterRow] = Field(description="What every kind can be limited by.")


@router.get("", response=Strategies, summary="Kinds of bots with their parameters")
def strategies(request: HttpRequest, asked: Query[Asked]) -> Any:
    choose(request, asked.fields, Strategy)
    return {
        "items": [_strategy(kind) for kind in KINDS.values()],
        "limits": [_parameter(entry) for entry in limits.described()],
    }


@router.get("/{slug:kind}", response=Strategy, summary="One kind")
def strategy(request: HttpRequest, kind: str, asked: Query[Asked]) -> Any:
    choose(request, asked.fields, Strategy)
    if kind not in KINDS:
        raise Http404
    return _strategy(KINDS[kind])


def _strategy(kind: Kind) -> dict[str, Any]:
    return {
        "kind": kind.slug,
        "label": kind.label,
        "summary": kind.summary,
        "margin": kind.margin,
        "parameters": [_parameter(entry) for entry in kind.parameters()],
        "example": dict(kind.example),
    }


def _parameter(entry: Parameter) -> dict[str, Any]:
    same = ("name", "type", "label", "help", "unit", "required", "default", "least", "most")
    choices = [{"value": value, "label": label} for value, label in entry.choices]
    return {name: getattr(entry, name) for name in same} | {"choices": choices}
