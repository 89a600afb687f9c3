from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from markets.imports import ImportRefused
from markets.services.imports import import_funding


class Command(BaseCommand):
    help = (
        "Store the funding rates of a swap from a CSV or CSV.gz file: timestamp (ms UTC) and the rate, in a column "
        "fundingRate or rate, or in open as candle files have it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--exchange", required=True, metavar="SLUG")
        parser.add_argument("--market", required=True, metavar="SYMBOL", help="BASE/QUOTE:SETTLE")
        parser.add_argument("--json", action="store_true", help="print the result as one JSON document")

    def handle(self, **options: Any) -> None:
        try:
            told = import_funding(options["file"], options["exchange"], options["market"])._asdict()
        except ImportRefused as refusal:
            raise CommandError(str(refusal), returncode=2) from None
        if options["json"]:
            self.stdout.write(json.dumps(told))
        else:
            self.stdout.write("{rows} rates, {stored} stored, {unchanged} unchanged.".format(**told))
