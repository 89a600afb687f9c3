from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

from django.core.management.base import CommandParser

from dashboard.benchmarks import ratios
from dashboard.benchmarks.ratios import Ratios
from orchestrator.benchmarks import own_database
from orchestrator.commands import SentenceCommand, bad_input
from orchestrator.home import PROJECT

COMMITTED = PROJECT / "docs/ratios.json"
MOST = 1.3  # times the committed ratio
TRIES = 5


class Command(SentenceCommand):
    help = "Compare ratios of this run with the committed ones; exit status 1 when one is over 30 % worse."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--write", action="store_true", help="Commit to what is measured now.")
        parser.add_argument("--file", type=Path, default=COMMITTED, help="Where the committed ratios are.")

    def handle(self, **options: Any) -> None:
        committed = {} if options["write"] else _read(options["file"])
        with own_database():
            ratios.prepare()
            found = {name: value for group in ratios.GROUPS for name, value in self._measured(group, committed).items()}
        if options["write"]:
            rounded = {name: float(f"{value:.3g}") for name, value in found.items()}
            options["file"].write_text(json.dumps(rounded, indent=1) + "\n")
        elif self._worse(found, committed):
            sys.exit(1)

    def _measured(self, group: str, committed: Ratios) -> Ratios:
        """The best of each over some tries; one is enough where nothing is worse. A busy moment fails nobody.

        What is to be committed is the median of as many, so that no lucky one becomes the measure.
        """
        found = ratios.GROUPS[group]()
        if not committed:
            tries = [found, *(ratios.GROUPS[group]() for _ in range(TRIES - 1))]
            return {name: median(one[name] for one in tries) for name in found}
        for _ in range(TRIES - 1):
            if regressions(found, committed):
                self.stderr.write(f"{group}: measured again, as something was worse.")
                found = {name: min(value, found[name]) for name, value in ratios.GROUPS[group]().items()}
        return found

    def _worse(self, found: Ratios, committed: Ratios) -> bool:
        worse = regressions(found, committed)
        for name, value in found.items():
            told = f"{committed[name]:.3g}" if name in committed else "none committed"
            self.stdout.write(f"{'FAIL' if name in worse else 'ok  '}  {name}: {value:.3g} (committed: {told})")
        self.stdout.write(f"{len(found) - len(worse)} passed, {len(worse)} failed")
        return bool(worse)


def regressions(found: Ratios, committed: Ratios) -> list[str]:
    """Names of what is over MOST times as large as committed, or new."""
    return [name for name, value in found.items() if value > MOST * committed.get(name, 0.0)]


def _read(file: Path) -> Ratios:
    try:
        return {str(name): float(value) for name, value in json.loads(file.read_text()).items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise bad_input(f"--file {file} holds no ratios: {error}. Write them with --write.") from error
