"""Several reads in one request, each answered as if it had come alone."""

from __future__ import annotations

from copy import copy
from typing import Annotated, Any
from urllib.parse import urlsplit

import orjson
from django.core.exceptions import SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import Resolver404, resolve
from ninja import Router
from pydantic import AfterValidator, Field

from dashboard.api import rates
from dashboard.api.authentication import READ
from dashboard.api.problems import not_found, too_much
from dashboard.api.schema import Row, Sent

router = Router(auth=READ, tags=["Batch"])

MOST = 20
ROOT = "/api/"


def _path(text: str) -> str:
    if not text.startswith(ROOT) or "\0" in text:
        raise ValueError(f"path must begin with {ROOT}, not {text[:60]!r}.")
    return text


class Batch(Sent):
    paths: list[Annotated[str, AfterValidator(_path), Field(max_length=2_000)]] = Field(
        min_length=1, max_length=MOST, description="Addresses to GET, such as /api/trades?page_size=10."
    )


class Answer(Row):
    path: str
    status: int
    body: Any


class Answers(Row):
    answers: list[Answer]


@router.post("", response=Answers, summary="Several reads in one request")
def batch(request: HttpRequest, new: Batch) -> Any:
    if len(new.paths) > 1:
        # The request itself was counted as one.
        rates.take(request, "reads", f"user {request.user.pk}", len(new.paths) - 1)
    return {"answers": [_answer(request, path) for path in new.paths]}


def _answer(request: HttpRequest, path: str) -> dict[str, Any]:
    response = _get(request, path)
    return {"path": path, "status": response.status_code, "body": orjson.loads(response.content)}


def _get(request: HttpRequest, path: str) -> HttpResponse:
    parts = urlsplit(path)
    try:
        match = resolve(parts.path)
        if match.namespace != "api":
            raise Http404
        answer = match.func(_inner(request, parts.path, parts.query), *match.args, **match.kwargs)
    except (Resolver404, Http404):
        return not_found(request)
    except SuspiciousOperation as error:  # too many fields in its query
        return too_much(request, error)
    found: HttpResponse = answer
    return found


def _inner(request: HttpRequest, path: str, query: str) -> HttpRequest:
    """A GET by the same person, who was let in and counted already."""
    inner = copy(request)
    inner.method, inner.path, inner.path_info = "GET", path, path
    inner.GET = QueryDict(query)
    inner.META = {name: value for name, value in request.META.items() if not name.startswith("HTTP_IF_")}
    inner.META |= {"REQUEST_METHOD": "GET", "QUERY_STRING": query, "PATH_INFO": path, "CONTENT_LENGTH": "0"}
    inner.__dict__.pop("headers", None)  # read off META anew
    inner.admitted = True  # type: ignore[attr-defined]
    return inner
