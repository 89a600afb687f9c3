"""The API put together: its routers, its schema, and the manners that all of its answers have."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, re_path
from django.utils.cache import patch_vary_headers
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import conditional_page
from ninja import NinjaAPI
from ninja.errors import ValidationError, ValidationErrorContext
from ninja.operation import Operation

from dashboard.api import (
    backtests,
    batch,
    bots,
    exchanges,
    health,
    markets,
    openapi,
    orders,
    positions,
    problems,
    rates,
    stats,
    strategies,
    trades,
    trials,
)
from dashboard.api.authentication import READ
from dashboard.api.rendering import Body, Json

View = Callable[..., HttpResponse]
LARGEST_BODY = 256 * 1024
ROOT = "/api"


class Api(NinjaAPI):
    def get_openapi_operation_id(self, operation: Operation) -> str:
        return operation.view_func.__name__

    def validation_error_from_error_contexts(
        self, error_contexts: list[ValidationErrorContext[Any]]
    ) -> ValidationError:
        return problems.Invalid(error_contexts)


def _made() -> Api:
    api = Api(
        title="Orchestrator",
        version="1",
        description="Everything the pages show and do. Exact amounts are text, times ISO 8601 or ms UTC.",
        urls_namespace="api",
        docs_url=None,
        openapi_url=None,
        renderer=Json(),
        parser=Body(),
    )
    problems.install(api)
    for prefix, module in (
        ("", stats), ("", exchanges), ("/bots", bots), ("/positions", positions), ("/trades", trades),
        ("/orders", orders), ("/markets", markets), ("/strategies", strategies), ("/backtests", backtests),
        ("/backtests/trial", trials),
        ("/batch", batch), ("/health", health),
    ):  # fmt: skip
        api.add_router(prefix, module.router)
    api.get("/openapi.json", auth=READ, include_in_schema=False)(openapi_json)
    return api


def openapi_json(request: HttpRequest) -> Any:
    return schema()


@cache
def schema() -> dict[str, Any]:
    """The OpenAPI document."""
    return openapi.documented(api.get_openapi_schema(path_prefix=ROOT))


def mannered(view: View) -> View:
    """What all answers have: limits told, nothing kept by shared caches, ETag and 304, problems for 405 and 413."""
    conditional = conditional_page(_private(view))

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if int(request.META.get("CONTENT_LENGTH") or 0) > LARGEST_BODY:
            return problems.problem(413, f"The body must be at most {LARGEST_BODY:,} bytes long.")
        response = conditional(request, *args, **kwargs)
        if response.status_code == 405:
            response = _not_allowed(request, response)
        rates.tell(request, response)
        return response

    return csrf_exempt(login_not_required(wrapped))


def _private(view: View) -> View:
    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        patch_vary_headers(response, ["Authorization", "Cookie"])
        response.headers["Cache-Control"] = "private, no-cache"
        return response

    return wrapped


def _not_allowed(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    allowed = response.headers["Allow"]
    answer = problems.problem(405, f"{request.method} cannot be done here, only {allowed}.")
    answer.headers["Allow"] = allowed
    return answer


def nothing(request: HttpRequest) -> HttpResponse:
    return problems.not_found(request)


def _patterns() -> list[URLPattern]:
    found: list[URLPattern] = []
    for pattern in api.urls[0]:
        if isinstance(pattern, URLPattern) and pattern.name != "api-root":
            pattern.callback = mannered(pattern.callback)
            found.append(pattern)
    return [*found, re_path("", mannered(nothing), name="nothing")]


api = _made()
urls = (_patterns(), "ninja", "api")
