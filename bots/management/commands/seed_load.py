from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from bots import load

# Name of an option -> most of it.
MOST = {"bots": 100_000, "trades": 50_000_000, "markets": 10_000}


class Command(BaseCommand):
    help = "Fill the database with bots and a history of trades to measure with; they belong to a user of their own."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--bots", type=int, default=1000)
        parser.add_argument("--trades", type=int, default=1_000_000)
        parser.add_argument("--markets", type=int, default=500)
        parser.add_argument("--user", default="load", metavar="NAME", help="To whom it belongs; made when missing.")

    def handle(self, **options: Any) -> None:
        for name, most in MOST.items():
            if not 1 <= options[name] <= most:
                raise CommandError(f"{name} must be 1 to {most:,}, not {options[name]}.")
        if not 1 <= len(options["user"].strip()) <= 150:
            raise CommandError(f"user must be a name of 1 to 150 characters, not {options['user']!r}.")
        try:
            made = load.seed(options["bots"], options["trades"], options["markets"], options["user"].strip())
        except ValueError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{made.bots:,} bots on {made.markets:,} markets with {made.trades:,} trades of user {options['user']}: "
            f"{made.seconds:.1f} s. Give the user a password with manage.py changepassword."
        )
