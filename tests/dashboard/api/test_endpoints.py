"""Every endpoint once, with what it answers."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db.models import F
from django.utils import timezone

from bots import backtests, equity, trade_days
from bots.kinds import KINDS
from bots.models import Backtest, BookSnapshot
from dashboard.api.application import schema
from markets import services
from markets.models import Quotes
from tests.dashboard.cast import PARAMS
from tests.markets.following import jobs

BOT = {"name": "From afar", "kind": "grid", "allocation": "250.5", "params": PARAMS}
# Operation -> what is sent (query or body; callables are given the path parameters) -> what the answer holds.
TABLE = {
    "GET /stats": ("", {"open_positions": 1}),
    "GET /equity-curve": ("?book=paper:USDT&period=1d", {"book": "paper:USDT"}),
    "GET /performance": ("?book=paper:USDT", {"trades": 4, "pnl": "23.5", "fees": "2"}),
    "GET /exchanges": ("", {"total": 1}),
    "GET /exchanges/{exchange_id}": ("", {"slug": "sim", "markets": 1}),
    "GET /accounts": ("", {}),
    "GET /accounts/{account_id}": ("", {"balances": [{"currency": "USDT", "free": "5000"}]}),
    "GET /bots": ("?status=running", {"total": 1}),
    "POST /bots": (lambda at: BOT | {"account": at["account_id"], "market": at["market_id"]}, {"status": "draft"}),
    "GET /bots/{bot_id}": ("", {"why": "A draft: it was never started.", "run": None}),
    "PATCH /bots/{bot_id}": ({"params": {"upper": 120}}, {"params": {"lower": 90.0, "upper": 120.0}}),
    "POST /bots/{bot_id}/start": ({}, {"status": "running"}),
    "POST /bots/{bot_id}/pause": ({}, {"status": 409}),
    "POST /bots/{bot_id}/resume": ({}, {"status": 409}),
    "POST /bots/{bot_id}/stop": ({"position": "keep"}, {"status": 409}),
    "GET /positions": ("", {"total": 1}),
    "GET /positions/{position_id}": ("", {"amount": "4", "unrealized": "5", "value": "405"}),
    "GET /trades": ("", {"total": 4, "total_exact": True, "total_pages": 1, "has_next": False}),
    "GET /trades/{trade_id}": ("", {"amount": "0.5", "fee": "0.05"}),
    "GET /orders": ("", {"total": 6}),
    "GET /orders/{order_id}": ("", {"filled": "0", "status": "open"}),
    "GET /markets": ("?q=btc", {"total": 1}),
    "GET /markets/{market_id}": ("", {"tick": "0.01", "lot": "0.0001"}),
    "GET /markets/{market_id}/ticker": ("", {"last": 101.25, "change_24h": 0.0125}),
    "GET /markets/{market_id}/candles": ("?limit=3", {"volume": [12.5, 12.5, 12.5]}),
    "GET /markets/{market_id}/indicators": ("?limit=1&names=sma", {"timeframe": "1m"}),
    "GET /strategies": ("", {}),
    "GET /strategies/{kind}": ("", {"kind": "grid", "margin": False}),
    "GET /backtests": ("?state=queued", {"total": 1}),
    "POST /backtests": (lambda at: {"market": at["market_id"], "kind": "grid", "params": PARAMS}, {"state": "queued"}),
    "GET /backtests/{backtest_id}": ("", {"candles": 300, "progress": 0.0, "equity": []}),
    "DELETE /backtests/{backtest_id}": (None, None),
    "POST /backtests/{backtest_id}/cancel": ({}, {"state": "cancelled"}),
    "POST /backtests/{backtest_id}/again": ({}, {"status": 409}),
    "POST /backtests/trial": (
        lambda at: {"market": at["market_id"], "kind": "grid", "params": PARAMS},
        {"candles": 300},
    ),
    "POST /batch": ({"paths": ["/api/health"]}, {}),
    "GET /markets/{market_id}/orderbook": ("?limit=2", {"symbol": "BTC/USDT"}),
    "GET /health": ("", {"status": "ready"}),
}
REFUSED = [
    "POST /bots/{bot_id}/pause",
    "POST /bots/{bot_id}/resume",
    "POST /bots/{bot_id}/stop",
    "POST /backtests/{backtest_id}/again",
]
STATUSES = {"POST /bots": 201, "POST /backtests": 201, "DELETE /backtests/{backtest_id}": 204}
STATUSES |= dict.fromkeys(REFUSED, 409)


def test_the_table_has_every_endpoint():
    documented = {
        f"{method.upper()} {path.removeprefix('/api')}" for path, ways in schema()["paths"].items() for method in ways
    }
    assert set(TABLE) == documented


@pytest.mark.parametrize("operation", TABLE)
def test_an_endpoint_answers(operation, ask, places):
    method, _, path = operation.partition(" ")
    sent, expected = TABLE[operation]
    address = path.lstrip("/").format(**places)
    if callable(sent):
        sent = sent(places)
    answer = ask(address, sent, method) if method != "GET" else ask(address + sent)
    assert answer.status_code == STATUSES.get(operation, 200), answer.data
    assert answer.data is expected or {name: answer.data[name] for name in expected} == expected


def test_stats_count_bots_by_status_and_sum_books(ask, bot, draft):
    data = ask("stats").data
    assert data["bots"] == {"draft": 1, "running": 1, "paused": 0, "stopped": 0, "failed": 0}
    (book,) = data["books"]
    assert (book["book"], book["equity"], book["pnl"]) == ("paper:USDT", 1023.5, 23.5)


def test_a_curve_is_columns_that_end_now(ask, bot):
    equity.sum_up()
    data = ask("equity-curve?book=paper:USDT&period=1d").data
    assert len(data["time"]) == len(data["equity"]) == len(data["pnl"]) > 10
    assert data["time"] == sorted(data["time"])
    assert (data["equity"][-1], data["pnl"][-1]) == (1023.5, 23.5)
    assert ask("equity-curve?book=live:EUR").data["time"] == []


def test_a_period_s_gain_is_measured_from_what_was_before_it(ask, bot):
    equity.sum_up()
    BookSnapshot.objects.filter(time__lt=timezone.now() - timedelta(hours=1)).update(
        time=F("time") - timedelta(days=3), pnl=7
    )
    assert (ask("equity-curve?book=paper:USDT&period=1d").data["base"]) == 7
    assert (ask("equity-curve?book=paper:USDT&period=all").data["base"]) == 0


def test_performance_is_told_by_kind_and_market(ask, bot):
    (share,) = ask("performance?book=paper:USDT&period=all").data["shares"]
    assert (share["kind"], share["symbol"], share["trades"], share["pnl"]) == ("grid", "BTC/USDT", 4, "23.5")


def test_performance_has_the_figures_of_the_page(ask, bot):
    equity.sum_up()
    trade_days.sum_up()
    data = ask("performance?book=paper:USDT&period=all").data
    assert data["figures"]["gained"] == pytest.approx(23.5)
    assert data["figures"]["trades"] == 4
    assert data["figures"]["exposure"] == pytest.approx(4 * 101.25 / 1023.5)
    assert sum(day["gained"] for day in data["days"]) == pytest.approx(23.5)
    assert sum(month["gained"] for month in data["months"]) == pytest.approx(23.5)


def test_a_book_there_is_not_has_no_days(ask, bot):
    data = ask("performance?book=live:EUR").data
    assert (data["days"], data["months"], data["shares"], data["figures"]["sharpe"]) == ([], [], [], None)


def test_every_kind_is_described_with_bounds_units_and_defaults(ask, db):
    data = ask("strategies").data
    assert {one["kind"] for one in data["items"]} == set(KINDS)
    grid = next(one for one in data["items"] if one["kind"] == "grid")
    lines = next(entry for entry in grid["parameters"] if entry["name"] == "lines")
    assert (lines["type"], lines["least"], lines["most"], lines["default"]) == ("whole", 2, 1000, 20)
    assert {entry["name"] for entry in data["limits"]} >= {"max_position", "max_drawdown"}


def test_an_exchanges_configuration_is_told_nobody(ask, bot):
    exchange = bot.market.exchange
    exchange.ccxt_config = {"apiKey": "hidden treasure"}
    exchange.save()
    for path in ("exchanges", f"exchanges/{exchange.pk}", "markets", "accounts"):
        assert "hidden treasure" not in ask(path).content.decode()


def test_indicators_fit_their_candles(ask, bot):
    data = ask(f"markets/{bot.market_id}/indicators?names=sma,rsi&limit=7").data
    assert data["time"] == ask(f"markets/{bot.market_id}/candles?limit=7").data["time"]
    assert [len(data["indicators"][name][name]) for name in ("sma", "rsi")] == [7, 7]


def test_a_backtest_is_the_engines_own(ask, bot):
    body = {"market": bot.market_id, "kind": "grid", "params": PARAMS, "capital": "1000"}
    data = ask("backtests/trial", body).data
    assert Decimal(data["final_equity"]) == pytest.approx(Decimal(repr(data["equity"][-1])))
    assert data["trades"] == data["metrics"]["trades"] > 0
    assert len(data["time"]) == len(data["equity"]) == 300


def test_a_grid_is_queued_answered_and_not_asked_twice(ask, bot):
    body = {"market": bot.market_id, "kind": "grid", "params": {"lower": 90, "upper": 110}, "capital": "1000"}
    body["grid"] = {"lines": [5, 20, 40]}
    asked = ask("backtests", body)
    assert (asked.status_code, asked.data["state"], asked.data["sets"]) == (201, "queued", [])
    assert backtests.run_waiting() == 1
    done = ask(asked.headers["Location"].removeprefix("/api/")).data
    assert (done["state"], done["progress"], len(done["sets"])) == ("done", 1.0, 3)
    assert done["sets"] == sorted(done["sets"], key=lambda one: -one["final_equity"])
    again = ask("backtests", body)
    assert (again.status_code, again.data["id"]) == (200, asked.data["id"])


def test_a_stored_backtest_has_figures_bounds_and_curve(ask, bot):
    body = {"market": bot.market_id, "kind": "grid", "params": PARAMS, "capital": "1000", "days": 1}
    number = ask("backtests", body).data["id"]
    backtests.run_waiting()
    found = ask(f"backtests/{number}").data
    assert found["metrics"]["trades"] > 0
    assert found["bounds"]["worst"] <= found["equity"][-1] <= found["bounds"]["best"]
    assert len({len(found[name]) for name in ("time", "equity", "close", "drawdown")}) == 1
    assert (found["time"][0], found["end"] - found["start"]) == (found["start"], 300 * 60_000)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "none"}, "kind"),
        ({"params": {"lower": 90, "upper": 80}}, "upper"),
        ({"grid": {"none": [1]}}, "none"),
        ({"grid": {"\0": [1]}}, "grid.\0.[key]"),
        ({"grid": {"lines": [1, 2]}}, "lines"),
        ({"grid": {"lines": list(range(2, 150)), "lower": list(range(1, 90))}}, "grid"),
        ({"limits": {"max_drawdown": -1}}, "max_drawdown"),
        ({"days": 0}, "days"),
        ({"capital": 0}, "capital"),
    ],
)
def test_a_backtest_that_makes_no_sense_is_refused_at_its_field(ask, bot, change, field):
    answer = ask("backtests", {"market": bot.market_id, "kind": "grid", "params": PARAMS} | change)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.data["errors"]] == [field]
    assert not Backtest.objects.exists()


def test_a_batch_answers_each_read_as_if_it_came_alone(ask, bot):
    paths = ["/api/trades?page_size=10&fields=id", f"/api/bots/{bot.pk}", "/api/bots/99999", "/api/trades?page=0"]
    answers = ask("batch", {"paths": paths}).data["answers"]
    alone = [ask(path.removeprefix("/api/")) for path in paths]
    assert [one["status"] for one in answers] == [200, 200, 404, 422]
    assert [one["body"] for one in answers] == [one.data for one in alone]


@pytest.mark.parametrize("paths", [[], ["/api/stats"] * 21, ["/bots/"], ["https://example.org/api/"], ["/api/\0"]])
def test_a_batch_is_bounded_and_stays_inside(ask, db, paths):
    assert ask("batch", {"paths": paths}).status_code == 422


def test_a_batch_changes_nothing(ask, draft):
    (answer,) = ask("batch", {"paths": [f"/api/bots/{draft.pk}/start"]}).data["answers"]
    assert answer["status"] == 405
    draft.refresh_from_db()
    assert draft.status == "draft"


def test_the_best_bid_is_below_the_best_ask(ask, bot):
    services.refresh_quotes(bot.market_id)
    data = ask(f"markets/{bot.market_id}/orderbook?limit=5").data
    assert len(data["bids"]) == len(data["asks"]) == 5
    assert data["bids"] == sorted(data["bids"], reverse=True)
    assert data["asks"] == sorted(data["asks"])
    assert data["bids"][0][0] < data["asks"][0][0]


def test_an_order_book_is_what_a_worker_fetched_with_its_age(ask, bot, redis):
    """No web process waits for an exchange."""
    path = f"markets/{bot.market_id}/orderbook"
    answer = ask(path)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.data["detail"] == "The order book of BTC/USDT is being fetched: ask again in a moment."
    assert list(jobs(redis)) == [("markets.tasks.refresh_quotes", [bot.market_id])]
    at = timezone.now()
    Quotes.objects.create(market=bot.market, bids=[[100.0, 1.0]], asks=[], book_at=at)
    told = ask(path).data
    assert (told["time"], told["stale"], told["error"]) == (int(at.timestamp() * 1000), False, "")
    Quotes.objects.update(book_at=at - timedelta(minutes=5), book_error="Simulated did not answer.")
    told = ask(path).data
    assert (told["stale"], told["error"], told["bids"]) == (True, "Simulated did not answer.", [[100.0, 1.0]])


def test_an_exchange_that_cannot_be_asked_is_a_503_with_its_sentence(ask, bot):
    exchange = bot.market.exchange
    exchange.ccxt_id = "file"
    exchange.save()
    answer = ask(f"markets/{bot.market_id}/orderbook")
    assert answer.status_code == 503
    assert answer.data["detail"] == "Simulated is known from imported files alone and has no connection."
