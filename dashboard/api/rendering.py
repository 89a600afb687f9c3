"""Answers as JSON, and of each only what `fields=` asked for."""

from __future__ import annotations

from typing import Any

import orjson
from django.http import HttpRequest
from ninja.parser import Parser
from ninja.renderers import BaseRenderer
from ninja.types import DictStrAny

from bots.kinds.parameters import ParamsError
from dashboard.api.schema import Row


class Json(BaseRenderer):
    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:
        wanted: frozenset[str] | None = getattr(request, "wanted", None)
        if wanted is not None:
            data = _chosen(data, wanted)
        return orjson.dumps(data, option=orjson.OPT_UTC_Z)


def _chosen(data: Any, wanted: frozenset[str]) -> Any:
    if "items" in data:
        return {**data, "items": [_chosen(one, wanted) for one in data["items"]]}
    return {name: value for name, value in data.items() if name in wanted}


class Body(Parser):
    """orjson refuses what the database would: halves of surrogate pairs, and numbers that are none."""

    def parse_body(self, request: HttpRequest) -> DictStrAny:
        parsed: DictStrAny = orjson.loads(request.body)
        return parsed


def choose(request: HttpRequest, fields: str | None, row: type[Row]) -> None:
    """Have the answer hold only the fields named. Raises ParamsError for one that a row has not."""
    if not fields:
        return
    wanted = frozenset(name.strip() for name in fields.split(","))
    unknown = sorted(wanted - set(row.model_fields))
    if unknown:
        raise ParamsError({"fields": f"fields must be among {', '.join(row.model_fields)}, not {unknown[0]!r}."})
    request.wanted = wanted  # type: ignore[attr-defined]
