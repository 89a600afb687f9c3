"""Notification channels: a list, a form, and what can be done with one. An address is written and never read again."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import NamedTuple

from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from bots import tasks
from bots.models import Channel
from bots.notifications import channels as store
from bots.notifications.addresses import EXAMPLES
from bots.notifications.delivery import quiet_until
from bots.notifications.topics import TOPICS
from dashboard import formats
from dashboard.channel_form import LEVELS, ChannelForm, has_lost_its_bots
from dashboard.views.fragments import varies, wants_fragment
from orchestrator import broker

log = logging.getLogger(__name__)


class Row(NamedTuple):
    id: int
    name: str
    shown: str
    about: str
    state: str  # a badge
    says: str
    enabled: bool
    sent: SafeString
    was_used: bool
    testing: bool


@never_cache
@require_safe
@varies
def channels(request: HttpRequest) -> HttpResponse:
    """The visitor's channels; the list alone while a test message is waited for."""
    now = timezone.now()
    own = Channel.objects.filter(owner_id=request.user.pk).prefetch_related("bots")
    rows = [_row(channel, now) for channel in own]
    context = {"nav": "settings", "channels": rows, "testing": any(row.testing for row in rows)}
    template = "dashboard/_channels.html" if wants_fragment(request) else "dashboard/channels.html"
    return render(request, template, context)


@never_cache
@sensitive_post_parameters("address")
@require_http_methods(["GET", "HEAD", "POST"])
def new_channel(request: HttpRequest) -> HttpResponse:
    return _edited(request, None)


@never_cache
@sensitive_post_parameters("address")
@require_http_methods(["GET", "HEAD", "POST"])
def channel(request: HttpRequest, channel_id: int) -> HttpResponse:
    return _edited(request, _own(request, channel_id))


@require_http_methods(["GET", "HEAD", "POST"])
def test(request: HttpRequest, channel_id: int) -> HttpResponse:
    """POST has a test message sent; the list says what came of it."""
    own = _own(request, channel_id)
    if request.method == "POST":
        if refusal := store.test(own):
            messages.info(request, refusal)
        else:
            _wake()
    return redirect("channels")


@require_http_methods(["GET", "HEAD", "POST"])
def pause(request: HttpRequest, channel_id: int) -> HttpResponse:
    """POST pauses a channel, or resumes a paused one."""
    own = _own(request, channel_id)
    if request.method == "POST" and request.POST.get("to") == "pause":
        store.pause(own)
        messages.success(request, f"{own.name} is paused: what happens meanwhile is not told there.")
    elif request.method == "POST":
        store.resume(own)
        messages.success(request, f"{own.name} tells what happens from now on.")
    return redirect("channels")


@require_http_methods(["GET", "HEAD", "POST"])
@varies
def delete(request: HttpRequest, channel_id: int) -> HttpResponse:
    """GET says what will happen and asks; POST deletes."""
    own = _own(request, channel_id)
    if request.method == "POST":
        store.delete(own)
        messages.success(request, f"{own.name} is deleted.")
        return redirect("channels")
    template = "dashboard/_delete_channel.html" if wants_fragment(request) else "dashboard/delete_channel.html"
    return render(request, template, {"nav": "settings", "channel": own})


def _own(request: HttpRequest, channel_id: int) -> Channel:
    return get_object_or_404(Channel, owner_id=request.user.pk, pk=channel_id)


def _edited(request: HttpRequest, own: Channel | None) -> HttpResponse:
    """The form; POST saves it."""
    form = ChannelForm(request.user, own, request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid() and _saved(request, form):
        return redirect("channels")
    context = {
        "nav": "settings", "form": form, "channel": own, "examples": EXAMPLES,
        "topics": [(name, topic.label, topic.help) for name, topic in TOPICS.items()],
        "chosen": form["topics"].value() or [], "has_lost_its_bots": has_lost_its_bots(own),
    }  # fmt: skip
    return render(request, "dashboard/channel_form.html", context, status=422 if form.errors else 200)


def _saved(request: HttpRequest, form: ChannelForm) -> bool:
    """Store a valid form; False when its name was taken, or a chosen bot deleted, a moment ago."""
    address = form.cleaned_data["address"]
    try:
        with transaction.atomic():
            if form.channel is None:
                store.create(request.user, form.wishes(), address)
            else:
                store.change(form.channel, form.wishes(), address)
    except IntegrityError as error:
        if store.NAME_ONCE in str(error):
            form.add_error("name", "name must be new among your channels; it was taken just now.")
        else:
            form.add_error("bots", "bots must be yours; one of them was deleted just now.")
        return False
    except Channel.DoesNotExist:
        raise Http404("The channel was deleted.") from None
    messages.success(request, f"{form.cleaned_data['name']} is saved. Send a test message to see that it works.")
    return True


def _row(channel: Channel, now: datetime) -> Row:
    state, says = _state(channel, now)
    return Row(
        channel.pk, channel.name, channel.shown, _about(channel), state, says, channel.enabled,
        formats.when(channel.last_success_at, now), channel.last_success_at is not None,
        channel.test_asked_at is not None,
    )  # fmt: skip


def _about(channel: Channel) -> str:
    """What it tells, in words."""
    level = dict(LEVELS)[channel.minimum].lower()
    count = len(channel.topics)
    topics = "all topics" if count == len(TOPICS) else f"{count} {'topic' if count == 1 else 'topics'}"
    chosen = ", ".join(sorted(bot.name for bot in channel.bots.all()))
    bots = "all bots" if channel.all_bots else chosen or "no bot: those that were chosen are deleted"
    return f"{level} of {topics}, {bots}"


def _state(channel: Channel, now: datetime) -> tuple[str, str]:
    """Badge and sentence."""
    if channel.test_asked_at is not None:
        return "waiting", "A test message is being sent."
    if not channel.enabled:
        return "paused", channel.last_error
    if channel.last_error:
        again = f" It is tried again at {channel.not_before:%H:%M} UTC." if channel.failures else ""
        return "failed", f"{channel.last_error}{again if channel.not_before > now else ''}"
    until = quiet_until(channel, now)
    return ("quiet", f"Quiet until {until:%H:%M} in {channel.zone}.") if until else ("on", "")


def _wake() -> None:
    """Have it sent now; without a broker the schedule finds it."""
    try:
        tasks.deliver_notifications.apply_async(retry=False)
    except broker.UNREACHABLE:
        log.warning("a test message waits for the schedule: the broker cannot be reached", exc_info=True)
