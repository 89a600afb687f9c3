from __future__ import annotations

from typing import Any, Literal

from django.http import HttpRequest
from ninja import Router, Status

from dashboard import readiness
from dashboard.api.schema import Row

router = Router(tags=["Health"])


class Part(Row):
    ok: bool
    says: str


class Health(Row):
    """degraded: something is missing that pages and bots can do without; parts says what."""

    status: Literal["ready", "degraded", "unavailable"]
    parts: dict[str, Part]


@router.get("", response={200: Health, 503: Health}, summary="Whether it works; needs no login")
def health(request: HttpRequest) -> Any:
    status, parts = readiness.told()
    return Status(503 if status == "unavailable" else 200, {"status": status, "parts": parts})
