from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandParser
from django.utils import timezone

from dashboard.system import jobs, visits
from dashboard.system.audit import Check, Grade, checks
from orchestrator.commands import SentenceCommand, bad_input
from orchestrator.observability import samples

MARKS = {Grade.GOOD: "ok  ", Grade.WARNING: "warn", Grade.BROKEN: "FAIL"}


class Command(SentenceCommand):
    help = "Judge the running system by its budgets; exit status 1 when one is broken."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--hours", type=int, default=24, help="How far to look back, 1 to 168.")
        parser.add_argument("--visit", default="", metavar="USER", help="Open this user's pages too, and judge each.")
        parser.add_argument("--json", action="store_true", help="Print one JSON document.")

    def handle(self, **options: Any) -> None:
        hours, now = options["hours"], timezone.now()
        if not 1 <= hours <= 24 * samples.KEEP_DAYS:
            raise bad_input(f"--hours must be from 1 to {24 * samples.KEEP_DAYS}, not {hours}.")
        found = checks(samples.between(now - timedelta(hours=hours), now), now, jobs.ask())
        found += _visited(options["visit"]) if options["visit"] else []
        if options["json"]:
            self.stdout.write(json.dumps({"hours": hours, "checks": [asdict(one) for one in found]}))
        else:
            self.stdout.writelines(_line(one) for one in found)
        if any(one.grade is Grade.BROKEN for one in found):
            sys.exit(1)


def _visited(name: str) -> list[Check]:
    user = get_user_model().objects.filter(username=name, is_active=True).first()
    if user is None:
        raise bad_input(f"--visit must be the name of a user, not {name!r}.")
    return visits.checks(user)


def _line(check: Check) -> str:
    advice = "" if check.grade is Grade.GOOD else f"\n       {check.advice}"
    return f"{MARKS[check.grade]}  {check.subject}: {check.value} (wanted: {check.target}){advice}\n"
