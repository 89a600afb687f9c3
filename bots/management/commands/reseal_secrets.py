from __future__ import annotations

from typing import Any

from bots.models import Channel
from bots.notifications.delivery import PURPOSE
from orchestrator import crypto
from orchestrator.commands import SentenceCommand


class Command(SentenceCommand):
    help = "Seal all stored secrets under the present SECRET_KEY; then the old one can leave SECRET_KEY_FALLBACKS."

    def handle(self, **options: Any) -> None:
        sealed, lost = 0, []
        for channel in Channel.objects.select_related("owner"):
            try:
                fresh = crypto.seal_anew(channel.sealed, PURPOSE)
            except crypto.Unreadable:
                lost.append(f"{channel.owner}/{channel.name}")
                continue
            # Unless its owner has just entered another.
            sealed += Channel.objects.filter(pk=channel.pk, sealed=channel.sealed).update(sealed=fresh)
        self.stdout.write(f"{sealed} sealed anew.")
        for name in lost:
            self.stdout.write(
                f"The address of channel {name} cannot be read: no key opens it. It has to be entered again."
            )
