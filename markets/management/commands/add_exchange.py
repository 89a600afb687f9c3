from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from markets.services import add_exchange
from markets.services.listing import ExchangeRefused
from orchestrator.commands import SentenceCommand, bad_input


class Command(SentenceCommand):
    help = "Add an exchange by its id in ccxt. Nothing is asked of it yet: sync_markets loads its list of markets."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", metavar="SLUG", help="our name for it, for example binance")
        parser.add_argument("--ccxt-id", required=True, metavar="ID", help='for example binance, or "simulated"')
        parser.add_argument("--ccxt-config", type=Path, metavar="FILE.json", help="merged into ccxt's constructor")
        parser.add_argument("--name", default="", help="as shown on pages; ccxt's own if left out")

    def handle(self, **options: Any) -> None:
        try:
            config = _read(options["ccxt_config"]) if options["ccxt_config"] else {}
            exchange = add_exchange(options["slug"], options["ccxt_id"], config, options["name"])
        except ExchangeRefused as refusal:
            raise bad_input(str(refusal)) from None
        except RecursionError:
            raise bad_input(f"--ccxt-config {options['ccxt_config']} is nested too deeply.") from None
        self.stdout.write(f"Added {exchange.name} as {exchange.slug}. Next: manage.py sync_markets {exchange.slug}")


def _read(path: Path) -> Any:
    try:
        found = json.loads(path.read_text())
        # Python reads NaN and 1e999, PostgreSQL stores neither.
        json.dumps(found, allow_nan=False)
        return found
    except OSError as error:
        raise bad_input(f"--ccxt-config {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise bad_input(f"--ccxt-config {path} is not JSON: {error}.") from None
