"""The pieces of dashboard/markup.py as tags, and those that need to know the request."""

from __future__ import annotations

from typing import Any

from django import template
from django.http import HttpRequest
from django.utils.safestring import SafeString

from dashboard import markup, row_templates
from dashboard.parameters import replaced
from orchestrator.middleware import live_url as event_stream_url

register = template.Library()
register.simple_tag(markup.icon, name="icon")
register.simple_tag(markup.badge, name="badge")


@register.simple_tag(takes_context=True)
def rows(context: template.Context, name: str, **values: Any) -> SafeString:
    """A table or list with many rows: a template of Jinja2, with all that this one knows."""
    known: dict[str, Any] = context.flatten()  # type: ignore[assignment]
    return row_templates.rendered(name, {**known, **values})


@register.simple_tag(takes_context=True)
def query(context: template.Context, **values: object) -> str:
    """This page's query string with some parameters replaced; paging starts again unless it is what changes."""
    request: HttpRequest = context["request"]
    for place in ("page", "after", "before"):
        values.setdefault(place, None)
    return replaced(request.GET, **values)


@register.simple_tag(takes_context=True)
def sort_link(context: template.Context, column: str, label: str) -> SafeString:
    return markup.sort_link(context["request"].GET, context["sort"], column, label)


@register.simple_tag(takes_context=True)
def live_url(context: template.Context) -> str:
    return event_stream_url(context["request"])
