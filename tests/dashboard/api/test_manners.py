"""What all answers have: ETag, limits, problems, chosen fields."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.test import Client

from bots.models import Trade
from dashboard import books
from dashboard.api import rates, trades
from dashboard.api.schema import exact


def test_what_has_not_changed_is_not_sent_again(ask, bot):
    first = ask(f"bots/{bot.pk}")
    again = ask(f"bots/{bot.pk}", **{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    bot.name = "Renamed"
    bot.save()
    changed = ask(f"bots/{bot.pk}", **{"If-None-Match": first.headers["ETag"]})
    assert (changed.status_code, changed.data["name"]) == (200, "Renamed")


@pytest.mark.parametrize("path", ["stats", "nothing", "trades?page=0"])
def test_shared_caches_keep_nothing(ask, db, path):
    headers = ask(path).headers
    assert headers["Cache-Control"] == "private, no-cache"
    assert {"Authorization", "Cookie"} <= {name.strip() for name in headers["Vary"].split(",")}


def test_only_the_fields_asked_for_are_sent(ask, bot):
    assert set(ask("trades?fields=id,price").data["items"][0]) == {"id", "price"}
    assert set(ask(f"bots/{bot.pk}?fields=name,%20why").data) == {"name", "why"}
    assert "total" in ask("orders?fields=id").data


@pytest.mark.parametrize("path", ["trades", "bots", "stats", "markets", "strategies", "accounts", "backtests"])
def test_a_field_that_is_not_there_is_named(ask, db, path):
    answer = ask(f"{path}?fields=id,nonsense")
    assert answer.status_code == 422
    assert answer.data["errors"][0]["field"] == "fields"
    assert "not '" in answer.data["detail"]


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        ("12345678901234567890.123456789012345678", "12345678901234567890.123456789012345678"),
        ("0.000000000000000001", "0.000000000000000001"),
        ("1000.000000000000000000", "1000"),
        ("0E-18", "0"),
        ("-0.0", "0"),
        ("-1.50", "-1.5"),
    ],
)
def test_amounts_keep_every_digit(stored, told):
    assert exact(Decimal(stored)) == told


def test_a_trades_price_arrives_as_it_is_stored(ask, bot):
    Trade.objects.update(price=Decimal("12345678901234567890.123456789012345678"))
    assert ask("trades").data["items"][0]["price"] == "12345678901234567890.123456789012345678"


def test_every_answer_says_what_is_left(ask, db, settings):
    settings.API_READS_PER_MINUTE = 5
    left = [ask("stats").headers["RateLimit-Remaining"] for _ in range(5)]
    assert left == ["4", "3", "2", "1", "0"]
    refused = ask("stats")
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit-Limit"] == "5"
    assert refused.data["detail"].startswith("reads must be at most 5 a minute")


def test_changes_are_counted_apart_from_reads(ask, draft, settings):
    settings.API_WRITES_PER_MINUTE = 1
    assert ask(f"bots/{draft.pk}/pause", {}).status_code == 409
    assert ask(f"bots/{draft.pk}/pause", {}).status_code == 429
    assert ask("stats").status_code == 200


def test_a_batch_counts_as_what_it_holds(ask, db, settings):
    settings.API_READS_PER_MINUTE = 5
    assert ask("batch", {"paths": ["/api/stats"] * 4}).headers["RateLimit-Remaining"] == "1"
    assert ask("batch", {"paths": ["/api/stats"] * 4}).status_code == 429


def test_one_users_requests_are_not_anothers(ask, ask_as_stranger, settings):
    settings.API_READS_PER_MINUTE = 1
    assert [ask("stats").status_code, ask("stats").status_code] == [200, 429]
    assert ask_as_stranger("stats").status_code == 200


def test_while_redis_is_away_reads_go_on_uncounted(ask, db, monkeypatch, caplog):
    gone = rates.SlidingWindowCounterRateLimiter(rates.RedisStorage("redis://127.0.0.1:1/0"))
    monkeypatch.setattr(rates, "_limiter", lambda: gone)
    answer = ask("markets")
    assert answer.status_code == 200
    assert "RateLimit-Limit" not in answer.headers
    assert "not counted" in caplog.text


def problem_of(answer, status):
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    told = answer.json()
    assert set(told) == {"type", "title", "status", "detail", "errors"}
    assert told["status"] == status
    return told


@pytest.mark.parametrize("path", ["nothing", "bots/0", "bots/x", "bots/99999999999999999999", "trades/1/2", "stats/"])
def test_what_is_not_there_is_a_404(ask, db, path):
    assert problem_of(ask(path), 404)["errors"] == []


@pytest.mark.parametrize(("path", "method", "allowed"), [("stats", "DELETE", "GET"), ("batch", "GET", "POST")])
def test_what_cannot_be_done_is_a_405_that_says_what_can(ask, db, path, method, allowed):
    answer = ask(path, method=method)
    assert "only" in problem_of(answer, 405)["detail"]
    assert answer.headers["Allow"] == allowed


def test_a_body_too_long_is_a_413_before_it_is_read(ask, db):
    answer = ask("batch", {"paths": ["/api/" + "x" * 300_000]})
    assert "262,144 bytes" in problem_of(answer, 413)["detail"]


def test_a_failure_here_is_a_500_that_tells_nothing_of_the_inside(ask, db, monkeypatch, caplog):
    def broken(*arguments):
        raise RuntimeError("the password is swordfish")

    monkeypatch.setattr(books, "books", broken)
    answer = ask("stats")
    assert "swordfish" not in str(problem_of(answer, 500))
    assert "swordfish" in caplog.text


def test_a_surrogate_in_an_address_does_no_harm(ask, db):
    assert "cursor" in str(problem_of(ask("trades?cursor=%ED%A0%80"), 422)["errors"])
    assert "q" in str(problem_of(ask("markets?q=%00"), 422)["errors"])


def test_the_schema_is_served_to_those_who_may_ask(ask, db):
    told = ask("openapi.json").data
    assert told["openapi"].startswith("3.")
    assert "/api/trades" in told["paths"]
    assert Client().get("/api/openapi.json").status_code == 401


def test_a_list_names_every_column_of_its_rows():
    assert list(trades.COLUMNS) == list(trades.TradeRow.model_fields)


def test_an_address_with_too_many_fields_is_a_400(ask, db):
    """Alone and in a batch; it was an error of the server's."""
    path = "bots?" + "&" * 1500
    sentence = "fields must be at most 1,000 in an address."
    assert problem_of(ask(path), 400)["detail"] == sentence
    (answer,) = ask("batch", {"paths": [f"/api/{path}"]}).data["answers"]
    assert (answer["status"], answer["body"]["detail"]) == (400, sentence)


def test_a_number_that_json_would_not_bring_back_is_refused(ask, draft):
    """Stored, it came out of the database as a whole number of more than 64 bits, and the bot could not be answered."""
    answer = ask(f"bots/{draft.pk}", {"limits": {"max_position": 2**64 - 1}}, "PATCH")
    assert problem_of(answer, 422)["errors"][0]["field"] == "limits.max_position"
    assert ask(f"bots/{draft.pk}", {"limits": {"max_position": 10**18}}, "PATCH").status_code == 200
