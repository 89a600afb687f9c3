"""Every address of the project, asked by those who may not: a new one fails here until it says who may see it."""

from __future__ import annotations

import pytest
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from bots.models import Backtest, Channel
from bots.notifications import channels
from dashboard import tokens
from dashboard.models import ApiToken
from tests.dashboard.cast import make_bot, make_market, make_user

PUBLIC = {"login", "health", "ready", "metrics", "manifest", "service-worker", "offline"}
EVERYBODYS = {
    "accounts",
    "api-tokens",
    "channels",
    "new-channel",
    "settings",
    "api-reference",
    "new-bot",
    "backtests",
    "new-backtest",
    "compare-backtests",
    "overview",
    "equity",
    "equity-table",
    "performance",
    "performance-csv",
    "correlation",
    "bots",
    "bots-bulk",
    *(f"{table}{form}" for table in ("positions", "trades", "orders", "activity") for form in ("", "-csv", "-ndjson")),
    "markets",
    "market",
    "search",
    "market-chart",
    "market-candles",
    "halt",
    "release",
    "logout",
}
# Asked for without a form they lead elsewhere.
FORMS = {"settings-currency", "settings-password", "market-watch"}
STAFFS = {"system"}
OWNERS = {
    "backtest",
    "backtest-chart",
    "backtest-cancel",
    "backtest-again",
    "backtest-curve",
    "backtest-delete",
    "bot",
    "bot-edit",
    "bot-chart",
    "bot-equity",
    "bot-equity-table",
    "bot-action",
    "position-dismiss",
    "revoke-api-token",
    "channel",
    "channel-test",
    "channel-pause",
    "channel-delete",
}
# Of the admin, what needs no login: the form itself and what leads to it, and words without data.
ADMIN_PUBLIC = {"admin:login", "admin:logout"}
FRAGMENT = {"HX-Request": "true"}


def patterns(resolver=None, namespace="", before=""):
    """(name with its namespace, path with its <converters>) of every address."""
    for one in (resolver or get_resolver()).url_patterns:
        path = before + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from patterns(one, f"{one.namespace}:" if one.namespace else namespace, path)
        elif isinstance(one, URLPattern):
            yield (namespace + one.name if one.name else path), path


ALL = list(patterns())
# Asked by those who may not in tests/dashboard/api/test_access.py.
API = {name for name, _ in ALL if name.startswith("api:")}
ADMIN = [(name, path) for name, path in ALL if path.startswith("admin/")]


def filled(path, pk):
    """An admin path with an object in the place of its converters."""
    for converter in ("<path:object_id>", "<int:content_type_id>", "<id>", "<app_label>"):
        path = path.replace(converter, str(pk))
    for regex, word in (("^(?P<app_label>auth|django_celery_beat|bots|markets)/$", "bots/"), ("(?P<url>.*)$", "x")):
        path = path.replace(regex, word)
    return "/" + path.replace("<path:url>", "x")


def address(name, bot):
    first = {
        "bot": bot.pk,
        "market": bot.market_id,
        "position": 1,
        "backtest": Backtest.objects.values_list("pk", flat=True).first(),
    }.get(name.partition("-")[0])
    if name.partition("-")[0] == "channel":
        first = Channel.objects.get(owner=bot.owner).pk
    if name == "revoke-api-token":
        first = ApiToken.objects.get(owner=bot.owner).pk
    action = ["stop"] if name in ("bot-action", "bots-bulk") else []
    return reverse(name, args=[*([first] if first else []), *action])


@pytest.fixture
def bot(db):
    owner = make_user("owner")
    tokens.create(owner, "script", "read")
    made = make_bot(owner, make_market())
    channels.create(owner, channels.Wishes(made.name, ["failures"]), "jsons://example.org/")
    Backtest.objects.create(
        owner=owner, market=made.market, kind="grid", timeframe=60, allocation=1000, terms={"margin": False},
        begin=0, end=60_000, bars=2, digest="0" * 64,
    )  # fmt: skip
    return made


def test_every_address_says_who_may_see_it():
    assert {
        name for name, path in ALL if not path.startswith("admin/")
    } == PUBLIC | EVERYBODYS | FORMS | STAFFS | OWNERS | API


def sent_to_log_in(answer):
    return answer.status_code == 302 and "/login/" in answer.headers["Location"]


def test_nobody_sees_a_page_without_logging_in(client, bot):
    pages = {name: address(name, bot) for name in EVERYBODYS | FORMS | STAFFS | OWNERS}
    asked = [(name, method(path)) for name, path in pages.items() for method in (client.get, client.post)]
    assert {name for name, answer in asked if not sent_to_log_in(answer)} == set()
    assert {name for name, answer in asked if not answer.headers["Location"].startswith("/login/")} == set()


@pytest.mark.parametrize("headers", [{}, FRAGMENT])
def test_what_belongs_to_another_is_not_there_for_a_superuser_either(client, bot, headers):
    client.force_login(make_user("stranger", is_staff=True, is_superuser=True))
    told = {name: client.get(address(name, bot), headers=headers).status_code for name in OWNERS}
    assert {name: status for name, status in told.items() if status != 404} == {}


@pytest.mark.parametrize("name", sorted(STAFFS))
def test_what_is_for_staff_is_not_there_for_others(client, bot, name):
    client.force_login(bot.owner)
    assert client.get(address(name, bot)).status_code == 404


@pytest.mark.parametrize("headers", [{}, FRAGMENT])
def test_pages_for_everybody_show_nothing_of_another(client, bot, headers):
    client.force_login(make_user("stranger"))
    answers = {name: client.get(address(name, bot), headers=headers) for name in EVERYBODYS - {"logout"}}
    assert {name for name, answer in answers.items() if answer.status_code != 200} == set()
    assert {name for name, answer in answers.items() if bot.name in b"".join(answer).decode()} == set()


def test_the_admin_is_for_staff_alone(client, bot):
    closed = {filled(path, bot.pk) for name, path in ADMIN if name not in ADMIN_PUBLIC}
    assert len(closed) > 50
    for user in (None, make_user("visitor")):
        if user:
            client.force_login(user)
        asked = [(path, method(path)) for path in closed for method in (client.get, client.post)]
        assert {path for path, answer in asked if not sent_to_log_in(answer)} == set()


def test_staff_without_rights_reach_no_object(client, bot):
    client.force_login(make_user("clerk", is_staff=True))
    objects = {filled(path, bot.pk) for name, path in ADMIN if "bots_" in name and "object_id" in path}
    assert len(objects) > 10
    answers = {path: client.get(path, follow=True) for path in objects}
    assert {path for path, answer in answers.items() if bot.name in b"".join(answer).decode()} == set()
