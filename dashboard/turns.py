from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction
from django.shortcuts import get_object_or_404

from bots.models import Bot
from dashboard.scope import Owner


@contextmanager
def one_after_the_other(owner: Owner, bot_id: int, of_the_run: bool) -> Iterator[None]:
    """One change of a bot: of two that come at once, the second begins when the first is stored.

    of_the_run: the row is not held for a change of its run: that locks the account first, as whoever starts a bot
    does. Else nobody deletes it meanwhile. Raises Http404.
    """
    bots = Bot.objects.owned_by(owner)
    get_object_or_404(bots.only("pk"), pk=bot_id)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('change of a bot', %s))", [bot_id])
        if not of_the_run:
            get_object_or_404(bots.only("pk").select_for_update(), pk=bot_id)
        yield
