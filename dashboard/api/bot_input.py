"""What is sent about a bot, through the form that pages and admin use: the same checks and the same sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from bots import limits, services
from bots.forms import LIMIT_PREFIX, PREFIX, BotForm, form_for
from bots.kinds import KINDS
from bots.kinds.contract import Kind
from bots.kinds.parameters import ParamsError
from bots.models import Account, Bot, Mode
from dashboard.api.schema import Sent, SentId, Timeframe, exact
from markets.series import TIMEFRAMES

Amount = Annotated[str, Field(max_length=60, coerce_numbers_to_str=True, description="Exact, in quote.")]


class BotNew(Sent):
    name: str = Field(min_length=1, max_length=80)
    account: SentId
    market: SentId
    kind: str = Field(max_length=30)
    timeframe: Timeframe = "1m"
    allocation: Amount
    params: dict[str, Any] = Field(default_factory=dict)
    limits: dict[str, Any] = Field(default_factory=dict)


class BotChange(Sent):
    """params and limits: only those that change; null brings the default back.

    apply and rest are for a bot that runs: whether its run goes on with the change now, and what becomes of the part
    of its position that the new settings do not take over.
    """

    name: str | None = Field(None, min_length=1, max_length=80)
    account: SentId | None = None
    market: SentId | None = None
    timeframe: Timeframe | None = None
    allocation: Amount | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    limits: dict[str, Any] = Field(default_factory=dict)
    apply: Literal["next_start", "now"] = "next_start"
    rest: Literal["keep", "sell"] = "keep"


def create(owner: Any, new: BotNew) -> Bot:
    """Raises ParamsError naming every field that is wrong; then nothing is stored."""
    if new.kind not in KINDS:
        raise ParamsError({"kind": f"kind must be one of {', '.join(KINDS)}, not {new.kind!r}."})
    plain = new.model_dump(include={"name", "account", "market", "allocation"})
    form = _form(Bot(), owner, KINDS[new.kind], plain | {"timeframe": new.timeframe}, new.params, new.limits)
    made: Bot = form.save(by=owner.get_username())
    return made


def change(bot: Bot, owner: Any, sent: BotChange) -> None:
    """Raises ParamsError, and Refused for what cannot change while a run holds it."""
    kind = KINDS.get(bot.kind)
    if kind is None:
        raise services.Refused(f"{bot.kind} is not a kind that is installed.")
    stored = {
        "name": bot.name,
        "account": bot.account_id,
        "market": bot.market_id,
        "timeframe": next(name for name, seconds in TIMEFRAMES.items() if seconds == bot.timeframe),
        "allocation": exact(bot.allocation),
    }
    given = {name: value for name in stored if (value := getattr(sent, name)) is not None}
    if bot.status in services.ALIVE:
        for name in services.FIXED_WHILE_ALIVE:
            if name in given and given[name] != stored[name]:
                raise services.Refused(f"{name} is fixed until {bot.name} is stopped.")
    alive, by = bot.status in services.ALIVE, owner.get_username()
    form = _form(bot, owner, kind, stored | given, {**bot.params, **sent.params}, {**bot.limits, **sent.limits})
    if alive and sent.apply == "now":
        services.change(form.save(commit=False), sent.rest == "sell", by)
    else:
        form.save(by=by)


def _form(
    bot: Bot, owner: Any, kind: Kind, plain: Mapping[str, Any], params: dict[str, Any], limited: dict[str, Any]
) -> BotForm:
    """The form filled in and found right. Raises ParamsError."""
    data = {**plain, "timeframe": TIMEFRAMES[plain["timeframe"]]}
    data |= _typed(kind, params, limited)
    _require_own(owner, data["account"])
    form: BotForm = form_for(kind.slug)(data, instance=bot)
    if not form.is_valid():
        raise ParamsError({_named(field): " ".join(map(str, said)) for field, said in form.errors.items()})
    return form


def _typed(kind: Kind, params: dict[str, Any], limited: dict[str, Any]) -> dict[str, Any]:
    """Form data of all parameters and limits, defaults included: to a form an absent box is unchecked."""
    problems: dict[str, str] = {}
    data: dict[str, Any] = {}
    for prefix, read, entries, raw in (
        (PREFIX, kind.read, kind.parameters(), params),
        (LIMIT_PREFIX, limits.read, limits.described(), limited),
    ):
        try:
            found = read(raw)
        except ParamsError as error:
            problems |= {_named(prefix + name): sentence for name, sentence in error.problems.items()}
            continue
        data |= {prefix + entry.name: getattr(found, entry.name) for entry in entries}
    if problems:
        raise ParamsError(problems)
    return data


def _require_own(owner: Any, account_id: int) -> None:
    if not Account.objects.filter(owner=owner, pk=account_id).exclude(mode=Mode.REPLAY).exists():
        raise ParamsError({"account": f"account must be one of your own, not {account_id}."})


def _named(field: str) -> str:
    """A field of the form as it was sent."""
    for prefix, name in ((PREFIX, "params."), (LIMIT_PREFIX, "limits.")):
        if field.startswith(prefix):
            return name + field.removeprefix(prefix)
    return "" if field == "__all__" else field
