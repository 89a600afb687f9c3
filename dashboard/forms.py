"""The form of a bot as its page shows it: what the visitor may choose, and what it begins with."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.db.models import QuerySet
from django.forms import BoundField

from bots import limits
from bots.forms import LIMIT_PREFIX, PREFIX, BotForm, form_for
from bots.kinds.contract import Kind
from bots.kinds.parameters import LARGEST, Parameter
from bots.models import Account, Balance, Bot, Mode
from bots.sentences import one_of, sentences
from dashboard import formats
from markets.models import Market

DAYS: Final = {"30": "30 days", "90": "90 days", "365": "365 days"}
USUAL_DAYS: Final = "90"
ALL: Final = "all"
USUAL_MONEY: Final = Decimal(1000)
EXAMPLE_PRICE: Final = 100.0  # around which a kind's example is
# Names of the classes that kinds put their parameters together from, as a person knows them.
TITLES: Final = {
    "Params": "Settings",
    "Conditions": "Start and end",
    "Exits": "Size and exits",
    "Bounds": "Model and bounds",
}


_CLASSES: Final[dict[type[forms.Widget], str]] = {
    forms.Select: "form-select",
    forms.CheckboxInput: "form-check-input",
    forms.RadioSelect: "form-check-input",
}


class OwnBotForm(BotForm):
    """Of the visitor's own accounts; made by own_form_for()."""

    days = forms.ChoiceField(
        label="Tried on the last",
        choices=list(DAYS.items()),
        required=False,
        widget=forms.RadioSelect,
        error_messages=one_of("days", DAYS),
    )

    def __init__(self, *args: Any, owner: Any, trying: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._trying = trying
        # The rows are shared between copies of the form: choices are made for this visitor.
        self.fields["account"].queryset = accounts_of(owner)  # type: ignore[attr-defined]
        markets = Market.objects.select_related("exchange").prefetch_related("feeds")
        self.fields["market"].queryset = markets  # type: ignore[attr-defined]
        for field in self.fields.values():
            field.widget.attrs["class"] = _CLASSES.get(type(field.widget), "form-control")

    def validate_constraints(self) -> None:
        """What the database would say is asked before storing; not at every key."""
        if not self._trying:
            super().validate_constraints()

    def _get_validation_exclusions(self) -> set[str]:
        # The rows were found a moment ago by their own fields.
        found: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return found | {"account", "market"} if self._trying else found

    def tryable(self) -> bool:
        """Whether what was typed can be tried on candles: a name need not be good for that."""
        self.is_valid()
        return set(self.errors) <= {"name", "account"}

    def clean_days(self) -> str:
        return self.cleaned_data["days"] or USUAL_DAYS


class BacktestForm(OwnBotForm):
    """Of a bot that is only tried: it needs neither a name nor an account. Made by backtest_form_for()."""

    days = forms.ChoiceField(
        label="Over the last",
        choices=[*DAYS.items(), (ALL, "all there is")],
        required=False,
        widget=forms.RadioSelect,
        error_messages=one_of("days", [*DAYS, ALL]),
    )
    grid = forms.CharField(
        label="Try several values",
        help_text="A parameter a line, its values behind a colon: lines: 10, 20, 40. Every combination is tried.",
        required=False,
        max_length=2000,
        error_messages=sentences("grid"),
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("name", "account"):
            self.fields[name].required = False

    def clean_grid(self) -> dict[str, list[Any]]:
        """Parameter -> values."""
        found: dict[str, list[Any]] = {}
        for line in filter(None, map(str.strip, self.cleaned_data["grid"].splitlines())):
            name, colon, values = line.partition(":")
            typed = [_value(one) for one in map(str.strip, values.split(",")) if one]
            if not colon or not typed:
                raise forms.ValidationError(f"grid must have lines such as 'lines: 10, 20, 40', not {line[:60]!r}.")
            found[name.strip()] = typed
        return found


def _value(text: str) -> Any:
    """A number where it is one; the kind says what it makes of it."""
    try:
        return float(text) if text.isascii() and "_" not in text else text
    except ValueError:
        return {"yes": True, "no": False, "true": True, "false": False}.get(text.lower(), text)


def backtest_form_for(kind: str) -> type[BacktestForm]:
    return form_for(kind, BacktestForm)


def own_form_for(kind: str) -> type[OwnBotForm]:
    return form_for(kind, OwnBotForm)


def accounts_of(owner: Any) -> QuerySet[Account]:
    """Accounts on which the owner's bots may run, those of play money first: a form begins with the first."""
    own = Account.objects.filter(owner=owner).exclude(mode=Mode.REPLAY)
    return own.select_related("exchange", "owner").order_by("-mode", "name", "pk")  # "paper" before "live"


def usual_account(accounts: Sequence[Account], market: Market) -> Account | None:
    """With which a form begins: the first on the market's exchange, or the next of its mode that has the currency.

    Never real money where there is an account of play money.
    """
    there = [one for one in accounts if one.exchange_id == market.exchange_id]
    alike = [one for one in there if one.mode == there[0].mode]
    return next(iter([*funded(alike, market.quote), *there]), None)


def funded(accounts: Iterable[Account], currency: str) -> list[Account]:
    """Those that have some of a currency free, in their order."""
    rows = Balance.objects.filter(account__in=accounts, currency=currency, free__gt=0)
    found = set(rows.values_list("account_id", flat=True))
    return [one for one in accounts if one.pk in found]


@dataclass(frozen=True, slots=True)
class Entry:
    """A field, its name with the market's own currencies, and its bounds in words."""

    field: BoundField
    label: str
    bounds: str


@dataclass(frozen=True, slots=True)
class Group:
    """Fields under a heading. folded: those that do nothing unless they are set."""

    title: str
    shown: list[Entry]
    folded: list[Entry]
    open: bool  # one of the folded ones is set, or wrong


def groups(form: BotForm, market: Market) -> list[Group]:
    """The parameters of the form's kind as its classes group them, then the limits."""
    kind, units = form.bot_kind, {"quote": market.quote, "base": market.base, "quote or %": f"{market.quote} or %"}
    described = {one.name: one for one in kind.parameters()}
    found = []
    for number, (title, names) in enumerate(_classes(kind)):
        own = [described[name] for name in names]
        shown = [one for one in own if number == 0 and _matters(kind, one)]
        folded = [one for one in own if one not in shown]
        found.append(_group(form, title, PREFIX, (shown, folded), form.instance.params or {}, units))
    limited = form.instance.limits or {}
    return [*found, _group(form, "Limits", LIMIT_PREFIX, ([], limits.described()), limited, units)]


def _classes(kind: Kind) -> list[tuple[str, list[str]]]:
    """(title, names) of each class that has parameters, in the order of the form."""
    own = {one: list(inspect.get_annotations(one)) for one in reversed(kind.params.__mro__[:-1])}
    return [(TITLES.get(one.__name__, formats.words(one.__name__)), names) for one, names in own.items() if names]


def _matters(kind: Kind, parameter: Parameter) -> bool:
    """Whether it does something without being set, or is part of what the kind is about."""
    return parameter.required or parameter.name in kind.example or parameter.default not in (None, "", 0, False)


def _group(
    form: BotForm,
    title: str,
    prefix: str,
    parts: tuple[list[Parameter], list[Parameter]],
    values: Mapping[str, Any],
    units: Mapping[str, str],
) -> Group:
    is_set = any(values.get(one.name, one.default) != one.default for one in parts[1])
    wrong = any(form[prefix + one.name].errors for one in parts[1])
    shown, folded = (
        [Entry(form[prefix + one.name], _label(one, units), _bounds(one)) for one in part] for part in parts
    )
    return Group(title, shown, folded, is_set or wrong)


def _label(parameter: Parameter, units: Mapping[str, str]) -> str:
    unit = units.get(parameter.unit, parameter.unit)
    return f"{parameter.label} ({unit})" if unit else parameter.label


def _bounds(parameter: Parameter) -> str:
    """ "0.01 to 99"; only what says something."""
    least = "" if parameter.least is None or 0.0 < parameter.least < 1e-8 else f"{parameter.least:,.10g}"
    most = "" if parameter.most in (None, LARGEST) else f"{parameter.most:,.10g}"
    if least and most:
        return f"{least} to {most}."
    return f"At least {least}." if least else f"At most {most}." if most else ""


def settings_typed(bot: Bot) -> dict[str, str]:
    """What a person would have typed for a bot: form field name -> text."""
    typed = {
        "name": bot.name, "account": str(bot.account_id), "market": str(bot.market_id),
        "timeframe": str(bot.timeframe), "allocation": f"{bot.allocation.normalize():f}",
    }  # fmt: skip
    form = form_for(bot.kind)(instance=bot)
    values = {name: form[name].value() for name in form.fields if name.startswith((PREFIX, LIMIT_PREFIX))}
    return typed | texts(values)


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Values as a browser sends them: an unchecked box and an empty field are not there."""
    sent = {name: "on" if value is True else value for name, value in values.items()}
    return {name: str(value) for name, value in sent.items() if value not in (None, "", False)}


def suggested(kind: Kind, market: Market, account: Account | None, timeframe: int, money: Decimal) -> dict[str, str]:
    """A bot that could be started as it is, around the market's last price: the kind's example, moved there."""
    price = market.last or EXAMPLE_PRICE
    values: dict[str, Any] = {PREFIX + one.name: one.default for one in kind.parameters()}
    for one in kind.parameters():
        if one.name in kind.example:
            values[PREFIX + one.name] = _moved(one, kind.example[one.name], price, market)
    described = {
        "name": f"{kind.label} {market.base}", "account": account.pk if account else "", "market": market.pk,
        "timeframe": timeframe, "allocation": f"{money.normalize():f}", "days": USUAL_DAYS,
        LIMIT_PREFIX + "at_drawdown": "sell",
    }  # fmt: skip
    return texts(described | values)


def _moved(parameter: Parameter, value: Any, price: float, market: Market) -> Any:
    """A price of an example, which is around 100, as far from this one."""
    if parameter.type != "price":
        return f"{value:.15g}" if isinstance(value, float) else value
    ticks = (Decimal(repr(value * price / EXAMPLE_PRICE)) / market.tick).to_integral_value()
    return f"{(max(ticks, Decimal(1)) * market.tick).normalize():f}"
