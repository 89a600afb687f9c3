"""The schema as a person reads it: what each address takes and what it answers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from dashboard.api.application import schema

Schema = dict[str, Any]


class Field(NamedTuple):
    """One thing that is sent or answered. bounds: its type with its bounds, in words."""

    name: str
    bounds: str
    default: str
    required: bool
    help: str


class Operation(NamedTuple):
    id: str
    method: str
    path: str
    summary: str
    scope: str
    takes: list[Field]
    answers: list[Field]
    note: str


@cache
def sections() -> list[tuple[str, list[Operation]]]:
    """Heading -> its operations, in the order of the schema."""
    document = schema()
    found: dict[str, list[Operation]] = {}
    for path, ways in document["paths"].items():
        for method, operation in ways.items():
            found.setdefault(operation["tags"][0], []).append(_operation(document, method, path, operation))
    return list(found.items())


def _operation(document: Schema, method: str, path: str, operation: Schema) -> Operation:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    # An address can hold no null: it leaves the parameter out.
    takes = [
        _field(document, one["name"], _resolved(document, one["schema"]), one["required"])
        for one in operation["parameters"]
    ]
    row = _row(document, operation)
    return Operation(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        scope=_scope(path, method, operation),
        takes=takes + (list(_fields(document, body)) if body else []),
        answers=list(_fields(document, row)),
        note=row.get("description", ""),
    )


def _row(document: Schema, operation: Schema) -> Schema:
    """What is answered, of a list one of its rows; nothing where nothing is."""
    answers = (one for status, one in operation["responses"].items() if status in ("200", "201"))
    answer = next(answers, None)
    if answer is None:
        return {}
    shape = _resolved(document, answer["content"]["application/json"]["schema"])
    return _resolved(document, shape["properties"]["items"]["items"]) if "items" in shape["properties"] else shape


def _scope(path: str, method: str, operation: Schema) -> str:
    if "security" not in operation:
        return "open"
    return "read" if method == "get" or path in ("/api/batch", "/api/backtests/trial") else "trade"


def _resolved(document: Schema, part: Schema) -> Schema:
    """The part that a reference leads to; of "this or null", this."""
    for choice in part.get("anyOf", []):
        if choice.get("type") != "null":
            return {**{name: value for name, value in part.items() if name != "anyOf"}, **_resolved(document, choice)}
    if "$ref" not in part:
        return part
    target: Schema = document["components"]["schemas"][part["$ref"].rpartition("/")[2]]
    return target


def _fields(document: Schema, part: Schema) -> Iterator[Field]:
    shape = _resolved(document, part)
    for name, one in shape.get("properties", {}).items():
        yield _field(document, name, one, name in shape.get("required", []))


def _field(document: Schema, name: str, part: Schema, required: bool) -> Field:
    shape, default = _resolved(document, part), part.get("default")
    shown = "" if default is None else str(default)
    about = part.get("description") or shape.get("description", "")
    return Field(name, _bounds(document, part, shape), shown, required, about)


def _bounds(document: Schema, part: Schema, shape: Schema) -> str:
    words = ", ".join(map(str, shape["enum"])) if "enum" in shape else _measured(document, shape)
    return words + (" or null" if any(choice.get("type") == "null" for choice in part.get("anyOf", [])) else "")


def _measured(document: Schema, shape: Schema) -> str:
    kind = str(shape.get("format") or shape.get("type", "any"))
    if kind == "array":
        return f"list of {_bounds(document, shape['items'], _resolved(document, shape['items']))}"
    least = shape.get("minimum", shape.get("minLength"))
    most = shape.get("maximum", shape.get("maxLength"))
    bounds = [f"from {least}"] if least is not None else []
    # The largest id is no bound that anybody meets.
    bounds += [f"to {most}"] if most is not None and most < 2**53 else []
    return " ".join([kind, *bounds])
