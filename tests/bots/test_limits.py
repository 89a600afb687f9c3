"""Limits: what they are, which make no sense, and how much a bot may come to hold."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bots import limits, services
from bots.engine import types
from bots.engine.types import Terms
from bots.forms import LIMIT_PREFIX, form_for
from bots.kinds import KINDS
from bots.kinds.parameters import ParamsError
from bots.models import Bot
from tests.bots.conftest import GRID, START

TERMS = Terms(min_cost=5.0, taker=0.002)
DCA = {"base_order": 100.0, "safety_order": 50.0, "max_safety_orders": 2}


def sentence(act, *arguments) -> str:
    with pytest.raises(ParamsError) as caught:
        act(*arguments)
    return str(caught.value)


def validated(raw, kind="grid", params=GRID, allocation=1000.0):
    found = KINDS[kind]
    return limits.validate(raw, found.read(params), found, TERMS, allocation)


def test_nothing_is_limited_unless_somebody_says_so():
    assert limits.read({}) == limits.Limits(
        max_position=None, max_open_orders=None, max_daily_loss=None, max_drawdown=None, at_drawdown="sell",
        loss_cooldown=None,
    )  # fmt: skip


def test_the_engine_gets_quote_fractions_and_milliseconds():
    given = limits.read(
        {"max_position": 500, "max_open_orders": 7, "max_daily_loss": 5, "max_drawdown": 20, "loss_cooldown": 90,
         "at_drawdown": "keep"}
    )  # fmt: skip
    assert limits.for_engine(given, 2000.0) == types.Limits(
        max_position=500.0, max_open_orders=7, max_daily_loss=100.0, max_drawdown=0.2, loss_cooldown=90_000,
        keep_at_drawdown=True,
    )  # fmt: skip
    assert limits.for_engine(limits.read({}), 2000.0) == types.Limits()


BAD = [
    ({"max_position": -1}, "max_position must be at least 0 quote, not -1."),
    ({"max_position": "much"}, "max_position must be a number, not 'much'."),
    ({"max_position": float("nan")}, "max_position must be a finite number, not nan."),
    ({"max_open_orders": 2.5}, "max_open_orders must be a whole number, not 2.5."),
    ({"max_daily_loss": 101}, "max_daily_loss must be at most 100 %, not 101."),
    ({"max_drawdown": 101}, "max_drawdown must be at most 100 %, not 101."),
    ({"at_drawdown": "pray"}, "at_drawdown must be one of sell, keep, not 'pray'."),
    ({"loss_cooldown": 2_592_001}, "loss_cooldown must be at most 2592000 s, not 2592001."),
    ({"max_draw": 5}, "max_draw is not a parameter of the limits: did you mean max_drawdown?"),
]


@pytest.mark.parametrize(("raw", "told"), BAD)
def test_a_bad_limit_is_told_in_a_sentence(raw, told):
    assert sentence(limits.read, raw) == told


def test_every_bad_limit_is_told_at_once():
    with pytest.raises(ParamsError) as caught:
        limits.read({"max_position": -1, "max_drawdown": 200})
    assert set(caught.value.problems) == {"max_position", "max_drawdown"}


@pytest.mark.parametrize(
    ("raw", "kind", "params", "told"),
    [
        (
            {"max_position": 4.99},
            "grid",
            GRID,
            "the market's minimum order 5 quote, not 4.99: nothing could be bought.",
        ),
        ({"max_position": 99}, "dca", DCA, "the first order of 100 quote, not 99: it would be refused, and nothing"),
        ({"max_position": 998}, "trailing", {}, "the first order of 998.003992015968 quote, not 998: it would be"),
    ],
)
def test_a_position_limit_below_the_smallest_order_is_refused(raw, kind, params, told):
    assert sentence(validated, raw, kind, params).startswith(f"max_position must be at least {told}")


@pytest.mark.parametrize(
    ("raw", "kind", "params"),
    [
        ({"max_position": 5}, "grid", GRID),
        ({"max_position": 0}, "dca", DCA),
        ({"max_position": 100}, "dca", DCA),
        ({"max_position": 999}, "trailing", {}),
        ({"max_drawdown": 10, "at_drawdown": "keep"}, "grid", GRID),
    ],
)
def test_limits_that_leave_room_to_trade_are_taken(raw, kind, params):
    assert validated(raw, kind, params) == limits.read(raw)


def test_stored_limits_are_typed_and_leave_out_what_limits_nothing():
    raw = {"max_position": "500", "max_open_orders": "0", "at_drawdown": "sell", "loss_cooldown": "60"}
    assert limits.plain(raw) == {"max_position": 500.0, "loss_cooldown": 60}
    assert limits.read(limits.plain(raw)).max_position == 500.0


@pytest.mark.parametrize(
    ("allocation", "leverage", "raw", "most"),
    [
        ("1000", 1.0, {}, "1000"),
        ("1000", 3.0, {}, "3000"),
        ("0.1", 1.0, {}, "0.1"),
        ("1000", 3.0, {"max_position": 1500.5}, "1500.5"),
        ("1000", 1.0, {"max_position": 0}, "1000"),
        ("1000", 1.0, {"max_position": 5000.0}, "1000"),
    ],
)
def test_a_bot_may_hold_its_allocation_times_leverage_or_its_limit(allocation, leverage, raw, most):
    assert limits.exposure(Decimal(allocation), leverage, raw) == Decimal(most)


@pytest.mark.parametrize("slug", KINDS)
def test_a_kind_without_a_leverage_has_one(slug):
    if not any(entry.name == "leverage" for entry in KINDS[slug].parameters()):
        assert limits.leverage_of(KINDS[slug], {"leverage": 20}) == 1.0
    assert limits.leverage_of(None, {}) == 1.0


# --- in the form, and in a run ---------------------------------------------------------------------------------------


@pytest.fixture
def filled(account, market):
    return {
        "name": "New", "account": account.pk, "market": market.pk, "timeframe": 60, "allocation": "1000",
        "param_lower": "90", "param_upper": "110", "param_lines": "21", "limit_max_position": "400",
        "limit_max_drawdown": "12.5", "limit_at_drawdown": "keep", "limit_loss_cooldown": "0",
    }  # fmt: skip


def test_the_form_has_a_field_for_every_limit(db):
    fields = form_for("grid")().fields
    for entry in limits.described():
        assert fields[LIMIT_PREFIX + entry.name].label.startswith(entry.label)
        assert fields[LIMIT_PREFIX + entry.name].help_text == entry.help != ""
        assert not fields[LIMIT_PREFIX + entry.name].required


def test_limits_are_stored_shown_again_and_kept_by_the_run(filled):
    form = form_for("grid")(filled)
    assert form.is_valid(), form.errors
    bot = form.save()
    bot.refresh_from_db()
    stored = {"max_position": 400.0, "max_drawdown": 12.5, "at_drawdown": "keep"}
    assert bot.limits == stored
    shown = form_for("grid")(instance=bot)
    values = {name: "" if (value := shown[name].value()) is None else value for name in shown.fields}
    assert (values["limit_max_position"], values["limit_at_drawdown"]) == ("400", "keep")
    again = form_for("grid")(values, instance=bot)
    assert again.is_valid(), again.errors
    assert again.changed_data == []
    run = services.start(bot, START)
    services.configure(form_changed(bot, max_position=300.0))
    run.refresh_from_db()
    assert run.limits == stored
    assert Bot.objects.get(pk=bot.pk).limits["max_position"] == 300.0


def form_changed(bot, **limited) -> Bot:
    bot.limits = bot.limits | limited
    return bot


@pytest.mark.parametrize(
    ("change", "field", "told"),
    [
        ({"limit_max_position": "-3"}, "limit_max_position", "max_position must be at least 0 quote, not -3."),
        ({"limit_max_position": "0.5"}, "limit_max_position", "max_position must be at least the market's minimum"),
        ({"limit_max_open_orders": "x"}, "limit_max_open_orders", "max_open_orders must be a number, not 'x'."),
        ({"limit_at_drawdown": "x"}, "limit_at_drawdown", "at_drawdown must be one of sell, keep, not "),
    ],
)
def test_a_wrong_limit_is_told_at_its_field(filled, change, field, told):
    form = form_for("grid")(filled | change)
    assert not form.is_valid()
    assert list(form.errors) == [field]
    assert form.errors[field][0].startswith(told)
    assert not Bot.objects.exists()


def test_a_bot_does_not_start_under_limits_that_make_no_sense_any_more(bot):
    Bot.objects.update(limits={"max_position": 0.5})
    with pytest.raises(services.Refused, match=r"max_position must be at least the market's minimum order 1 quote"):
        services.start(bot, START)
    Bot.objects.update(limits={"max_sum": 1})
    with pytest.raises(services.Refused, match="max_sum is not a parameter of the limits"):
        services.start(bot, START)
