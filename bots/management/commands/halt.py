from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.db.models import QuerySet

from bots import halts
from bots.models import Account, Halt, Mode
from orchestrator.commands import SentenceCommand, bad_input

WHO = "the command line"


class Command(SentenceCommand):
    help = "The kill switch: pause or stop every bot of one account or of all, and let none start until --release."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--account", metavar="NAME", help="One account, as NAME or OWNER/NAME; all there are and will be without."
        )
        parser.add_argument("--close-positions", action="store_true", help="Sell the positions at the last price.")
        parser.add_argument("--release", action="store_true", help="Let bots start again; paused ones stay paused.")

    def handle(self, **options: Any) -> None:
        accounts = _named(options["account"]) if options["account"] is not None else None
        if options["release"]:
            if options["close_positions"]:
                raise bad_input("--close-positions does not go with --release: a release sells nothing.")
            self._release(accounts)
            return
        done = halts.halt(accounts, WHO, options["close_positions"])
        self.stdout.write(f"Halted: {done}.")
        for sentence in done.unsold.values():
            self.stdout.write(sentence)

    def _release(self, accounts: QuerySet[Account] | None) -> None:
        if not halts.release(accounts, WHO):
            self.stdout.write("Nothing to release: it was not halted.")
        elif accounts is not None and Halt.objects.exists():
            self.stdout.write("Released, but all accounts are halted: release them without --account.")
        else:
            self.stdout.write("Released: bots can be started and resumed.")
        if accounts is None:
            for account in Account.objects.exclude(halted_at=None).select_related("owner"):
                self.stdout.write(f"{account.owner}/{account.name} stays halted: {account.halted_reason}")


def _named(name: str) -> QuerySet[Account]:
    """The account of that name. Raises CommandError when there is none, or more than one."""
    owner, _, rest = name.rpartition("/")
    everyone = Account.objects.exclude(mode=Mode.REPLAY)
    found = everyone.filter(name=name) | everyone.filter(name=rest, owner__username=owner)
    names = sorted(f"{one.owner}/{one.name}" for one in found.select_related("owner"))
    if len(names) != 1:
        which = f"be one of {', '.join(names)}" if names else "name an account"
        raise bad_input(f"--account must {which}, not {name!r}.")
    return found
