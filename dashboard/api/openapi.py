"""What the schema says beside what ninja reads off the operations: problems, limits and conditions, of every answer."""

from __future__ import annotations

from typing import Any

from ninja.openapi.schema import OpenAPISchema

from dashboard.api.problems import MEDIA_TYPE, Problem

_COUNT = {"type": "integer"}
RATES = {
    "RateLimit-Limit": {"schema": _COUNT, "description": "Requests a minute."},
    "RateLimit-Remaining": {"schema": _COUNT, "description": "Those left."},
    "RateLimit-Reset": {"schema": _COUNT, "description": "Seconds until more are left."},
}
WORDS = {
    400: "The body is no JSON.",
    401: "Nobody is logged in, or the token is not valid.",
    403: "The token may only read, or the CSRF token is missing.",
    404: "There is nothing here, or nothing of yours.",
    405: "This cannot be done here; Allow says what can.",
    409: "Refused as things stand; nothing was changed.",
    413: "The body is too long.",
    422: "Some of it is wrong; errors says what of which field.",
    429: "Too many requests; Retry-After says when to come back.",
    500: "It failed here.",
    503: "An exchange cannot be reached.",
}


def documented(schema: OpenAPISchema) -> dict[str, Any]:
    """The schema with every answer that is possible."""
    document: dict[str, Any] = dict(schema)
    document["components"]["schemas"] |= _models()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            _complete(path, method, operation)
    return document


def _models() -> dict[str, Any]:
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**problem.pop("$defs"), "Problem": problem}


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    secured = "security" in operation
    answers = {int(status): answer for status, answer in operation["responses"].items()}
    if method == "get":
        answers[304] = {"description": "What was answered before still holds."}
    for status in _possible(path, method, operation, secured):
        answers.setdefault(status, _problem(status))
    if secured:
        for answer in answers.values():
            answer.setdefault("headers", {}).update(RATES)
    operation["responses"] = {str(status): answers[status] for status in sorted(answers)}


def _possible(path: str, method: str, operation: dict[str, Any], secured: bool) -> set[int]:
    found = {405, 413, 500}
    if secured:
        found |= {401, 403, 429}
    if "{" in path or method == "post":
        found.add(404)
    if operation["parameters"] or "requestBody" in operation:
        found |= {400, 422}
    if method in ("post", "patch"):
        found.add(409)
    if method in ("post", "patch") or path.endswith("/orderbook"):
        found.add(503)
    return found


def _problem(status: int) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": WORDS[status],
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status == 429:
        answer["headers"] = {"Retry-After": {"schema": _COUNT, "description": "Seconds."}}
    return answer
