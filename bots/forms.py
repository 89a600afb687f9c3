"""The forms that admin and dashboard share: a bot's, with its kind's parameters and its limits."""

from __future__ import annotations

import unicodedata
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

from django import forms

from bots import guards, limits, services
from bots.kinds import KINDS
from bots.kinds.contract import Kind
from bots.kinds.parameters import Parameter, ParamsError
from bots.models import Bot
from bots.sentences import one_of, sentences
from markets.series import TIMEFRAMES

PREFIX, LIMIT_PREFIX = "param_", "limit_"
SENTENCES = {
    "name": sentences("name"),
    "account": sentences("account", invalid_choice="account must be one of yours, not the one that was sent."),
    "market": sentences("market", invalid_choice="market must be one that is stored, not the one that was sent."),
    "timeframe": sentences(
        "timeframe",
        invalid_choice=f"timeframe must be the seconds of one of {', '.join(TIMEFRAMES)}, not '%(value)s'.",
    ),
    "allocation": sentences(
        "allocation",
        invalid="allocation must be a number, such as 1000 or 0.5.",
        min_value="allocation must be at least %(limit_value)s, not %(show_value)s.",
        max_digits="allocation must have at most %(max)s digits.",
        max_decimal_places="allocation must have at most %(max)s digits behind the point.",
        max_whole_digits="allocation must have at most %(max)s digits before the point.",
    ),
}

if TYPE_CHECKING:
    BotModelForm = forms.ModelForm[Bot]
else:
    BotModelForm = forms.ModelForm


class ExactField(forms.DecimalField):
    """An exact number without the zeros that its column has behind the point."""

    def prepare_value(self, value: Any) -> Any:
        return Decimal(f"{value.normalize():f}") if isinstance(value, Decimal) and value.is_finite() else value


def form_field(parameter: Parameter) -> forms.Field:
    """The form field of one kind parameter. Bounds are checked by the kind, so that every way in says the same."""
    label = f"{parameter.label} ({parameter.unit})" if parameter.unit else parameter.label
    common: dict[str, Any] = {
        "label": label,
        "help_text": parameter.help,
        "required": parameter.required and parameter.type != "flag",  # an unchecked box is an answer
        "error_messages": sentences(parameter.name),
        "initial": _typed(parameter.default),
    }
    if parameter.type == "flag":
        return forms.BooleanField(**common)
    if parameter.type == "choice":
        common["error_messages"] = one_of(parameter.name, (name for name, _ in parameter.choices))
        return forms.ChoiceField(**common, choices=parameter.choices)
    if parameter.type == "text":
        return forms.CharField(**common, widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}))
    step = 1 if parameter.type == "whole" else "any"
    widget = forms.NumberInput(attrs={"step": step, "inputmode": "decimal"})
    return forms.CharField(**common, widget=widget)


def _typed(value: Any) -> Any:
    """A stored value as a person types it, so that a form sent back as it was shown has not changed."""
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return str(value) if type(value) is int else value


def param_fields(kind: Kind) -> dict[str, forms.Field]:
    """Form field name -> field, for each parameter of a kind."""
    return {PREFIX + parameter.name: form_field(parameter) for parameter in kind.parameters()}


def limit_fields() -> dict[str, forms.Field]:
    """Form field name -> field, for each limit."""
    return {LIMIT_PREFIX + parameter.name: form_field(parameter) for parameter in limits.described()}


