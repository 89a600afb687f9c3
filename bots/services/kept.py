"""Positions that ended runs left to their account: counted until somebody says that they are not to be any more."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from bots.guards import Refused
from bots.models import Event, Position
from bots.services.words import by_whom
from orchestrator import notify


def dismiss(position: Position, by: str) -> None:
    """Count a kept position no longer; what the account holds stays as it is. by: who wants it. Raises Refused."""
    kept, told = Position.Status.KEPT, f"{position.amount.normalize():f} {position.market.base}"
    with transaction.atomic():
        rows = Position.objects.filter(pk=position.pk, status=kept)
        if not rows.update(status=Position.Status.DISMISSED, closed_at=timezone.now()):
            raise Refused(f"the position of {told} is not one that was kept, or was dismissed already.")
        sentence = f"The kept position of {told} is dismissed{by_whom(by)}: it counts no more."
        Event.objects.create(owner_id=position.owner_id, bot_id=position.bot_id, code="dismissed", message=sentence)
        notify.changed([notify.bot_topic(position.owner_id, position.bot_id)])
