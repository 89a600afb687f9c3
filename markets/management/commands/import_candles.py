from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from markets.imports import ImportRefused, Reading
from markets.series import timeframe_seconds
from markets.services.imports import BadRows, Imported, Target, import_candles


class Command(BaseCommand):
    help = "Store the candles of a CSV or CSV.gz file (timestamp,open,high,low,close,volume; open time in ms UTC)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--exchange", required=True, metavar="SLUG")
        parser.add_argument("--market", required=True, metavar="SYMBOL", help="BASE/QUOTE or BASE/QUOTE:SETTLE")
        parser.add_argument("--timeframe", required=True, metavar="TF", type=_timeframe, help="1m, 5m, … 1d")
        parser.add_argument("--create", action="store_true", help="make the exchange and the market when missing")
        parser.add_argument("--skip-bad", action="store_true", help="leave malformed rows out instead of refusing all")
        parser.add_argument("--json", action="store_true", help="print the result as one JSON document")

    def handle(self, **options: Any) -> None:
        began = time.monotonic()
        target = Target(options["exchange"], options["market"], options["timeframe"], options["create"])
        try:
            result = import_candles(options["file"], target, options["skip_bad"])
        except ImportRefused as refusal:
            if isinstance(refusal, BadRows):
                self._list_faults(refusal.reading)
            raise CommandError(str(refusal), returncode=2) from None
        self._list_faults(result.reading)
        told = _told(result, time.monotonic() - began)
        self.stdout.write(json.dumps(told) if options["json"] else _sentence(told, options))

    def _list_faults(self, reading: Reading) -> None:
        for fault in reading.faults:
            self.stderr.write(fault)
        if reading.bad > len(reading.faults):
            self.stderr.write(f"… and {reading.bad - len(reading.faults)} more bad rows.")


def _timeframe(name: str) -> int:
    try:
        return timeframe_seconds(name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _told(result: Imported, seconds: float) -> dict[str, Any]:
    reading = result.reading
    return {
        "rows": reading.rows,
        "stored": result.stored,
        "unchanged": result.unchanged,
        "bad": reading.bad,
        "first": reading.first,
        "last": reading.last,
        "gaps": reading.gaps,
        "tick": f"{result.tick.normalize():f}",
        "lot": f"{result.lot.normalize():f}",
        "seconds": round(seconds, 3),
    }


def _sentence(told: dict[str, Any], options: dict[str, Any]) -> str:
    return (
        "{market} on {exchange}: {rows} rows, {stored} stored, {unchanged} unchanged, {bad} bad, {gaps} gaps; "
        "tick {tick}, lot {lot}; {seconds} s."
    ).format(**{**options, **told})
