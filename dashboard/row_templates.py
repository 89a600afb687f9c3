"""The templates of tables and lists with many rows, *.jinja: Jinja2 compiles them, which makes a row in a sixth of the
time that Django's nodes take; they are put into a page with {% rows "dashboard/_trades.jinja" %}.

Autoescape is on as in Django's own, and what it holds to be safe is safe here. What the tags of look.py make is there
as functions: url("bot", 5), badge(…), icon(…), sort_link(request.GET, …).
"""

from __future__ import annotations

import re
from functools import lru_cache, partial
from typing import Any

from django.template import engines
from django.urls import get_script_prefix, reverse
from django.utils.safestring import SafeString, mark_safe
from jinja2 import Environment
from jinja2.compiler import CodeGenerator
from markupsafe import escape

from dashboard import markup

_finds_special = re.compile("[&<>\"']").search


def shown(value: Any) -> str:
    """A value as HTML: markupsafe's escape(), without its making an object of each of the thousand texts of a page."""
    kind = type(value)
    if kind is SafeString or (kind is str and not _finds_special(value)):
        found: str = value
        return found
    return escape(value)


class _Generator(CodeGenerator):
    """Compiles {{ … }} to shown(…), whatever surrounds it: there is no way to have a value as it is but mark_safe()."""

    def _output_child_pre(self, *_: Any) -> None:
        self.write("environment.shown(")


class RowEnvironment(Environment):
    code_generator_class = _Generator
    shown = staticmethod(shown)


def environment(**options: Any) -> Environment:
    """What Django's settings name as the environment of this engine."""
    made = RowEnvironment(**options)  # Django sets autoescape
    made.globals.update(badge=markup.badge, icon=markup.icon, sort_link=markup.sort_link)
    return made


@lru_cache(maxsize=20_000)
def _reversed(prefix: str, name: str, *arguments: int | str) -> str:
    """Addresses of bots and markets come again in every row. prefix: a part of what reverse() answers."""
    return reverse(name, args=arguments)


def rendered(name: str, context: dict[str, Any]) -> SafeString:
    """The HTML of a template of rows."""
    template: Any = engines["jinja2"].get_template(name)
    html: str = template.template.render({**context, "url": partial(_reversed, get_script_prefix())})
    return mark_safe(html)  # each value in it was escaped
