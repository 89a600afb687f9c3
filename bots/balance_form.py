"""The form of an account's money in one currency, as the admin shows it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django import forms

from bots.models import Balance
from bots.sentences import sentences
from markets.models import Exchange

SHOWN = 5  # quote currencies that a refusal names

if TYPE_CHECKING:
    BalanceModelForm = forms.ModelForm[Balance]
else:
    BalanceModelForm = forms.ModelForm


class PaymentsField(forms.IntegerField):
    """How many payments there were when the form was opened: nothing that is typed, and nothing that changes."""

    def has_changed(self, initial: Any, data: Any) -> bool:
        return False


class BalanceForm(BalanceModelForm):
    """Money of an account in one currency. Saved through services.deposit(): bots move money at the same time."""

    difference = Decimal(0)  # what was typed less what was shown, of a valid form
    payments = PaymentsField(
        widget=forms.HiddenInput, error_messages={"required": "payments is needed: open the page anew."}
    )

    class Meta:
        model = Balance
        fields = ("currency", "free")
        error_messages = {"currency": sentences("currency")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["currency"].disabled = self.instance.pk is not None
        # What the row says by now is not what the person saw.
        self.fields["free"].show_hidden_initial = self.instance.pk is not None
        self.fields["payments"].initial = self.instance.payments

    def clean(self) -> dict[str, Any]:
        super().clean()
        data = self.cleaned_data
        # Without an exchange the account's own form says what is missing.
        if self.instance.pk is None and data.get("currency") and getattr(data.get("account"), "exchange_id", None):
            self._clean_currency(data["account"].exchange, data["currency"])
        return data

    def _clean_currency(self, exchange: Exchange, typed: str) -> None:
        """As the exchange writes it. What none of its markets trades is money that no bot could use."""
        traded = {name for pair in exchange.markets.order_by().values_list("base", "quote") for name in pair}
        same = [name for name in traded if name.upper() == typed.upper()]
        if same:
            self.cleaned_data["currency"] = typed if typed in same else same[0]
        elif traded:
            quotes = ", ".join(sorted(set(exchange.markets.order_by().values_list("quote", flat=True)))[:SHOWN])
            sentence = f"currency must be one that {exchange.name} trades, such as {quotes}, not {typed!r}."
            self.add_error("currency", sentence)
        else:
            self.add_error("currency", f"currency must be one that {exchange.name} trades; it has no markets yet.")

    def clean_free(self) -> Decimal:
        free: Decimal = self.cleaned_data["free"]
        self.difference = free - self._shown()
        return free

    def _shown(self) -> Decimal:
        if self.instance.pk is None:
            return Decimal(0)
        field = self.fields["free"]
        text = field.hidden_widget().value_from_datadict(self.data, self.files, self.add_initial_prefix("free"))
        try:
            return Decimal(field.to_python(text) or 0)
        except forms.ValidationError:
            raise forms.ValidationError(f"free was shown as {text!r}, which is no number; reload the page.") from None
