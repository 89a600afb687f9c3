from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from markets.management.chosen import chosen_exchange
from markets.services import sync_markets
from markets.surface import GatewayError
from orchestrator.commands import SentenceCommand


class Command(SentenceCommand):
    help = "Load an exchange's list of markets; those that it no longer lists become inactive."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", metavar="SLUG")
        parser.add_argument("--json", action="store_true", help="print the result as one JSON document")

    def handle(self, **options: Any) -> None:
        exchange = chosen_exchange(options["slug"])
        try:
            count = sync_markets(exchange)
        except GatewayError as error:
            raise CommandError(str(error)) from None
        told = {"exchange": exchange.slug, "markets": count}
        self.stdout.write(json.dumps(told) if options["json"] else f"{exchange.name}: {count} markets.")
