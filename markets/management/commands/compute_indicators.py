from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from markets import services
from markets.models import Feed
from markets.series import TIMEFRAMES
from orchestrator.commands import SentenceCommand, bad_input


class Command(SentenceCommand):
    help = "Compute the indicators of stored candles anew, whatever is cached: of all feeds, or of those chosen."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--exchange", metavar="SLUG")
        parser.add_argument("--market", metavar="SYMBOL")
        parser.add_argument("--timeframe", metavar="TF", choices=TIMEFRAMES)

    def handle(self, *args: Any, **options: Any) -> None:
        named = {
            "market__exchange__slug": options["exchange"],
            "market__symbol": options["market"],
            "timeframe": TIMEFRAMES.get(options["timeframe"]),
        }
        chosen = {field: value for field, value in named.items() if value is not None}
        ids = list(Feed.objects.filter(**chosen).values_list("pk", flat=True))
        if not ids:
            raise bad_input("No feed matches --exchange, --market and --timeframe.")
        self.stdout.write(f"Indicators of {services.recompute_indicators(ids)} feeds are computed.")
