from __future__ import annotations

from django.apps import AppConfig
from django.core import checks


class MarketsConfig(AppConfig):
    name = "markets"

    def ready(self) -> None:
        from markets.checks import check_feeds  # it needs the models, which are loaded by now

        checks.register(check_feeds, checks.Tags.database)
