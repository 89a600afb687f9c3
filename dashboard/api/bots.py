from __future__ import annotations

from typing import Any, Literal

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Query, Router
from pydantic import Field

from bots import services
from bots.models import Bot
from dashboard import figures
from dashboard.api import bot_input
from dashboard.api.authentication import READ, TRADE, owner
from dashboard.api.bot_input import BotChange, BotNew
from dashboard.api.bot_rows import COLUMNS, BotDetail, BotRow, detail, named, own
from dashboard.api.paging import Shown, counted_rows, page_of
from dashboard.api.rendering import choose
from dashboard.api.schema import Asked, Id, Page, Paged, Sent, Text
from dashboard.keyset import Listing, containing, equal
from dashboard.turns import one_after_the_other

router = Router(auth=READ, tags=["Bots"])


def _bots() -> QuerySet[Bot]:
    return figures.with_figures(Bot.objects.all())


SHOWN = Shown(_bots, COLUMNS)


class BotsAsked(Paged):
    status: Literal["draft", "running", "paused", "stopped", "failed"] | None = None
    kind: Text | None = None
    market: Id | None = None
    account: Id | None = None
    q: Text | None = Field(None, description="Part of the name or the symbol.")


@router.get("", response=Page[BotRow], summary="Bots, newest first")
def bots(request: HttpRequest, asked: Query[BotsAsked]) -> Any:
    choose(request, asked.fields, BotRow)
    where = equal(
        owner_id=owner(request).pk,
        status=asked.status,
        kind=asked.kind,
        market_id=asked.market,
        account_id=asked.account,
    )
    if asked.q:
        name, symbol = containing("t.name", asked.q), containing("symbol", asked.q)
        of_market = f"t.market_id IN (SELECT id FROM markets_market WHERE {symbol[0]})"
        where.append((f"({name[0]} OR {of_market})", name[1] + symbol[1]))
    listing = Listing("bots_bot", ("created_at", "id"), where)
    page = page_of(SHOWN, listing, asked, counted_rows(SHOWN, listing))
    return page | {"items": [named(row) for row in page["items"]]}


@router.get("/{int:bot_id}", response=BotDetail, summary="One bot, and why it does what it does")
def bot(request: HttpRequest, bot_id: int, asked: Query[Asked]) -> Any:
    choose(request, asked.fields, BotDetail)
    return detail(owner(request), bot_id)


@router.post("", response={201: BotDetail}, auth=TRADE, summary="A new bot, a draft until it is started")
def create_bot(request: HttpRequest, response: HttpResponse, new: BotNew) -> Any:
    made = bot_input.create(owner(request), new)
    response.headers["Location"] = reverse("api:bot", args=[made.pk])
    return detail(owner(request), made.pk)


@router.patch("/{int:bot_id}", response=BotDetail, auth=TRADE, summary="Change what is sent, leave the rest")
def change_bot(request: HttpRequest, bot_id: int, change: BotChange) -> Any:
    refused: services.Refused | None = None
    with one_after_the_other(owner(request), bot_id, of_the_run=change.apply == "now"):
        try:
            bot_input.change(own(owner(request), bot_id), owner(request), change)
        except services.Refused as refusal:  # what was done is undone already; that it was refused is kept
            refused = refusal
    if refused is not None:
        raise refused
    return detail(owner(request), bot_id)


@router.post("/{int:bot_id}/start", response=BotDetail, auth=TRADE, summary="Start with the money allotted")
def start_bot(request: HttpRequest, bot_id: int) -> Any:
    services.start(own(owner(request), bot_id))
    return detail(owner(request), bot_id)


@router.post("/{int:bot_id}/pause", response=BotDetail, auth=TRADE, summary="Withdraw its orders, keep its position")
def pause_bot(request: HttpRequest, bot_id: int) -> Any:
    services.pause(own(owner(request), bot_id), by=owner(request).get_username())
    return detail(owner(request), bot_id)


@router.post("/{int:bot_id}/resume", response=BotDetail, auth=TRADE, summary="Place the orders of a paused bot again")
def resume_bot(request: HttpRequest, bot_id: int) -> Any:
    services.resume(own(owner(request), bot_id))
    return detail(owner(request), bot_id)


class Stop(Sent):
    position: Literal["close", "keep"] = Field(description="What becomes of what it holds.")


@router.post("/{int:bot_id}/stop", response=BotDetail, auth=TRADE, summary="End the run; its money goes back")
def stop_bot(request: HttpRequest, bot_id: int, stop: Stop) -> Any:
    bot = own(owner(request), bot_id)
    services.stop(bot, close_position=stop.position == "close", by=owner(request).get_username())
    return detail(owner(request), bot_id)
