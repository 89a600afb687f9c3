from __future__ import annotations

import re

import pytest
from django.template import Context, Template
from django.template.loader import render_to_string
from django.test import override_settings
from django.urls.base import set_script_prefix
from django.utils.safestring import mark_safe
from markupsafe import Markup, escape

from dashboard import markup, row_templates
from dashboard.views.bot_actions import ACTIONS
from orchestrator.home import PROJECT

TEMPLATES = sorted((PROJECT / "templates").rglob("*.*"))


def test_every_icon_that_a_page_names_is_in_the_icon_set():
    named = {name for path in TEMPLATES for name in re.findall(r'icon[ (]"([^"]+)"', path.read_text())}
    named |= {action.icon for action in ACTIONS.values()}
    assert len(named) > 10
    for name in named:
        assert markup.icon(name).startswith('<svg aria-hidden="true"')


@pytest.mark.parametrize("name", ["../../../package", "a/b", "", "Robot", "robot\n", "robot.svg"])
def test_an_icon_name_that_could_be_a_path_is_refused(name):
    with pytest.raises(ValueError, match="icon name must be"):
        markup.icon(name)


def test_an_unknown_icon_says_where_the_names_are():
    with pytest.raises(ValueError, match="@tabler/icons"):
        markup.icon("no-such-icon")


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_no_template_holds_inline_script_style_or_another_host(path):
    text = path.read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"""\s(on\w+|style)=["']""", text)
    assert not re.search(r"""(src|link[^>]*href)=["']https?://""", text)


def test_texts_of_users_are_escaped_in_badges():
    text = Template("{% load look %}{% badge status title %}").render(Context({"status": "<b>", "title": '"><i>'}))
    assert "<b>" not in text
    assert "<i>" not in text


@pytest.mark.parametrize("name", ["404", "403", "403_csrf", "400", "500"])
def test_error_pages_need_no_request_and_no_database(name):
    assert "Go to the overview" in render_to_string(f"{name}.html")


def test_a_missing_page_looks_like_the_others(client, db):
    answer = client.get("/no-such-page/")
    assert answer.status_code == 404
    assert "There is no such page" in answer.content.decode()


def test_nothing_but_the_sites_own_files_and_its_event_stream_is_allowed(client, db, settings):
    policy = client.get("/login/").headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert f"connect-src 'self' http://testserver:{settings.LIVE_PORT};" in policy + ";"
    assert "unsafe" not in policy


@override_settings(LIVE_URL="/live/")
def test_a_stream_behind_the_sites_own_address_is_found_there(page):
    assert '<meta name="live" content="http://testserver/live/">' in page("/").text_


def test_rows_escape_what_people_typed_and_what_exchanges_sent():
    sent = "<script>alert('1')</script>"
    event = {"level": "info", "code": sent, "message": sent, "time": mark_safe("<time>now</time>"), "details": []}
    context = Context({"events": [event]})
    html = Template('{% load look %}{% rows "dashboard/_events.jinja" nothing=sent %}').render(context)
    assert "<script" not in html
    assert html.count("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;") == 2
    assert '<span class="log-time"><time>now</time></span>' in html


def test_addresses_in_rows_follow_the_place_where_the_site_hangs():
    bots = [{"bot": {"pk": 5, "name": "Grid", "status": "running", "market_id": 3, "market": {"symbol": "BTC/USDT"}}}]
    for prefix in ("/", "/trading/"):
        set_script_prefix(prefix)
        html = row_templates.rendered("dashboard/_bots_table.jinja", {"bots": bots})
        set_script_prefix("/")
        assert f'href="{prefix}bots/5/"' in html
        assert f'href="{prefix}markets/3/"' in html


HOSTILE = """<script>alert("it's")</script> & co"""


@pytest.mark.parametrize(
    "value",
    [HOSTILE, *HOSTILE, "plain", "", 5, 1.5, None, mark_safe("<b>ours</b>"), Markup("<i>ours</i>"), ["<", "it's"]],
    ids=repr,
)
def test_rows_show_every_value_as_the_library_escapes_it(value):
    template = row_templates.environment(autoescape=True).from_string("{{ value }}")

    assert template.render(value=value) == str(escape(value))


def test_no_block_of_a_row_template_turns_escaping_off():
    blocks = "{% autoescape false %}{{ text }}{% endautoescape %}{% macro one(x) %}{{ x }}{% endmacro %}{{ one(text) }}"
    template = row_templates.environment(autoescape=True).from_string(blocks)

    assert template.render(text=HOSTILE) == 2 * str(escape(HOSTILE))
