"""Modules that a page's scripts import are named in its head, so that a browser fetches them all at once."""

from __future__ import annotations

import re

import pytest

from orchestrator.home import PROJECT

SCRIPT = re.compile(r'<script type="module" src="/static/js/([\w.]+)"')
PRELOAD = re.compile(r'<link rel="modulepreload" href="/static/js/([\w.]+)"')
IMPORT = re.compile(r'from "\./([\w.]+)"')
PAGES = ["/", "/bots/", "/bots/{bot}/", "/markets/{market}/", "/bots/new/?kind=grid", "/backtests/compare/", "/trades/"]


def imported(names):
    """Names of modules and all that they import."""
    found, left = set(), set(names)
    while left:
        name = left.pop()
        found.add(name)
        left |= set(IMPORT.findall((PROJECT / "static/js" / name).read_text())) - found
    return found


@pytest.mark.parametrize("path", PAGES)
def test_every_module_of_a_page_is_known_from_its_head_and_no_other(page, bot, path):
    head = page(path.format(bot=bot.pk, market=bot.market_id)).text_.split("</head>")[0]
    scripts, preloaded = SCRIPT.findall(head), PRELOAD.findall(head)
    assert "page.js" in scripts
    assert sorted(scripts + preloaded) == sorted(imported(scripts))
