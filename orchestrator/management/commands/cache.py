from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from orchestrator import cache
from orchestrator.cache import report
from orchestrator.commands import SentenceCommand, bad_input

EVERY = "all"


class Command(SentenceCommand):
    help = "See how the cache is doing, what of it is read most, and drop what a policy holds."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", nargs="?", default="stats", choices=["stats", "show", "drop"])
        parser.add_argument("policy", nargs="?", help=f"For show and drop: a policy; for drop also {EVERY}.")
        parser.add_argument("--hours", type=int, default=24, help="stats: over the last 1 to 24 hours.")
        parser.add_argument("--json", action="store_true", help="stats, show: one JSON document.")

    def handle(self, *args: Any, **options: Any) -> None:
        actions = {"stats": self._stats, "show": self._show, "drop": self._drop}
        try:
            actions[options["action"]](options)
        except cache.Unreachable:
            raise CommandError("Redis does not answer.", returncode=2) from None

    def _stats(self, options: dict[str, Any]) -> None:
        if not 1 <= options["hours"] <= 24:
            raise bad_input(f"--hours must be from 1 to 24, not {options['hours']}.")
        found = report.report(cache.of_this_process(), options["hours"])
        if options["json"]:
            self.stdout.write(json.dumps(_document(found)))
            return
        if found.outage:
            raise CommandError(found.outage, returncode=2)
        for cells in ([name for name, _ in report.COLUMNS], *(report.cells(line) for line in found.lines)):
            self.stdout.write(f"{cells[0]:<12}" + "".join(f"{cell:>{_WIDTHS[i]}}" for i, cell in enumerate(cells[1:])))
        for sentence in found.past:
            self.stdout.write(f"Redis was away: {sentence}")

    def _show(self, options: dict[str, Any]) -> None:
        policy = _named(options["policy"])
        keys = report.hot_keys(cache.of_this_process(), policy, 50)
        if options["json"]:
            self.stdout.write(json.dumps({"policy": policy.name, "seconds": policy.seconds, "keys": keys}))
            return
        self.stdout.write(f"{policy.name}: {policy.help} Fresh for {policy.seconds} s. Read most lately:")
        for key, reads in keys.items():
            self.stdout.write(f"{reads:>10.0f}  {key}")

    def _drop(self, options: dict[str, Any]) -> None:
        every = options["policy"] == EVERY
        for policy in cache.POLICIES.values() if every else [_named(options["policy"])]:
            cache.drop(policy)
            self.stdout.write(f"{policy.name} is dropped.")


_WIDTHS = [11, 12, 10, 12, 9, 8, 15, 24, 25, 9]


def _named(name: str | None) -> cache.Policy:
    try:
        return cache.policy(name or "")
    except ValueError as error:
        raise bad_input(str(error)) from None


def _document(found: report.Report) -> dict[str, Any]:
    lines = [
        {
            "policy": line.policy.name,
            "seconds": line.policy.seconds,
            "dropped": line.dropped,
            "hit_rate": line.figures.hit_rate,
            **line.figures._asdict(),
        }
        for line in found.lines
    ]
    return {"policies": lines, "outage": found.outage, "past_outages": found.past}