class BotForm(BotModelForm):
    """The form of one kind; make it with form_for()."""

    bot_kind: Kind

    class Meta:
        model = Bot
        fields = ("name", "account", "market", "timeframe", "allocation")
        field_classes = {"allocation": ExactField}
        error_messages = SENTENCES

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.kind = self.instance.kind or self.bot_kind.slug
        for prefix, values in ((PREFIX, self.instance.params), (LIMIT_PREFIX, self.instance.limits)):
            for name, value in (values or {}).items():
                if prefix + name in self.fields:
                    self.initial[prefix + name] = _typed(value)
        if self.instance.status in services.ALIVE:
            self._fix_what_a_run_holds()

    def _fix_what_a_run_holds(self) -> None:
        for name in services.FIXED_WHILE_ALIVE:
            if name in self.fields:
                self.fields[name].disabled = True
                self.fields[name].help_text = "Fixed until the bot is stopped."

    def save(self, commit: bool = True, by: str = "") -> Bot:
        """by: who saves it."""
        bot = super().save(commit=False)
        if commit:
            services.configure(bot, by)
        return bot

    def stored(self, by: str) -> Bot | None:
        """What save() stores; None when it could not be, with the reason at its field."""
        try:
            return self.save(by=by)
        except ParamsError as error:
            self._blame("", error)
            return None

    def clean_name(self) -> str:
        """A name that shows what it says: no character that hides, or turns the text around."""
        name: str = self.cleaned_data["name"]
        for character in name:
            if unicodedata.category(character)[0] == "C":
                raise forms.ValidationError(f"name must be text that can be seen, without U+{ord(character):04X}.")
        return name

    def clean(self) -> dict[str, Any]:
        super().clean()
        data = self.cleaned_data
        self.instance.kind = self.bot_kind.slug
        if data.get("account"):
            self._clean_owner()
        if data.get("market") and data.get("account") and data["market"].exchange_id != data["account"].exchange_id:
            self.add_error("market", f"market must be on the account's exchange, {data['account'].exchange.name}.")
        self._clean_params()
        self._clean_limits()
        return data

    def _clean_owner(self) -> None:
        owner, name = self.cleaned_data["account"].owner, self.cleaned_data.get("name")
        self.instance.owner = owner
        if Bot.objects.owned_by(owner).filter(name=name).exclude(pk=self.instance.pk).exists():
            self.add_error("name", services.name_taken(owner, name))

    def _clean_params(self) -> None:
        params = self._typed_in(PREFIX)
        try:
            if self._has_money:
                self._validate(params)
            self.instance.params = services.plain_params(self.bot_kind, params)
        except ParamsError as error:
            self._blame(PREFIX, error)

    def _clean_limits(self) -> None:
        limited = self._typed_in(LIMIT_PREFIX)
        try:
            self.instance.limits = limits.plain(limited)
            if self._has_money and not self.errors:
                params = self.instance.params
                self._validate(params, limited)
                self._clean_exposure()
        except ParamsError as error:
            self._blame(LIMIT_PREFIX, error)

    def _validate(self, params: dict[str, Any], limited: dict[str, Any] | None = None) -> None:
        market, timeframe, allocation = (self.cleaned_data[name] for name in ("market", "timeframe", "allocation"))
        services.validate(self.bot_kind.slug, params, market, timeframe, allocation, limited)

    def _clean_exposure(self) -> None:
        """A bot that has no room even by itself; the room that others leave is asked for at the start."""
        data, bot = self.cleaned_data, self.instance
        wanted = guards.exposure(self.bot_kind.slug, data["allocation"], bot.params, bot.limits)
        if data.get("account") and (
            sentence := guards.no_room(data["account"], data["market"].quote, wanted, Decimal(0))
        ):
            self.add_error("allocation", sentence)

    @property
    def _has_money(self) -> bool:
        """Whether the market, timeframe and an allocation are known, which parameters and limits must fit."""
        data = self.cleaned_data
        return bool(data.get("market") and data.get("timeframe")) and data.get("allocation", 0) > 0

    def _typed_in(self, prefix: str) -> dict[str, Any]:
        """What was typed in the fields of a prefix, what was left empty left out."""
        return {
            name.removeprefix(prefix): value
            for name, value in self.cleaned_data.items()
            if name.startswith(prefix) and value not in (None, "")
        }

    def _blame(self, prefix: str, error: ParamsError) -> None:
        """Show sentences at their fields; what is about no field that is shown is about the whole form."""
        for name, sentence in error.problems.items():
            field = next((shown for shown in (prefix + name, name) if shown in self.fields), None)
            if field is None or field not in self.errors:
                self.add_error(field, sentence)


@cache
def form_for(kind_slug: str, base: type[Any] = BotForm) -> type[Any]:
    """The form class of a kind, made of another; of the first kind when there is no such one."""
    kind = KINDS.get(kind_slug) or next(iter(KINDS.values()))
    return type(base.__name__, (base,), {"bot_kind": kind, **param_fields(kind), **limit_fields()})
