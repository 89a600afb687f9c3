"""A bot's form: the model's own fields, and the typed parameters of its kind. Admin and dashboard share it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms

from bots import services
from bots.kinds import KINDS
from bots.kinds.contract import Kind, Parameter, ParamsError
from bots.models import Bot

PREFIX = "param_"

if TYPE_CHECKING:
    BotModelForm = forms.ModelForm[Bot]
else:
    BotModelForm = forms.ModelForm


def form_field(parameter: Parameter) -> forms.Field:
    """The form field of one kind parameter. Bounds are checked by the kind, so that every way in says the same."""
    label = f"{parameter.label} ({parameter.unit})" if parameter.unit else parameter.label
    common: dict[str, Any] = {"label": label, "help_text": parameter.help, "required": False}
    if parameter.type == "flag":
        return forms.BooleanField(**common, initial=parameter.default)
    if parameter.type == "choice":
        return forms.ChoiceField(**common, choices=parameter.choices, initial=parameter.default)
    step = 1 if parameter.type == "whole" else "any"
    widget = forms.NumberInput(attrs={"step": step, "inputmode": "decimal"})
    return forms.CharField(**common, initial=parameter.default, widget=widget)


def param_fields(kind: Kind) -> dict[str, forms.Field]:
    """Form field name -> field, for each parameter of a kind."""
    return {PREFIX + parameter.name: form_field(parameter) for parameter in kind.parameters()}


class BotForm(BotModelForm):
    """The form of one kind; make it with form_for()."""

    bot_kind: Kind

    class Meta:
        model = Bot
        fields = ("name", "account", "market", "timeframe", "allocation")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, value in (self.instance.params or {}).items():
            if PREFIX + name in self.fields:
                self.initial[PREFIX + name] = value

    def clean(self) -> dict[str, Any]:
        super().clean()
        data = self.cleaned_data
        self.instance.kind = self.bot_kind.slug
        if data.get("account"):
            self._clean_owner()
        if data.get("market") and data.get("account") and data["market"].exchange_id != data["account"].exchange_id:
            self.add_error("market", f"market must be on the account's exchange, {data['account'].exchange.name}.")
        if data.get("market") and data.get("allocation"):
            self._clean_params()
        return data

    def _clean_owner(self) -> None:
        owner, name = self.cleaned_data["account"].owner, self.cleaned_data.get("name")
        self.instance.owner = owner
        if Bot.objects.owned_by(owner).filter(name=name).exclude(pk=self.instance.pk).exists():
            self.add_error("name", f"name must be new among {owner}'s bots; {name!r} is taken.")

    def _clean_params(self) -> None:
        data = self.cleaned_data
        params = {
            name.removeprefix(PREFIX): value
            for name, value in data.items()
            if name.startswith(PREFIX) and value not in (None, "")
        }
        try:
            services.validate(self.bot_kind.slug, params, data["market"], data["allocation"])
        except ParamsError as error:
            for name, sentence in error.problems.items():
                self.add_error(name if name in self.fields else PREFIX + name, sentence)
        else:
            self.instance.params = services.plain_params(self.bot_kind, params)


def form_for(kind_slug: str) -> type[BotForm]:
    """The form class of a kind; of the first kind when there is no such one."""
    kind = KINDS.get(kind_slug) or next(iter(KINDS.values()))
    return type("BotForm", (BotForm,), {"bot_kind": kind, **param_fields(kind)})
