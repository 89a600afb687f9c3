"""Bots told by the API what pages tell them by forms: the same services, the same sentences."""

from __future__ import annotations

import pytest

from bots.forms import form_for
from bots.models import Bot, Event
from tests.dashboard.cast import PARAMS, make_bot


@pytest.fixture
def new(draft):
    return {
        "name": "From afar", "account": draft.account_id, "market": draft.market_id, "kind": "grid",
        "allocation": "250.123456789012345678", "params": {"lower": 90, "upper": 110.5}, "limits": {"max_drawdown": 20},
    }  # fmt: skip


def test_a_bot_is_made_with_the_very_amount_that_was_sent(ask, new, owner):
    answer = ask("bots", new)
    assert answer.status_code == 201
    made = Bot.objects.get(name="From afar")
    assert answer.headers["Location"] == f"/api/bots/{made.pk}"
    assert (made.owner, made.params, made.limits) == (owner, {"lower": 90.0, "upper": 110.5}, {"max_drawdown": 20.0})
    assert answer.data["allocation"] == new["allocation"] == str(made.allocation)


@pytest.mark.parametrize(
    ("method", "path", "sent", "field"),
    [
        ("POST", "bots", {"limit": {"max_drawdown": 20}}, "limit"),
        ("PATCH", "bots/{}", {"lines": 11}, "lines"),
        ("POST", "bots/{}/stop", {"position": "keep", "positions": "close"}, "positions"),
        ("POST", "backtests", {"market": 1, "kind": "grid", "param": {"lower": 90}}, "param"),
        ("POST", "batch", {"paths": ["/api/bots"], "path": "/api/trades"}, "path"),
    ],
)
def test_a_misspelt_field_is_named_and_nothing_happens(ask, new, draft, method, path, sent, field):
    answer = ask(path.format(draft.pk), new | sent if path == "bots" else sent, method)
    assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json")
    assert answer.data["errors"] == [{"field": field, "message": f"{field} is not a field that is known here."}]
    assert list(Bot.objects.values_list("name", flat=True)) == [draft.name]


@pytest.mark.parametrize("sent", [True, "1", 1.5])
@pytest.mark.parametrize("field", ["account", "market"])
def test_only_an_integer_is_an_id(ask, new, draft, field, sent):
    for method, path, body in (("POST", "bots", new), ("PATCH", f"bots/{draft.pk}", {})):
        answer = ask(path, body | {field: sent}, method)
        assert (answer.status_code, [one["field"] for one in answer.data["errors"]]) == (422, [field])


def test_a_bot_lives_and_ends_through_the_api(ask, draft, owner):
    path = f"bots/{draft.pk}"
    assert ask(f"{path}/start", {}).data["status"] == "running"
    assert ask(f"{path}/pause", {}).data["status"] == "paused"
    assert ask(f"{path}/resume", {}).data["status"] == "running"
    stopped = ask(f"{path}/stop", {"position": "close"}).data
    assert (stopped["status"], stopped["run"]["status"], stopped["run"]["equity"]) == ("stopped", "stopped", "1000")
    codes = Event.objects.filter(bot=draft).order_by("id").values_list("code", flat=True)
    assert list(codes) == ["started", "paused", "resumed", "stopped"]


def test_who_stopped_it_is_recorded(ask, draft):
    ask(f"bots/{draft.pk}/start", {})
    assert "by owner" in ask(f"bots/{draft.pk}/stop", {"position": "keep"}).data["reason"]


def test_a_refusal_changes_nothing_and_says_why(ask, draft):
    answer = ask(f"bots/{draft.pk}/pause", {})
    assert answer.status_code == 409
    assert answer.data["detail"] == "Draft grid is not running."


def test_what_happens_to_the_position_must_be_said(ask, draft):
    answer = ask(f"bots/{draft.pk}/stop", {})
    assert answer.status_code == 422
    assert answer.data["errors"] == [{"field": "position", "message": "position is needed."}]


def test_only_what_is_sent_changes(ask, draft):
    before = ask(f"bots/{draft.pk}").data
    after = ask(f"bots/{draft.pk}", {"allocation": 1200, "params": {"lines": 11}}, "PATCH").data
    assert after["allocation"] == "1200"
    assert after["params"] == {"lower": 90.0, "upper": 110.0, "lines": 11}
    assert {name for name in before if before[name] != after[name]} == {"allocation", "params", "updated_at"}


def test_a_run_goes_on_with_a_change_at_once_or_from_the_next_start(ask, draft):
    path = f"bots/{draft.pk}"
    ask(f"{path}/start", {})
    later = ask(path, {"params": {"lines": 11}}, "PATCH").data
    assert (later["params"]["lines"], later["run"]["number"]) == (11, 1)
    now = ask(path, {"params": {"lines": 12}, "apply": "now"}, "PATCH").data
    assert (now["params"]["lines"], now["run"]["number"], now["status"]) == (12, 2, "running")


