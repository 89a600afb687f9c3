from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from orchestrator import schedules


class Command(BaseCommand):
    help = "Adds the periodic jobs that are missing; jobs that exist keep whatever was set in the admin."

    def handle(self, *args: Any, **options: Any) -> None:
        added = schedules.create_missing()
        if options["verbosity"] > 0:
            self.stdout.write(f"Added: {', '.join(added)}." if added else "Nothing was missing.")
