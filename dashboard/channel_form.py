"""The form of a notification channel: one sentence for whatever is wrong, none of which repeats the address."""

from __future__ import annotations

from datetime import time
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from django import forms

from bots.models import Bot, Channel, Event
from bots.notifications import addresses, channels
from bots.notifications.topics import TOPICS, USUAL
from bots.sentences import one_of, sentences

ALL, CHOSEN = "all", "chosen"
LEVELS: list[tuple[str, str]] = [
    (Event.Level.INFO, "Everything"),
    (Event.Level.WARNING, "Warnings and errors"),
    (Event.Level.ERROR, "Errors alone"),
]


@cache
def zones() -> list[tuple[str, str]]:
    return [(name, name.replace("_", " ")) for name in sorted(available_timezones()) if len(name) <= 40]


class ChannelForm(forms.Form):
    name = forms.CharField(
        max_length=60,
        error_messages=sentences("name"),
    )
    address = forms.CharField(
        required=False,
        strip=True,
        error_messages=sentences("address"),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}),
    )
    topics = forms.MultipleChoiceField(
        label="Tell me about",
        choices=[(name, topic.label) for name, topic in TOPICS.items()],
        error_messages=one_of("topics", TOPICS, required="topics: choose at least one to be told about."),
    )
    minimum = forms.ChoiceField(
        label="Of these", choices=LEVELS, error_messages=one_of("minimum", [level for level, _ in LEVELS])
    )
    which = forms.ChoiceField(
        label="Of which bots",
        choices=[(ALL, "All, and what concerns no bot"), (CHOSEN, "Those chosen below alone")],
        widget=forms.RadioSelect,
        error_messages=one_of("of which bots", [ALL, CHOSEN]),
    )
    bots = forms.ModelMultipleChoiceField(
        Bot.objects.none(),
        label="Chosen bots",
        required=False,
        error_messages=sentences(
            "bots",
            invalid_choice="bots must be yours, not '%(value)s'.",
            invalid_pk_value="bots must be yours, not '%(pk)s'.",
        ),
    )
    quiet_from = forms.TimeField(
        label="Quiet from", required=False, error_messages={"invalid": "quiet from must be a time, such as 22:00."}
    )
    quiet_to = forms.TimeField(
        label="to", required=False, error_messages={"invalid": "quiet to must be a time, such as 07:00."}
    )
    zone = forms.ChoiceField(
        label="Time zone",
        error_messages=sentences(
            "time zone", invalid_choice="time zone must be one of the list, such as Europe/Berlin, not '%(value)s'."
        ),
    )
    errors_wake = forms.BooleanField(label="Errors are told in these hours too", required=False)

    def __init__(self, owner: Any, channel: Channel | None, data: Any = None) -> None:
        super().__init__(data, initial=_stored(channel))
        self.owner, self.channel = owner, channel
        self.fields["bots"].queryset = Bot.objects.owned_by(owner).only("id", "name").order_by("name")  # type: ignore[attr-defined]
        self.fields["zone"].choices = zones()  # type: ignore[attr-defined]
        for name in ("name", "address", "quiet_from", "quiet_to"):
            self.fields[name].widget.attrs["class"] = "form-control"
        for name in ("minimum", "bots", "zone"):
            self.fields[name].widget.attrs["class"] = "form-select"
        self.fields["bots"].widget.attrs["size"] = "6"
        for name in ("quiet_from", "quiet_to"):
            self.fields[name].widget.input_type = "time"
            self.fields[name].widget.format = "%H:%M"

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        others = Channel.objects.filter(owner=self.owner, name=name)
        if self.channel is not None:
            others = others.exclude(pk=self.channel.pk)
        if others.exists():
            raise forms.ValidationError(f"name must be new among your channels; {name!r} is taken.")
        return name

    def clean_address(self) -> str:
        address: str = self.cleaned_data["address"]
        if not address and self.channel is None:
            raise forms.ValidationError("address is needed.")
        if address:
            try:
                addresses.parse(address)
            except addresses.BrokenAddress as error:
                raise forms.ValidationError(str(error)) from None
        return address

    def clean_bots(self) -> list[Bot]:
        """Those chosen; none only where the ones that were chosen once are deleted."""
        bots = list(self.cleaned_data["bots"])
        which = self.cleaned_data.get("which")
        if which == CHOSEN and not bots and not has_lost_its_bots(self.channel):
            raise forms.ValidationError("bots: choose at least one, or all.")
        if which == ALL and bots:
            raise forms.ValidationError("bots: say that the chosen ones alone are meant, or choose none.")
        return bots

    def clean(self) -> None:
        begin, end = self.cleaned_data.get("quiet_from"), self.cleaned_data.get("quiet_to")
        if (begin is None) != (end is None) and not {"quiet_from", "quiet_to"} & set(self.errors):
            self.add_error("quiet_to", "quiet from and to are needed both, or none of them.")
        if self.channel is None and Channel.objects.filter(owner=self.owner).count() >= channels.MOST:
            raise forms.ValidationError(
                f"channels must be at most {channels.MOST}; delete one that is not used any more."
            )

    def wishes(self) -> channels.Wishes:
        """Of a valid form."""
        data = self.cleaned_data
        quiet: tuple[time, time] | None = (data["quiet_from"], data["quiet_to"]) if data["quiet_from"] else None
        bots = None if data["which"] == ALL else data["bots"]
        return channels.Wishes(
            data["name"], data["topics"], data["minimum"], bots, quiet, data["zone"], data["errors_wake"],
        )  # fmt: skip


def has_lost_its_bots(channel: Channel | None) -> bool:
    """Whether all bots that a channel was to tell of are deleted: it tells of none now, and of nothing else."""
    return channel is not None and not channel.all_bots and not channel.bots.all()


def _stored(channel: Channel | None) -> dict[str, Any]:
    if channel is None:
        return {"topics": USUAL, "minimum": Event.Level.INFO, "which": ALL, "zone": "UTC", "errors_wake": True}
    names = ("name", "topics", "minimum", "quiet_from", "quiet_to", "zone", "errors_wake")
    which = ALL if channel.all_bots else CHOSEN
    return {name: getattr(channel, name) for name in names} | {"which": which, "bots": list(channel.bots.all())}