def test_null_brings_a_default_back(ask, draft):
    ask(f"bots/{draft.pk}", {"params": {"lines": 11}}, "PATCH")
    assert ask(f"bots/{draft.pk}", {"params": {"lines": None}}, "PATCH").data["params"] == {
        "lower": 90.0,
        "upper": 110.0,
    }


def test_a_running_bot_keeps_its_market(ask, draft):
    ask(f"bots/{draft.pk}/start", {})
    answer = ask(f"bots/{draft.pk}", {"timeframe": "5m"}, "PATCH")
    assert (answer.status_code, answer.data["detail"]) == (409, "timeframe is fixed until Draft grid is stopped.")
    assert ask(f"bots/{draft.pk}", {"timeframe": "1m", "name": "Renamed"}, "PATCH").data["name"] == "Renamed"


@pytest.mark.parametrize(
    "params",
    [
        {"lower": 110, "upper": 90},
        {"lower": 90},
        {"lower": "abc", "upper": 110},
        {"lower": 90, "upper": 110, "lines": 1},
        {"lower": 90, "upper": 110, "lines": 2.5},
        {"lower": 90, "upper": 110, "spacing": "odd"},
    ],
)
def test_the_sentences_are_those_of_the_form(ask, new, params):
    answer = ask("bots", new | {"params": params})
    assert answer.status_code == 422
    typed = {f"param_{name}": str(value) for name, value in ({"lines": 20, "spacing": "linear"} | params).items()}
    form = form_for("grid")({**new, "timeframe": 60, **typed, "limit_max_drawdown": "20", "limit_at_drawdown": "sell"})
    assert not form.is_valid()
    said = " ".join(sentence for sentences in form.errors.values() for sentence in sentences)
    told = answer.data["errors"][0]
    assert told["field"].startswith("params.") or told["field"] == ""
    assert told["message"] in said or "spacing" in told["message"]


@pytest.mark.parametrize(
    ("change", "field", "sentence"),
    [
        ({"kind": "magic"}, "kind", "kind must be one of grid,"),
        ({"params": PARAMS | {"uper": 3}}, "params.uper", "did you mean upper?"),
        ({"limits": {"max_drawdown": 101}}, "limits.max_drawdown", "must be at most 100 %, not 101."),
        ({"name": "Draft grid"}, "name", "'Draft grid' is taken."),
        ({"name": ""}, "name", "name must have at least 1 character, not ''."),
        ({"allocation": "much"}, "allocation", ""),
        ({"allocation": "-5"}, "allocation", ""),
        ({"allocation": "NaN"}, "allocation", ""),
        ({"allocation": "1e999999"}, "allocation", ""),
        ({"allocation": "1e14"}, "allocation", "allocation must buy at most 1.41e+14 lots of "),
        ({"allocation": None}, "allocation", "allocation must be a valid string, not None."),
        ({"timeframe": "7m"}, "timeframe", "timeframe must be one of 1m, 5m,"),
        ({"market": 10**18}, "market", ""),
        ({"market": 2**63}, "market", "market must be less than or equal to 9223372036854775807"),
        ({"account": "mine"}, "account", "account must be a valid integer"),
        ({"params": []}, "params", "params must be a valid dictionary, not []."),
        ({"params": PARAMS | {"lower": {"a": 1}}}, "params.lower", "lower must be a number"),
        ({"name": "a\0b"}, "name", "name must be text without NUL"),
    ],
)
def test_what_is_wrong_is_told_by_field_and_nothing_is_stored(ask, new, change, field, sentence):
    answer = ask("bots", new | change)
    assert answer.status_code == 422, answer.data
    assert field in {error["field"] for error in answer.data["errors"]}
    assert sentence in answer.data["detail"]
    assert not Bot.objects.filter(name=new["name"]).exists()


@pytest.mark.parametrize("body", [b"{", b'{"name": NaN}', b'{"name": "\\ud800"}', b"\xff", b"[" * 5000])
def test_a_body_that_is_no_json_is_refused(ask, draft, body):
    answer = ask.client.post("/api/bots", body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_bots_are_found_by_what_they_are(ask, owner, draft, market):
    make_bot(owner, market, "Swing grid")
    assert [row["name"] for row in ask("bots?status=running").data["items"]] == ["Swing grid"]
    assert [row["name"] for row in ask("bots?q=draft").data["items"]] == ["Draft grid"]
    assert ask("bots?kind=grid").data["total"] == 2
    assert ask(f"bots?market={market.pk + 1}").data["total"] == 0
