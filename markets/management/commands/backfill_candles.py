from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, TextIO

from django.core.management.base import CommandError, CommandParser

from markets import gateway
from markets.management.chosen import chosen_exchange, chosen_market, moment, timeframe
from markets.models import Feed, Market
from markets.services.backfill import backfill
from markets.surface import GatewayError
from orchestrator.commands import SentenceCommand, bad_input

PATIENCE_S = 900.0  # a ban of some minutes is waited for
DAY_MS = 86_400_000


class Command(SentenceCommand):
    help = "Fetch an exchange's candles of the past. Killed and started again it goes on where it was."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--exchange", required=True, metavar="SLUG")
        parser.add_argument("--market", required=True, metavar="SYMBOL", help="BASE/QUOTE or BASE/QUOTE:SETTLE")
        parser.add_argument("--timeframe", required=True, metavar="TF", type=timeframe, help="1m, 5m, … 1d")
        parser.add_argument("--since", required=True, metavar="ISO", type=moment, help="2026-01-31, UTC")
        parser.add_argument("--until", metavar="ISO", type=moment, help="without it: now")
        parser.add_argument("--json", action="store_true", help="print the result as one JSON document")

    def handle(self, **options: Any) -> None:
        market = chosen_market(chosen_exchange(options["exchange"]), options["market"])
        since, until = options["since"], options["until"]
        if until is not None and until <= since:
            raise bad_input("--until must be later than --since.")
        _refuse_what_would_be_forgotten(market, options["timeframe"], since)
        progress = Progress(sys.stderr)
        try:
            source = gateway.connect(market.exchange, patience=PATIENCE_S)
            _refuse_the_future(since, source.now_ms())
            result = backfill(market, options["timeframe"], since, until, source, progress=progress.show)
        except GatewayError as error:
            progress.end()
            hint = "" if error.permanent else " What was fetched is stored; start again to go on."
            raise CommandError(f"{error}{hint}") from None
        progress.end()
        told = asdict(result)
        self.stdout.write(json.dumps(told) if options["json"] else _sentence(market, told))


def _refuse_what_would_be_forgotten(market: Market, seconds: int, since: int) -> None:
    feed = Feed.objects.filter(market=market, timeframe=seconds, enabled=True, keep_days__gt=0).first()
    if feed and feed.synced_to is not None and since < feed.synced_to - feed.keep_days * DAY_MS:
        raise bad_input(
            f"The feed of {market.symbol} keeps {feed.keep_days} days, and what is older would be deleted again: "
            "set its keep_days higher, or to 0, in the admin first."
        )


def _refuse_the_future(since: int, now: int) -> None:
    if since >= now:
        moments = [datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="minutes") for ms in (now, since)]
        raise bad_input(f"--since must be in the past of the exchange, where it is {moments[0]}, not {moments[1]}.")


def _sentence(market: Market, told: dict[str, int]) -> str:
    return (
        f"{market.symbol} on {market.exchange.slug}: {told['rows']} rows stored, {told['gaps']} gaps found, "
        f"{told['repaired']} repaired, {told['declared']} declared, {told['requests']} requests made."
    )


class Progress:
    """A bar on a terminal; nothing anywhere else."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.shown = stream, False

    def show(self, done: int, of: int) -> None:
        if not self.stream.isatty():
            return
        count = f" {done:,} of {of:,} candles"
        width = max(10, min(40, shutil.get_terminal_size().columns - len(count) - 10))
        part = done / of if of else 1.0
        filled = round(width * part)
        self.stream.write(f"\r[{'#' * filled}{'.' * (width - filled)}] {part:4.0%}{count}")
        self.stream.flush()
        self.shown = True

    def end(self) -> None:
        if self.shown:
            self.stream.write("\n")
