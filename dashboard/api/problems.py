"""Everything that goes wrong, as problem+json (RFC 9457): one sentence, and for input one for each field."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from django.conf import settings
from django.core.exceptions import SuspiciousOperation, TooManyFieldsSent
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError, ValidationErrorContext
from pydantic import BaseModel

from bots.kinds.parameters import ParamsError
from bots.services import Refused
from markets.gateway import GatewayError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class FieldProblem(BaseModel):
    field: str
    message: str


class Problem(BaseModel):
    """What every answer above 399 looks like."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldProblem]


def problem(status: int, detail: str, errors: Sequence[Mapping[str, str]] = ()) -> HttpResponse:
    """errors: field and message of each; the field's name is dotted where it lies deeper."""
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "errors": list(errors),
    }
    # What was sent may come back in a sentence, and need not be valid text.
    text = orjson.dumps(_valid(content))
    return HttpResponse(text, status=status, content_type=MEDIA_TYPE)


def _valid(content: Any) -> Any:
    if isinstance(content, str):
        return content.encode(errors="replace").decode()
    if isinstance(content, list):
        return [_valid(one) for one in content]
    return {name: _valid(value) for name, value in content.items()} if isinstance(content, dict) else content


def wrong(problems: Mapping[str, str]) -> HttpResponse:
    """422 for field -> sentence."""
    errors = [{"field": name, "message": sentence} for name, sentence in problems.items()]
    return problem(422, " ".join(problems.values()), errors)


class Invalid(ValidationError):
    """Input that does not fit its description. problems: field -> one sentence naming field, bound and value."""

    def __init__(self, contexts: Sequence[ValidationErrorContext[Any]]) -> None:
        found = [error for one in contexts for error in one.pydantic_validation_error.errors(include_url=False)]
        self.problems = {(name := _field(error["loc"])): _sentence(name, error) for error in found}
        super().__init__([])


def _field(location: Sequence[str | int]) -> str:
    """("new", "params", "lower") as "params.lower": the first is a name of ours."""
    return ".".join(str(part) for part in location[1:]) or "body"


def _sentence(name: str, error: Mapping[str, Any]) -> str:
    text = str(error["msg"])
    if error["type"] == "value_error":  # of our own checks: the sentence is whole
        return text.removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"{name} is needed."
    if error["type"] == "extra_forbidden":
        return f"{name} is not a field that is known here."
    shown = repr(error["input"])
    shown = shown if len(shown) <= 60 else f"{shown[:59]}…"
    for beginning in ("Input should", "Value should", "String should", "List should"):
        text = text.replace(beginning, f"{name} must")
    return f"{text if text.startswith(name) else f'{name}: {text}'}, not {shown}."


def _refused(request: HttpRequest, error: Any) -> HttpResponse:
    return problem(409, str(error))


def _unfit(request: HttpRequest, error: Any) -> HttpResponse:
    return wrong(error.problems)


def _told(request: HttpRequest, error: Any) -> HttpResponse:
    answer = problem(error.status_code, str(error))
    for name, value in getattr(error, "headers", {}).items():
        answer.headers[name] = value
    return answer


def _unknown(request: HttpRequest, error: Any) -> HttpResponse:
    answer = problem(401, str(error))
    answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def _missing(request: HttpRequest, error: Any) -> HttpResponse:
    return not_found(request)


def not_found(request: HttpRequest) -> HttpResponse:
    return problem(404, "There is nothing here, or nothing of yours.")


def _unreachable(request: HttpRequest, error: Any) -> HttpResponse:
    answer = problem(503, str(error))
    if not error.permanent:
        answer.headers["Retry-After"] = "10"
    return answer


def too_much(request: HttpRequest, error: Any) -> HttpResponse:
    """What Django refuses to read."""
    if isinstance(error, TooManyFieldsSent):
        return problem(400, f"fields must be at most {settings.DATA_UPLOAD_MAX_NUMBER_FIELDS:,} in an address.")
    return problem(400, f"The request cannot be read: {type(error).__name__}.")


def _failed(request: HttpRequest, error: Any) -> HttpResponse:
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    return problem(500, "This failed here, and was recorded. It was not your doing.")


def install(api: NinjaAPI) -> None:
    for kind, answer in (
        (Invalid, _unfit),
        (ParamsError, _unfit),
        (Refused, _refused),
        (GatewayError, _unreachable),
        (AuthenticationError, _unknown),
        (HttpError, _told),
        (Http404, _missing),
        (SuspiciousOperation, too_much),
        (Exception, _failed),
    ):
        api.add_exception_handler(kind, answer)
