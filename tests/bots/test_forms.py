"""A bot's form: the kind's own fields, and its own sentences where they belong."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.contrib.auth import get_user_model
from django.forms import BooleanField, ChoiceField, NumberInput

from bots import forms, services
from bots.forms import PREFIX, form_for
from bots.kinds import KINDS
from bots.kinds.parameters import ParamsError
from bots.models import Bot
from markets.models import Exchange, Market
from tests.bots.conftest import START


@pytest.fixture
def filled(account, market):
    """What a person types for a plain grid."""
    return {
        "name": "New", "account": account.pk, "market": market.pk, "timeframe": 60, "allocation": "1000",
        "param_lower": "90", "param_upper": "110", "param_lines": "21", "param_spacing": "geometric",
        "param_size": "base", "param_trigger_price": "", "param_stop_loss": "80.5", "param_take_profit": "",
        "param_sell_at_end": "on",
    }  # fmt: skip


def errors(data, instance=None) -> dict[str, list[str]]:
    form = form_for("grid")(data, instance=instance)
    assert not form.is_valid()
    return {name: list(found) for name, found in form.errors.items()}


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_every_parameter_of_a_kind_has_a_field_with_its_label_and_help(db, kind):
    form = form_for(kind.slug)()
    for parameter in kind.parameters():
        field = form.fields[PREFIX + parameter.name]
        assert field.label.startswith(parameter.label)
        assert parameter.unit in field.label
        assert field.help_text == parameter.help != ""
        assert (None if parameter.required else parameter.read(field.initial)) == parameter.default


def test_fields_are_typed_as_their_parameters(db):
    fields = form_for("grid")().fields
    assert isinstance(fields["param_sell_at_end"], BooleanField)
    assert isinstance(fields["param_spacing"], ChoiceField)
    assert fields["param_spacing"].choices == [("arithmetic", "Arithmetic"), ("geometric", "Geometric")]
    assert isinstance(fields["param_lower"].widget, NumberInput)
    assert fields["param_lines"].widget.attrs["step"] == 1
    assert fields["param_lower"].widget.attrs["step"] == "any"


def test_an_unknown_kind_shows_the_form_of_the_first():
    assert form_for("gone").bot_kind is next(iter(KINDS.values()))


def test_a_good_form_makes_a_bot_with_typed_parameters_of_the_account_s_owner(filled, owner):
    form = form_for("grid")(filled)
    assert form.is_valid(), form.errors
    bot = form.save()
    bot.refresh_from_db()
    assert (bot.owner, bot.kind, bot.status, bot.allocation) == (owner, "grid", "draft", 1000)
    assert bot.params == {"lower": 90.0, "upper": 110.0, "lines": 21, "spacing": "geometric", "stop_loss": 80.5}
    services.start(bot, START)


def test_an_unchecked_flag_is_false_not_the_default(filled):
    form = form_for("grid")({name: value for name, value in filled.items() if name != "param_sell_at_end"})
    assert form.is_valid(), form.errors
    assert form.save().params["sell_at_end"] is False


def test_a_saved_bot_is_shown_with_its_own_values(filled):
    form = form_for("grid")(filled)
    assert form.is_valid()
    again = form_for("grid")(instance=Bot.objects.get(pk=form.save().pk))
    shown = {name: again[name].value() for name in again.fields}
    assert shown["name"] == "New"
    assert shown["param_lower"] == "90"
    assert shown["param_spacing"] == "geometric"
    assert shown["param_sell_at_end"] is True  # equal to its default, so not stored
    assert shown["param_trigger_price"] is None
    html = again.as_p()
    assert 'name="param_stop_loss" value="80.5"' in html
    assert 'value="1000"' in html  # no eighteen zeros behind the point


def test_saving_the_shown_form_again_changes_nothing(filled):
    form = form_for("grid")(filled)
    assert form.is_valid()
    bot = form.save()
    shown = form_for("grid")(instance=Bot.objects.get(pk=bot.pk))
    values = {name: shown[name].value() for name in shown.fields}
    again = form_for("grid")({name: "" if v is None else v for name, v in values.items()}, instance=shown.instance)
    assert again.is_valid(), again.errors
    assert again.changed_data == []
    assert again.save().params == Bot.objects.get(pk=bot.pk).params


BAD = [
    ({"param_upper": "80"}, "param_upper", "upper must be above lower (90), not 80."),
    ({"param_upper": "90"}, "param_upper", "upper must be above lower (90), not 90."),
    ({"param_lower": ""}, "param_lower", "lower is needed."),
    ({"param_lower": "nan"}, "param_lower", "lower must be a finite number, not 'nan'."),
    ({"param_upper": "inf"}, "param_upper", "upper must be a finite number, not 'inf'."),
    ({"param_upper": "1e999"}, "param_upper", "upper must be a finite number, not '1e999'."),
    ({"param_lower": "cheap"}, "param_lower", "lower must be a number, not 'cheap'."),
    ({"param_lower": "-5"}, "param_lower", "lower must be at least 1e-12 quote, not -5."),
    ({"param_lower": "0"}, "param_lower", "lower must be at least 1e-12 quote, not 0."),
    ({"param_lines": "2.5"}, "param_lines", "lines must be a whole number, not 2.5."),
    ({"param_lines": "1"}, "param_lines", "lines must be at least 2, not 1."),
    ({"param_lines": "1001"}, "param_lines", "lines must be at most 1000, not 1001."),
    ({"param_lines": "1" * 300}, "param_lines", "lines must be at most 1000, not 1.11111111111111e+299."),
    ({"param_spacing": "fibonacci"}, "param_spacing", "spacing must be one of arithmetic, geometric, not 'fibonacci'."),
    ({"param_stop_loss": "95"}, "param_stop_loss", "stop_loss must be below lower (90), not 95."),
    ({"param_take_profit": "100"}, "param_take_profit", "take_profit must be above upper (110), not 100."),
    (
        {"param_lines": "200"}, "param_lines",
        "lines: a step of 0.0919 % is below twice the fee 0.1 %: every cycle would lose; 200 lines are too many",
    ),
    ({"param_upper": "90.05"}, "param_lines", "lines must leave at least one tick (0.01) between two lines; 21 are"),
    ({"allocation": "15"}, "allocation", "allocation must be about 24."),
    ({"param_upper": "1e308"}, "param_upper", "upper must be at most 1e+15 quote, not 1e+308."),
    ({"param_lower": "\uff19\uff10"}, "param_lower", "lower must be a number, not '\uff19\uff10'."),
    ({"param_lines": "2_1"}, "param_lines", "lines must be a number, not '2_1'."),
    (
        {"allocation": "1e14"}, "allocation",
        "allocation must buy at most 1.41e+14 lots of 0.001, not 1.11e+15 (100000000000000 at a price of 90): such "
        "amounts are not exact. It may be at most 1.27e+13.",
    ),
    ({"allocation": "0"}, "allocation", "allocation must be at least 1E-8, not 0."),
    ({"allocation": "-1"}, "allocation", "allocation must be at least 1E-8, not -1."),
    ({"allocation": "NaN"}, "allocation", "allocation must be a number, such as 1000 or 0.5."),
    ({"allocation": "1e40"}, "allocation", "allocation must have at most 38 digits."),
    ({"allocation": ""}, "allocation", "allocation is needed."),
    ({"name": ""}, "name", "name is needed."),
    ({"name": "x" * 81}, "name", "name must be at most 80 characters long, not 81."),
    ({"name": "a\u202eb"}, "name", "name must be text that can be seen, without U+202E."),
    ({"name": "a\tb"}, "name", "name must be text that can be seen, without U+0009."),
    ({"account": ""}, "account", "account is needed."),
    ({"market": ""}, "market", "market is needed."),
    ({"market": "0"}, "market", "market must be one that is stored, not the one that was sent."),
    ({"timeframe": "61"}, "timeframe", "timeframe must be the seconds of one of 1m, 5m, 15m, 30m, 1h, 4h, 1d, not"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "field", "sentence"), BAD)
def test_what_is_wrong_is_said_at_its_field(filled, change, field, sentence):
    found = errors(filled | change)
    assert list(found) == [field]
    assert [text[: len(sentence)] for text in found[field]] == [sentence]
    assert not Bot.objects.exists()


def test_every_bad_parameter_is_told_at_once(filled):
    found = errors(filled | {"param_lower": "x", "param_upper": "", "param_lines": "0"})
    assert set(found) == {"param_lower", "param_upper", "param_lines"}


def test_a_market_of_another_exchange_is_refused(filled):
    other = Exchange.objects.create(slug="other", name="Other", ccxt_id="simulated")
    market = Market.objects.create(exchange=other, symbol="A/B", base="A", quote="B", tick="0.01", lot="0.001")
    found = errors(filled | {"market": market.pk})
    assert found["market"] == ["market must be on the account's exchange, Simulated."]


def test_a_name_is_taken_only_among_the_owner_s_own_bots(filled, bot, exchange):
    assert errors(filled | {"name": "Grid"}) == {"name": ["name must be new among ann's bots; 'Grid' is taken."]}
    bob = get_user_model().objects.create_user("bob")
    elsewhere = services.open_paper_account(bob, "Paper", exchange, {"USDT": Decimal(10)})
    form = form_for("grid")(filled | {"name": "Grid", "account": elsewhere.pk})
    assert form.is_valid(), form.errors
    assert form.save().owner == bob


def test_a_bot_keeps_its_own_name(filled, bot):
    form = form_for("grid")(filled | {"name": "Grid"}, instance=bot)
    assert form.is_valid(), form.errors


def test_what_a_run_holds_cannot_be_changed_under_it(filled, bot, account, exchange):
    """Else the money of the run would go to another account at the end."""
    services.start(bot, START)
    bot.refresh_from_db()
    rich = services.open_paper_account(bot.owner, "Other", exchange, {"USDT": Decimal(10)})
    form = form_for("grid")(filled | {"account": rich.pk, "timeframe": 3600, "name": "Renamed"}, instance=bot)
    assert form.is_valid(), form.errors
    saved = form.save()
    assert (saved.account, saved.timeframe, saved.name) == (account, 60, "Renamed")
    services.stop(bot, close_position=False)
    bot.refresh_from_db()
    assert not form_for("grid")(instance=bot).fields["account"].disabled


def test_a_problem_of_no_field_is_told_above_the_form(filled, monkeypatch):
    def refuse(*_):
        raise ParamsError({"": "the whole of it does not fit.", "other": "nor does this."})

    monkeypatch.setattr(forms.services, "validate", refuse)
    assert errors(filled) == {"__all__": ["the whole of it does not fit.", "nor does this."]}


def test_bad_parameters_are_told_together_with_what_is_missing(filled):
    found = errors(filled | {"market": "", "allocation": "", "param_lower": "x", "param_upper": ""})
    assert set(found) == {"market", "allocation", "param_lower", "param_upper"}
    assert found["param_upper"] == ["upper is needed."]


def test_required_parameters_are_marked_and_no_flag_is(db):
    fields = form_for("grid")().fields
    names = {name for name, field in fields.items() if name.startswith(PREFIX) and field.required}
    assert names == {"param_lower", "param_upper"}
